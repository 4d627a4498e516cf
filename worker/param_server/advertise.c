#include "worker/param_server/advertise.h"

#include <inttypes.h>
#include <string.h>

rt_status endpoint_fill(const char *pattern, uint32_t shard, const char *bound, rt_buf *out,
                        rt_error *err)
{
    static const char mark[] = "{shard}";
    rt_status st = RT_OK;
    const char *at = pattern;
    for (const char *hit; st == RT_OK && (hit = strstr(at, mark)) != NULL;
         at = hit + sizeof mark - 1) {
        st = rt_buf_add(out, at, (size_t)(hit - at), err);
        if (st == RT_OK) st = rt_buf_printf(out, err, "%" PRIu32, shard);
    }
    if (st != RT_OK) return st;
    size_t n = strlen(at);
    const char *port = strrchr(bound, ':');
    bool any_port = n >= 2 && strcmp(at + n - 2, ":*") == 0 && port != NULL;
    st = rt_buf_add(out, at, any_port ? n - 2 : n, err);
    if (st == RT_OK && any_port) st = rt_buf_add_text(out, port, err);
    return st;
}
