/* A teacher's side of its account at the coordinator: what it used and up to where it may go. Pure:
 * time is an argument, messages are plain structs. The other side: coordinator/quota.h.
 *
 *     verdict = allowance_account_take(&a, need, now_ms, &retry_ms);
 *     allowance_account_settle(&a, need, use, now_ms);
 *     if (allowance_account_report(&a, now_ms, &report)) ... send it ...
 *     if (allowance_account_grant(&a, &grant, now_ms)) ... it was the answer that was waited for ...
 *
 * settled + reserved stays at or below the ceilings. One report is under way at a time; when its
 * answer does not come in time it is given up for good and the next one says which ceilings are in
 * force. Whoever has not heard from the coordinator for `stale_ms` begins nothing: by then it may
 * have been buried and its share given to others.
 */
#ifndef RT_WORKER_TEACHER_ALLOWANCE_ACCOUNT_H
#define RT_WORKER_TEACHER_ALLOWANCE_ACCOUNT_H

#include "common/wire/messages.h"
#include "worker/teacher/allowance.h"
#include "worker/teacher/price.h"
#include "worker/teacher/token_estimate.h"

#define ALLOWANCE_ANSWER_MS 1000 /* a report not answered for so long is given up */
#define ALLOWANCE_RETRY_MS  10   /* when to look again at what has to wait */
#define ALLOWANCE_IDLE_MS   300  /* nothing asked for so long: give back what is not used */

/* Zero-initialise and set the settings; everything else is the account's. */
typedef struct allowance_account {
    price_table prices;
    uint64_t tokens_per_minute; /* a request never reserves more; 0: no limit */
    uint64_t stale_ms;

    wire_amounts settled, reserved, ceilings;
    token_estimate estimate;
    double n_unknown; /* settled without a use, fading */
    uint64_t unknown_ms;
    uint64_t n_prompt_tokens, n_cached_tokens, n_completion_tokens;
    uint64_t n_overloads, n_overruns; /* requests that used more than their need */
    uint64_t fresh_ms; /* when the report was sent whose answer holds now; 0: none was answered */
    uint64_t pause_until_ms;
    bool spent; /* the coordinator said so: nothing more */

    uint64_t seq, sent_ms, next_ms;
    bool under_way, asked_nothing; /* the report under way wanted nothing: no need to wait for it */
    wire_amounts need;             /* the largest asked for since the last report */
    uint64_t n_begun, n_begun_before; /* in this interval between reports, and in the last */
    bool was_blocked, changed, needs_renewal;
    uint64_t asked_ms;                /* of the newest take */
    uint64_t n_answers, n_overloaded; /* since the last report */
    uint64_t retry_until_ms;          /* the server's wish */

    uint64_t stamp;                        /* of the newest grant */
    wire_server_limit limits[WIRE_LIMITS]; /* heard since the last report */
    uint64_t heard_ms[WIRE_LIMITS];
    bool no_limit_told;
} allowance_account;

allowance_verdict allowance_account_take(allowance_account *a, allowance_need *need,
                                         uint64_t now_ms, uint64_t *retry_ms);
void allowance_account_settle(allowance_account *a, const allowance_need *need, allowance_use *use,
                              uint64_t now_ms);
void allowance_account_hear(allowance_account *a, const allowance_limit *requests,
                            const allowance_limit *tokens, uint64_t after, uint64_t now_ms);
/* True when a report is due: *out is filled, and under way from now on. */
bool allowance_account_report(allowance_account *a, uint64_t now_ms, wire_quota_report *out);
/* Nothing will be asked for: the next report is due now and gives back what is not used. */
void allowance_account_rest(allowance_account *a, uint64_t now_ms);
/* The last one. */
void allowance_account_leave(allowance_account *a, uint64_t now_ms, wire_quota_report *out);
/* False for the answer to another report than the one under way; nothing changes then. */
bool allowance_account_grant(allowance_account *a, const wire_quota_grant *grant, uint64_t now_ms);

#endif
