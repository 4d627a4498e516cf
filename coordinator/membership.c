/*      register            silence > dead_after
 *  (absent) ──► alive ─────────────────────────► dead
 *                 ▲  ◄── same incarnation speaks ──┘
 *                 └───── another incarnation registers (REPLACED)
 */
#include "coordinator/membership.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct membership {
    uint64_t dead_after_ms;
    uint64_t n_sessions;
    member *members;
    size_t n;
    size_t capacity;
    member_tally gone[ROLE_SERVER + 1]; /* by role */
};

rt_status membership_new(uint64_t dead_after_ms, membership **out, rt_error *err)
{
    membership *m = rt_calloc(1, sizeof *m);
    if (m == NULL) return rt_fail(err, RT_NOMEM, "membership");
    m->dead_after_ms = dead_after_ms;
    *out = m;
    return RT_OK;
}

void membership_free(membership *m)
{
    if (m == NULL) return;
    free(m->members);
    free(m);
}

static member *find(const membership *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->members[i].name, name) == 0) return &m->members[i];
    return NULL;
}

static member *fresh(membership *m)
{
    m->members[m->n] = (member){.role = ROLE_UNKNOWN};
    return &m->members[m->n++];
}

/* A place for a new name: a fresh one, or that of the member dead for longest. */
static member *make_room(membership *m)
{
    if (m->n < m->capacity) return fresh(m);
    if (m->capacity < MEMBERS_MAX) {
        size_t capacity = m->capacity == 0 ? 16 : RT_MIN(m->capacity * 2, (size_t)MEMBERS_MAX);
        member *grown = realloc(m->members, capacity * sizeof *grown);
        if (grown == NULL) return NULL;
        m->members = grown;
        m->capacity = capacity;
        return fresh(m);
    }
    member *oldest = NULL;
    for (size_t i = 0; i < m->n; i++) {
        member *candidate = &m->members[i];
        if (!candidate->alive && (oldest == NULL || candidate->seen_ms < oldest->seen_ms))
            oldest = candidate;
    }
    return oldest;
}

static void copy_text(char *out, size_t n_out, const char *text)
{
    snprintf(out, n_out, "%s", text == NULL ? "" : text);
}

static bool shard_taken(const membership *m, const char *name, const wire_register *body)
{
    if (body->role != ROLE_SERVER) return false;
    const member *holder = membership_server(m, body->shard);
    return holder != NULL && strcmp(holder->name, name) != 0;
}

static void fill(membership *m, member *who, const char *name, uint64_t incarnation,
                 const wire_register *body, uint64_t now_ms)
{
    if (who->role <= ROLE_SERVER) member_tally_add(&m->gone[who->role], &who->told);
    *who = (member){.role = body->role,
                    .shard = body->shard,
                    .incarnation = incarnation,
                    .session = ++m->n_sessions,
                    .seen_ms = now_ms,
                    .since_ms = now_ms,
                    .alive = true,
                    .pid = body->pid};
    copy_text(who->name, sizeof who->name, name);
    copy_text(who->host, sizeof who->host, body->host);
    copy_text(who->endpoint, sizeof who->endpoint, body->endpoint);
}

member_verdict membership_register(membership *m, const char *name, uint64_t incarnation,
                                   const wire_register *body, uint64_t now_ms, member **who)
{
    if (name == NULL || name[0] == '\0' || strlen(name) >= MEMBER_NAME_SIZE) return MEMBER_BAD_NAME;
    member *known = find(m, name);
    if (known != NULL && known->incarnation == incarnation) {
        member_verdict verdict = known->alive ? MEMBER_SAME : MEMBER_REVIVED;
        if (shard_taken(m, name, body)) return MEMBER_SHARD_TAKEN;
        known->alive = true;
        known->seen_ms = now_ms;
        copy_text(known->endpoint, sizeof known->endpoint, body->endpoint);
        *who = known;
        return verdict;
    }
    if (known != NULL && incarnation < known->incarnation && known->alive) return MEMBER_OLDER;
    if (shard_taken(m, name, body)) return MEMBER_SHARD_TAKEN;
    member *place = known != NULL ? known : make_room(m);
    if (place == NULL) return MEMBER_TOO_MANY;
    fill(m, place, name, incarnation, body, now_ms);
    *who = place;
    return known != NULL ? MEMBER_REPLACED : MEMBER_NEW;
}

const member *membership_find(const membership *m, const char *name)
{
    return name == NULL ? NULL : find(m, name);
}

member_verdict membership_touch(membership *m, const char *name, uint64_t incarnation,
                                uint64_t now_ms, member **who)
{
    member *known = name == NULL ? NULL : find(m, name);
    if (known == NULL) return MEMBER_UNKNOWN;
    if (incarnation != known->incarnation)
        return incarnation < known->incarnation && known->alive ? MEMBER_OLDER : MEMBER_UNKNOWN;
    if (!known->alive && known->role == ROLE_SERVER) {
        const member *holder = membership_server(m, known->shard);
        if (holder != NULL) return MEMBER_OLDER; /* its shard went to a server of another name */
    }
    member_verdict verdict = known->alive ? MEMBER_SAME : MEMBER_REVIVED;
    known->alive = true;
    known->seen_ms = now_ms;
    *who = known;
    return verdict;
}

void membership_heartbeat(member *who, const wire_heartbeat *body)
{
    copy_text(who->busy_with, sizeof who->busy_with, body->busy_with);
    member_tally_take(&who->told, body);
}

const member *membership_next_dead(membership *m, uint64_t now_ms)
{
    for (size_t i = 0; i < m->n; i++) {
        member *who = &m->members[i];
        if (!who->alive || now_ms - who->seen_ms <= m->dead_after_ms) continue;
        who->alive = false;
        return who;
    }
    return NULL;
}

size_t membership_n(const membership *m)
{
    return m->n;
}

member *membership_at(membership *m, size_t i)
{
    RT_ASSERT(i < m->n);
    return &m->members[i];
}

const member_tally *membership_gone(const membership *m, wire_role role)
{
    RT_ASSERT(role <= ROLE_SERVER);
    return &m->gone[role];
}

size_t membership_n_alive(const membership *m, wire_role role)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->members[i].alive && m->members[i].role == role) n++;
    return n;
}

const member *membership_server(const membership *m, uint32_t shard)
{
    for (size_t i = 0; i < m->n; i++) {
        const member *who = &m->members[i];
        if (who->alive && who->role == ROLE_SERVER && who->shard == shard) return who;
    }
    return NULL;
}

bool membership_all_left(const membership *m, uint64_t now_ms, uint64_t silent_ms)
{
    for (size_t i = 0; i < m->n; i++) {
        const member *who = &m->members[i];
        if (!who->alive) continue;
        if (!who->told_finished || now_ms - who->seen_ms < silent_ms) return false;
    }
    return true;
}
