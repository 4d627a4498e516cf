/* Redis Streams, one consumer group each.
 *
 *     XADD NOMKSTREAM ─► stream ─► XREADGROUP ─► pending ─► EVAL{XACK, XDEL}        the usual way
 *                          ▲                        │
 *                          └── EVAL{XADD, XACK, XDEL} ──► dead                      a consumer died
 *
 * Whatever takes more than one step is one script, so a crash leaves all of it or nothing. Entries
 * have the fields b (bytes) and n (attempts); those in `dead` also r (reason). Streams are never
 * trimmed: trimming or deleting what is pending leaves ghosts, entries without a body, which are
 * acknowledged and skipped when they turn up. NOMKSTREAM makes a flushed server visible at once,
 * where XADD would quietly start a stream without its group.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/queue/backend.h"
#include "common/queue/redis_link.h"

#define ACK_AT_ONCE     100
#define ADD_AT_ONCE     128
#define ADD_BYTES       (8u << 20) /* of one pipeline */
#define REQUEUE_AT_ONCE "100"

typedef struct redis_queue {
    queue base;
    redis_link *link;
    uint64_t n_connects_read;             /* connections when entries were last read */
    char again_from[QUEUE_ENTRY_ID_SIZE]; /* pending entries behind this id are read again; "" */
} redis_queue;

static const char ack_script[] = "redis.call('XACK', KEYS[1], unpack(ARGV))\n"
                                 "return redis.call('XDEL', KEYS[1], unpack(ARGV, 2))";

/* KEYS: stream, dead. ARGV: group, id, bytes, attempts, reason. Nothing when somebody else was
 * faster, or when this is a repeat. */
static const char bury_script[] =
    "if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end\n"
    "redis.call('XADD', KEYS[2], '*', 'b', ARGV[3], 'n', ARGV[4], 'r', ARGV[5])\n"
    "redis.call('XDEL', KEYS[1], ARGV[2])\n"
    "return 1";

/* KEYS: stream, dead. ARGV: group, consumer ('' for anyone), idle ms, attempts_max, reason, at
 * once. Returns {seen, requeued, dead}. A consumer with nothing left is removed in the same step:
 * removing one that holds entries would lose them. */
static const char requeue_script[] =
    "local held\n"
    "if ARGV[2] == '' then\n"
    "  held = redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[6])\n"
    "else\n"
    "  held = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[6], ARGV[2])\n"
    "end\n"
    "local requeued, dead = 0, 0\n"
    "for i = 1, #held do\n"
    "  local id = held[i][1]\n"
    "  local found = redis.call('XRANGE', KEYS[1], id, id)\n"
    "  if found[1] then\n"
    "    local fields = found[1][2]\n"
    "    local b, n = nil, 0\n"
    "    for j = 1, #fields, 2 do\n"
    "      if fields[j] == 'b' then b = fields[j + 1] end\n"
    "      if fields[j] == 'n' then n = tonumber(fields[j + 1]) or 0 end\n"
    "    end\n"
    "    if b and n < tonumber(ARGV[4]) then\n"
    "      redis.call('XADD', KEYS[1], '*', 'b', b, 'n', string.format('%.0f', n + 1))\n"
    "      requeued = requeued + 1\n"
    "    else\n"
    "      redis.call('XADD', KEYS[2], '*', 'b', b or '', 'n', string.format('%.0f', n + 1),\n"
    "                 'r', ARGV[5])\n"
    "      dead = dead + 1\n"
    "    end\n"
    "  end\n"
    "  redis.call('XACK', KEYS[1], ARGV[1], id)\n"
    "  redis.call('XDEL', KEYS[1], id)\n"
    "end\n"
    "if ARGV[2] ~= '' and #held < tonumber(ARGV[6]) then\n"
    "  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])\n"
    "end\n"
    "return {#held, requeued, dead}";

/* "EVAL script n_keys stream [dead] group" */
static void begin_eval(redis_command *c, const char *script, const char *stream, const char *dead)
{
    redis_command_add_text(c, "EVAL");
    redis_command_add_text(c, script);
    redis_command_add_text(c, dead != NULL ? "2" : "1");
    redis_command_add_text(c, stream);
    if (dead != NULL) redis_command_add_text(c, dead);
    redis_command_add_text(c, QUEUE_GROUP);
}

/* Run, look only at the status. */
static rt_status run_plain(redis_queue *q, const redis_command *c, rt_error *err)
{
    redisReply *reply = NULL;
    rt_status st = redis_link_run(q->link, c, 0, &reply, err);
    if (st == RT_OK) freeReplyObject(reply);
    return st;
}

static void redis_close(queue *base)
{
    redis_queue *q = (redis_queue *)base;
    redis_link_free(q->link);
    free(q);
}

static rt_status redis_ensure(queue *base, const char *stream, bool *made, rt_error *err)
{
    redis_queue *q = (redis_queue *)base;
    /* A script, since "the group is there already" is an error reply that must not look like one. */
    static const char script[] =
        "local r = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')\n"
        "if r.ok then return 1 end\n"
        "if string.find(r.err, 'BUSYGROUP') then return 0 end\n"
        "return r";
    redis_command c = {0};
    redisReply *reply = NULL;
    begin_eval(&c, script, stream, NULL);
    rt_status st = redis_link_run(q->link, &c, 0, &reply, err);
    if (st != RT_OK) return st;
    *made = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    freeReplyObject(reply);
    return RT_OK;
}

static rt_status redis_add(queue *base, const char *stream, const rt_buf *items, size_t n,
                           uint32_t attempts, rt_error *err)
{
    redis_queue *q = (redis_queue *)base;
    rt_status st = RT_OK;
    char number[24];
    size_t i = 0;
    redis_command *commands = rt_calloc(RT_MIN(n, ADD_AT_ONCE), sizeof *commands);
    if (commands == NULL) return rt_fail(err, RT_NOMEM, "%zu entries", n);
    while (i < n && st == RT_OK) {
        size_t n_now = 0, n_bytes = 0;
        for (; i < n && n_now < ADD_AT_ONCE && (n_now == 0 || n_bytes < ADD_BYTES); i++) {
            redis_command *c = &commands[n_now++];
            c->n = 0;
            redis_command_add_text(c, "XADD");
            redis_command_add_text(c, stream);
            redis_command_add_text(c, "NOMKSTREAM");
            redis_command_add_text(c, "*");
            redis_command_add_text(c, "b");
            redis_command_add(c, items[i].data, items[i].n);
            redis_command_add_text(c, "n");
            redis_command_add_u64(c, number, attempts);
            n_bytes += items[i].n;
        }
        st = redis_link_run_many(q->link, commands, n_now, err);
    }
    free(commands);
    return st;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* Fields of one entry; false for a ghost and for what is not ours. */
static bool take_fields(const redisReply *fields, queue_entry *e, rt_status *st, rt_error *err)
{
    const redisReply *bytes = NULL;
    uint64_t attempts = 0;
    if (fields->type != REDIS_REPLY_ARRAY) return false;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i], *value = fields->element[i + 1];
        if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING) return false;
        if (strcmp(name->str, "b") == 0) bytes = value;
        if (strcmp(name->str, "n") == 0 &&
            (!rt_parse_u64(value->str, &attempts) || attempts > UINT32_MAX))
            return false;
    }
    if (bytes == NULL) return false;
    size_t n = (size_t)bytes->len;
    if ((e->bytes = rt_strndup(bytes->str, n)) == NULL) {
        *st = rt_fail(err, RT_NOMEM, "queue entry of %zu bytes", n);
        return false;
    }
    e->n_bytes = n;
    e->attempts = (uint32_t)attempts;
    return true;
}

typedef struct read_sink {
    queue_entry *entries;
    size_t n;
    queue_entry ghosts[ACK_AT_ONCE];
    size_t n_ghosts;
} read_sink;

static rt_status take_entries(const redisReply *list, size_t n_max, read_sink *sink, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; i < list->elements && sink->n < n_max && st == RT_OK; i++) {
        const redisReply *pair = list->element[i];
        queue_entry e = {0};
        if (pair->type != REDIS_REPLY_ARRAY || pair->elements != 2 ||
            pair->element[0]->type != REDIS_REPLY_STRING ||
            (size_t)pair->element[0]->len >= sizeof e.id)
            continue;
        memcpy(e.id, pair->element[0]->str, (size_t)pair->element[0]->len);
        if (take_fields(pair->element[1], &e, &st, err))
            sink->entries[sink->n++] = e;
        else if (st == RT_OK && sink->n_ghosts < ACK_AT_ONCE)
            sink->ghosts[sink->n_ghosts++] = e;
    }
    return st;
}

/* One XREADGROUP from `start`: ">" for new entries, "0" for those this consumer holds. */
static rt_status read_from(redis_queue *q, const char *stream, const char *consumer,
                           const char *start, size_t n_max, uint64_t block_ms, read_sink *sink,
                           rt_error *err)
{
    redis_command c = {0};
    redisReply *reply = NULL;
    char count[24], block[24];
    redis_command_add_text(&c, "XREADGROUP");
    redis_command_add_text(&c, "GROUP");
    redis_command_add_text(&c, QUEUE_GROUP);
    redis_command_add_text(&c, consumer);
    redis_command_add_text(&c, "COUNT");
    redis_command_add_u64(&c, count, n_max);
    if (block_ms > 0) { /* BLOCK 0 would wait for ever */
        redis_command_add_text(&c, "BLOCK");
        redis_command_add_u64(&c, block, block_ms);
    }
    redis_command_add_text(&c, "STREAMS");
    redis_command_add_text(&c, stream);
    redis_command_add_text(&c, start);
    rt_status st = redis_link_run(q->link, &c, block_ms, &reply, err);
    if (st != RT_OK) return st;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->type == REDIS_REPLY_ARRAY && reply->element[0]->elements == 2 &&
        reply->element[0]->element[1]->type == REDIS_REPLY_ARRAY)
        st = take_entries(reply->element[0]->element[1], n_max, sink, err);
    freeReplyObject(reply);
    return st;
}

static rt_status redis_ack(queue *base, const char *stream, const queue_entry *entries, size_t n,
                           rt_error *err)
{
    redis_queue *q = (redis_queue *)base;
    rt_status st = RT_OK;
    for (size_t i = 0; i < n && st == RT_OK;) {
        redis_command c = {0};
        begin_eval(&c, ack_script, stream, NULL);
        for (size_t end = RT_MIN(n, i + ACK_AT_ONCE); i < end; i++)
            redis_command_add_text(&c, entries[i].id);
        st = run_plain(q, &c, err);
    }
    return st;
}

/* As read_from(), and again while there was nothing but ghosts. */
static rt_status read_past_ghosts(redis_queue *q, const char *stream, const char *consumer,
                                  const char *start, size_t n_max, uint64_t block_ms,
                                  read_sink *sink, rt_error *err)
{
    for (;;) {
        sink->n_ghosts = 0;
        rt_status st = read_from(q, stream, consumer, start, n_max, block_ms, sink, err);
        if (st == RT_OK && sink->n_ghosts > 0) {
            rt_log_warn("queue.ghosts", "stream=%s n=%zu: entries without a body of ours, skipped",
                        stream, sink->n_ghosts);
            st = redis_ack(&q->base, stream, sink->ghosts, sink->n_ghosts, err);
        }
        if (st != RT_OK || sink->n > 0 || sink->n_ghosts == 0) return st;
    }
}

/* After a lost connection, what was handed to it is pending here and known to nobody: hand it out
 * again, once, in pages, before anything new. */
static rt_status read_again(redis_queue *q, const char *stream, const char *consumer, size_t n_max,
                            read_sink *sink, rt_error *err)
{
    if (redis_link_connects(q->link) != q->n_connects_read) memcpy(q->again_from, "0", 2);
    if (*q->again_from == '\0') return RT_OK;
    uint64_t n_connects = redis_link_connects(q->link);
    rt_status st = read_past_ghosts(q, stream, consumer, q->again_from, n_max, 0, sink, err);
    if (st != RT_OK) return st;
    q->n_connects_read = n_connects;
    *q->again_from = '\0';
    if (sink->n == n_max) memcpy(q->again_from, sink->entries[n_max - 1].id, sizeof q->again_from);
    return RT_OK;
}

static rt_status redis_read(queue *base, const char *stream, const char *consumer, bool pending,
                            size_t n_max, uint64_t block_ms, queue_entry *entries, size_t *n,
                            rt_error *err)
{
    redis_queue *q = (redis_queue *)base;
    read_sink sink = {.entries = entries};
    rt_status st = redis_link_connect(q->link, err);
    if (st != RT_OK) return st;
    if (pending)
        st = read_past_ghosts(q, stream, consumer, "0", n_max, 0, &sink, err);
    else
        st = read_again(q, stream, consumer, n_max, &sink, err);
    if (st == RT_OK && sink.n == 0)
        st = read_past_ghosts(q, stream, consumer, ">", n_max, block_ms, &sink, err);
    if (st != RT_OK) {
        queue_entries_free(entries, sink.n);
        return st;
    }
    *n = sink.n;
    return RT_OK;
}

/* ---- the rest --------------------------------------------------------------------------- */

static rt_status redis_length(queue *base, const char *stream, uint64_t *out, rt_error *err)
{
    redis_queue *q = (redis_queue *)base;
    redis_command c = {0};
    redisReply *reply = NULL;
    redis_command_add_text(&c, "XLEN");
    redis_command_add_text(&c, stream);
    rt_status st = redis_link_run(q->link, &c, 0, &reply, err);
    if (st != RT_OK) return st;
    *out = reply->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->integer : 0;
    freeReplyObject(reply);
    return RT_OK;
}

/* What is not ours is passed over, and stays where it is. */
static rt_status redis_newest(queue *base, const char *stream, size_t n_max, queue_entry *entries,
                              size_t *n, rt_error *err)
{
    redis_queue *q = (redis_queue *)base;
    read_sink sink = {.entries = entries};
    redis_command c = {0};
    redisReply *reply = NULL;
    char count[24];
    redis_command_add_text(&c, "XREVRANGE");
    redis_command_add_text(&c, stream);
    redis_command_add_text(&c, "+");
    redis_command_add_text(&c, "-");
    redis_command_add_text(&c, "COUNT");
    redis_command_add_u64(&c, count, n_max);
    rt_status st = redis_link_run(q->link, &c, 0, &reply, err);
    if (st != RT_OK) return st;
    if (reply->type == REDIS_REPLY_ARRAY) st = take_entries(reply, n_max, &sink, err);
    freeReplyObject(reply);
    if (st != RT_OK) {
        queue_entries_free(entries, sink.n);
        return st;
    }
    *n = sink.n;
    return RT_OK;
}

static long long integer_at(const redisReply *reply, size_t i)
{
    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements) return 0;
    return reply->element[i]->type == REDIS_REPLY_INTEGER ? reply->element[i]->integer : 0;
}

static rt_status redis_requeue(queue *base, const queue_requeue_ask *ask, size_t *n_requeued,
                               size_t *n_dead, rt_error *err)
{
    redis_queue *q = (redis_queue *)base;
    char idle[24], attempts_max[24];
    redis_command c = {0};
    begin_eval(&c, requeue_script, ask->stream, ask->dead);
    redis_command_add_text(&c, ask->consumer == NULL ? "" : ask->consumer);
    redis_command_add_u64(&c, idle, ask->idle_ms);
    redis_command_add_u64(&c, attempts_max, ask->attempts_max);
    redis_command_add_text(&c, ask->reason);
    redis_command_add_text(&c, REQUEUE_AT_ONCE);
    for (;;) {
        redisReply *reply = NULL;
        rt_status st = redis_link_run(q->link, &c, 0, &reply, err);
        if (st != RT_OK) return st;
        long long n_seen = integer_at(reply, 0);
        *n_requeued += (size_t)integer_at(reply, 1);
        *n_dead += (size_t)integer_at(reply, 2);
        freeReplyObject(reply);
        if (n_seen < atoll(REQUEUE_AT_ONCE)) return RT_OK;
    }
}

static rt_status redis_bury(queue *base, const char *stream, const queue_entry *entry,
                            const char *dead, const char *reason, rt_error *err)
{
    redis_queue *q = (redis_queue *)base;
    char attempts[24];
    redis_command c = {0};
    begin_eval(&c, bury_script, stream, dead);
    redis_command_add_text(&c, entry->id);
    redis_command_add(&c, entry->bytes, entry->n_bytes);
    redis_command_add_u64(&c, attempts, entry->attempts);
    redis_command_add_text(&c, reason);
    return run_plain(q, &c, err);
}

static rt_status redis_drop(queue *base, const char *stream, rt_error *err)
{
    redis_command c = {0};
    redis_command_add_text(&c, "DEL");
    redis_command_add_text(&c, stream);
    return run_plain((redis_queue *)base, &c, err);
}

static const queue_backend redis_backend = {
    redis_close,  redis_ensure, redis_add,     redis_read, redis_ack,
    redis_length, redis_newest, redis_requeue, redis_bury, redis_drop,
};

rt_status queue_open_redis(const char *url, const char *password, queue **out, rt_error *err)
{
    queue_login login = {.password = password};
    return queue_open_redis_as(url, &login, out, err);
}

rt_status queue_check_url(const char *url, const queue_login *login, rt_error *err)
{
    redis_link *l = NULL;
    rt_status st = redis_link_new(url, login, &l, err);
    redis_link_free(l);
    return st;
}

rt_status queue_open_redis_as(const char *url, const queue_login *login, queue **out, rt_error *err)
{
    rt_status st = RT_OK;
    redis_queue *q = rt_calloc(1, sizeof *q);
    if (q == NULL) {
        st = rt_fail(err, RT_NOMEM, "queue");
        goto out;
    }
    q->base.backend = &redis_backend;
    if ((st = redis_link_new(url, login, &q->link, err)) != RT_OK) goto out;
    if ((st = redis_link_connect(q->link, err)) != RT_OK) goto out;
    q->n_connects_read = redis_link_connects(q->link);
    *out = &q->base;
    q = NULL;
out:
    if (q != NULL) redis_close(&q->base);
    return st;
}
