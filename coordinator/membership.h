/* Who is in the run: name, incarnation, last sign of life. Pure: time is an argument.
 *
 *     verdict = membership_register(m, sender, incarnation, &body, now_ms, &who);
 *     verdict = membership_touch(m, sender, incarnation, now_ms, &who);
 *     while ((who = membership_next_dead(m, now_ms)) != NULL) ... take its work back ...
 *
 * A name has one incarnation at a time. An older one is refused as long as the newer is alive;
 * afterwards it may come in, so that a wall clock that jumped back cannot lock a worker out.
 * `session` grows with each accepted registration and is what other modules compare.
 */
#ifndef RT_COORDINATOR_MEMBERSHIP_H
#define RT_COORDINATOR_MEMBERSHIP_H

#include "coordinator/member_tally.h"

#define MEMBERS_MAX      4096
#define MEMBER_NAME_SIZE 64
#define MEMBER_TEXT_SIZE 192

typedef struct member {
    char name[MEMBER_NAME_SIZE];
    wire_role role;
    uint32_t shard;
    uint64_t incarnation;
    uint64_t session;
    uint64_t seen_ms;
    uint64_t since_ms;
    bool alive;
    bool told_finished; /* an answer said PHASE_FINISHED */
    int64_t pid;
    char host[MEMBER_NAME_SIZE];
    char endpoint[MEMBER_TEXT_SIZE];
    char busy_with[MEMBER_TEXT_SIZE];
    member_tally told; /* by this incarnation */
} member;

typedef enum member_verdict {
    MEMBER_SAME,        /* known, this incarnation */
    MEMBER_NEW,         /* a name not seen before */
    MEMBER_REPLACED,    /* a known name with another incarnation: the old one's work goes back */
    MEMBER_REVIVED,     /* was dead by silence, the same process is back */
    MEMBER_OLDER,       /* refuse: a newer incarnation is alive */
    MEMBER_UNKNOWN,     /* refuse, register again */
    MEMBER_SHARD_TAKEN, /* refuse: another living server has this shard */
    MEMBER_TOO_MANY,    /* refuse: MEMBERS_MAX living members */
    MEMBER_BAD_NAME,    /* refuse: empty or too long */
} member_verdict;

typedef struct membership membership;

/* Returns new; membership_free(). */
RT_MUST_USE rt_status membership_new(uint64_t dead_after_ms, membership **out, rt_error *err);
void membership_free(membership *m);

/* *who (borrowed until the next register) is set for SAME, NEW, REPLACED and REVIVED. */
member_verdict membership_register(membership *m, const char *name, uint64_t incarnation,
                                   const wire_register *body, uint64_t now_ms, member **who);
/* The member of a name, or NULL; asking changes nothing. */
const member *membership_find(const membership *m, const char *name);
/* Any other message: SAME, REVIVED, OLDER or UNKNOWN. */
member_verdict membership_touch(membership *m, const char *name, uint64_t incarnation,
                                uint64_t now_ms, member **who);
/* Take over what a heartbeat says. */
void membership_heartbeat(member *who, const wire_heartbeat *body);

/* A member that has just been found dead (reported once per death), or NULL. Call only when every
 * message that arrived has been handled: a coordinator that was busy is not a reason to die. */
const member *membership_next_dead(membership *m, uint64_t now_ms);

size_t membership_n(const membership *m);
member *membership_at(membership *m, size_t i);
/* What was told by incarnations that are no member any more: replaced, or forgotten to make room. */
const member_tally *membership_gone(const membership *m, wire_role role);
size_t membership_n_alive(const membership *m, wire_role role);
/* The living server of a shard, or NULL. */
const member *membership_server(const membership *m, uint32_t shard);
/* True when every living member was told PHASE_FINISHED and has been silent for silent_ms. */
bool membership_all_left(const membership *m, uint64_t now_ms, uint64_t silent_ms);

#endif
