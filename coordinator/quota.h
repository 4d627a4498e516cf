/* The run's limits and its money, shared among its teachers. Pure: time is an argument.
 *
 *     quota_new(&settings, true, now_ms, &q, err);
 *     if (quota_report(q, sender, incarnation, &report, now_ms, &grant)) ... answer with it ...
 *     quota_bury(q, "teacher-3", now_ms);                    // it died
 *     if (quota_budget_spent(q, now_ms)) ... lease nothing more ...
 *
 * There is an account for each process of a teacher. Of each resource it has
 *
 *     settled           reserved           unused
 *     ├────────────────┼──────────────────┼────────────┤ held: the highest ceiling it may be using
 *      used for good    in flight          not begun
 *
 * and a ceiling is only raised as far as the sum over all accounts stays within the limit: whatever
 * is lost, late or repeated, what teachers may do at most is always counted. A teacher has one
 * report under way and says in it which ceilings are in force; older answers are dead from then on,
 * so what was not begun comes back with the next report, and lower ceilings count once they are
 * confirmed. What a dead teacher could still have paid counts as paid, unless it comes back and says
 * better.
 */
#ifndef RT_COORDINATOR_QUOTA_H
#define RT_COORDINATOR_QUOTA_H

#include "common/wire/messages.h"

#define QUOTA_ACCOUNTS_MAX 4096
#define QUOTA_NAME_SIZE    64
#define QUOTA_RETRY_MS     50     /* between two reports of a teacher; more where there are many */
#define QUOTA_SILENT_MS    2000   /* without a report a teacher is not waited for */
#define QUOTA_PAUSE_MAX_MS 120000 /* the longest pause that a server can ask for */
/* 10^-9 of the currency. */
#define QUOTA_COST_UNIT 1e9

typedef struct quota_settings {
    uint64_t in_flight_max, requests_per_minute, tokens_per_minute, budget; /* 0: no limit */
    bool probe; /* the teachers' server may tell limits: ask gently until it has answered */
} quota_settings;

/* All that a teacher used, for files and people. */
typedef struct quota_use {
    uint64_t n_requests, n_prompt_tokens, n_cached_tokens, n_completion_tokens;
    uint64_t cost;
} quota_use;

typedef struct quota_account {
    char name[QUOTA_NAME_SIZE];
    uint64_t incarnation;
    bool alive; /* else: dead, or loaded from a file, or gone after its last report */
    uint64_t seq, report_ms;
    wire_amounts settled, reserved;
    wire_amounts held; /* at least settled + reserved */
    wire_amounts need; /* of one request */
    uint32_t n_wanted;
    uint64_t served_ms;
    uint64_t n_overloads;
    quota_use use;
    wire_quota_grant answer; /* to the newest report */
    uint64_t durable_cost;   /* the caller's: up to where its file counts this account */
} quota_account;

/* The run so far. spent + lost + reserved <= budget, where there is one. */
typedef struct quota_sums {
    quota_use use;     /* settled, of all processes there ever were */
    uint64_t lost;     /* cost that dead processes had reserved */
    uint64_t reserved; /* cost that living ones hold beyond what is settled */
    uint64_t n_in_flight, n_waiting;
    uint64_t n_overloads, n_pauses;
    uint64_t requests_last_minute, tokens_last_minute;
    uint64_t pause_ms;                   /* still to run */
    uint64_t seen_requests, seen_tokens; /* limits that the server told; 0: none */
} quota_sums;

typedef struct quota quota;

/* `is_fresh`: nobody has used the limits in the last minute. Returns new; quota_free(). */
RT_MUST_USE rt_status quota_new(const quota_settings *settings, bool is_fresh, uint64_t now_ms,
                                quota **out, rt_error *err);
void quota_free(quota *q);

/* True with an answer; false for a report that is older than one heard before, and for one too many
 * accounts. A repeat gets the same answer again. */
bool quota_report(quota *q, const char *name, uint64_t incarnation, const wire_quota_report *report,
                  uint64_t now_ms, wire_quota_grant *answer);
/* The teacher of that name is dead as far as anybody knows. */
void quota_bury(quota *q, const char *name, uint64_t now_ms);

/* Whether the rest of the budget cannot pay for what waits, and nothing comes back any more. Once
 * true it stays true. */
bool quota_budget_spent(quota *q, uint64_t now_ms);
/* The same by decision: the run is closed, whatever the budget says. */
void quota_stop(quota *q);

void quota_sum(const quota *q, uint64_t now_ms, quota_sums *out);

/* For the file that outlives the process. Accounts of earlier processes come back as dead ones. */
size_t quota_n_accounts(const quota *q);
quota_account *quota_account_at(quota *q, size_t i);
/* NULL when there is none. */
quota_account *quota_find(quota *q, const char *name);
RT_MUST_USE rt_status quota_restore(quota *q, const char *name, uint64_t incarnation,
                                    const quota_use *use, uint64_t held_cost, rt_error *err);
/* Processes that were replaced, in one sum; and the largest cost of one request so far. */
const quota_use *quota_closed(const quota *q, uint64_t *lost, uint64_t *typical_cost);
void quota_restore_closed(quota *q, const quota_use *use, uint64_t lost, uint64_t typical_cost);

#endif
