/* What the answer to one small real request means for a run. Pure, but for the reading of JSON.
 *
 *     finding f = ask_verdict(&(ask_reply){.status = 200, .body = bytes, .n_body = n, ...});
 */
#ifndef RT_CLI_DOCTOR_ASK_VERDICT_H
#define RT_CLI_DOCTOR_ASK_VERDICT_H

#include "cli/doctor/finding.h"
#include "common/http/http_client.h"
#include "worker/teacher/openai/headers.h"
#include "worker/teacher/price.h"

/* All borrowed. */
typedef struct ask_reply {
    http_failure transport;
    const char *problem; /* of a transport that failed */
    bool was_sent;
    long status;
    const char *body; /* [n_body] */
    size_t n_body;
    openai_headers headers;
    uint64_t took_ms;
    /* What was asked for. */
    const char *model;
    uint64_t n_choices;
    bool logprobs;
    price_table prices;
    const char *currency;
    bool has_budget;
} ask_reply;

/* ok: latency, tokens, price, what the headers tell of limits. warn: it answered, but not all that
 * was asked for came. fail: as a run would end. */
finding ask_verdict(const ask_reply *r);

#endif
