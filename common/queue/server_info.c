#include "common/queue/server_info.h"

#include <string.h>

#include "common/base/bytes.h"
#include "common/queue/redis_link.h"

bool queue_info_value(const char *info, const char *name, char *out, size_t n_out)
{
    size_t n_name = strlen(name);
    for (const char *line = info; *line != '\0';) {
        size_t n_line = strcspn(line, "\r\n");
        if (n_line > n_name && memcmp(line, name, n_name) == 0 && line[n_name] == ':') {
            size_t n = RT_MIN(n_line - n_name - 1, n_out - 1);
            memcpy(out, line + n_name + 1, n);
            out[n] = '\0';
            return true;
        }
        line += n_line;
        line += strspn(line, "\r\n");
    }
    return false;
}

static uint64_t number_of(const char *info, const char *name)
{
    char text[24];
    uint64_t n;
    return queue_info_value(info, name, text, sizeof text) && rt_parse_u64(text, &n) ? n : 0;
}

queue_server_info queue_server_info_read(const char *info)
{
    queue_server_info out = {
        .maxmemory = number_of(info, "maxmemory"),
        .used_memory = number_of(info, "used_memory"),
    };
    (void)queue_info_value(info, "redis_version", out.version, sizeof out.version);
    (void)queue_info_value(info, "maxmemory_policy", out.policy, sizeof out.policy);
    (void)queue_info_value(info, "role", out.role, sizeof out.role);
    return out;
}

static rt_status run_word(redis_link *l, const char *word, redisReply **out, rt_error *err)
{
    redis_command c = {0};
    redis_command_add_text(&c, word);
    return redis_link_run(l, &c, 0, out, err);
}

rt_status queue_probe_redis(const char *url, const queue_login *login, queue_server_info *out,
                            rt_error *err)
{
    redis_link *l = NULL;
    redisReply *pong = NULL, *info = NULL;
    rt_status st = redis_link_new(url, login, &l, err);
    if (st == RT_OK) st = redis_link_connect(l, err);
    if (st == RT_OK) st = run_word(l, "PING", &pong, err);
    if (st == RT_OK) st = run_word(l, "INFO", &info, err);
    if (st == RT_OK && info->type != REDIS_REPLY_STRING)
        st = rt_fail(err, RT_UNSUPPORTED, "queue %s: INFO is not answered by a text", url);
    if (st == RT_OK) *out = queue_server_info_read(info->str);
    if (pong != NULL) freeReplyObject(pong);
    if (info != NULL) freeReplyObject(info);
    redis_link_free(l);
    return st;
}
