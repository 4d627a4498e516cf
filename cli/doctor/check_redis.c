/* The run's pipe: the launcher's own Redis is started for a moment, another one is asked. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/redis_verdict.h"
#include "cli/launch/local.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/stop.h"

#define START_MS      5000
#define LEAVE_MS      3000
#define TRY_EVERY_MS  10
#define LOG_BYTES_MAX ((size_t)64 << 10)

static uint64_t need_of(const doctor *d)
{
    return redis_need_of(d->config, (uint64_t)corpus_sample_bytes_mean(&d->rows),
                         d->answer_bytes_max);
}

static finding redis_failure(const rt_error *err, const char *fix)
{
    finding f = finding_of_error(err, fix);
    finding_expect(&f, "Redis 6.2 or newer");
    return f;
}

/* The last line of its log says best why it left. */
static rt_status fail_with_log(const local_redis *redis, const process_exit *e, rt_error *err)
{
    rt_buf log = {0};
    const char *last = "";
    if (rt_fs_read(redis->log_path, LOG_BYTES_MAX, &log, NULL) == RT_OK && log.n > 0) {
        while (log.n > 0 && log.data[log.n - 1] == '\n') log.data[--log.n] = '\0';
        last = strrchr(log.data, '\n');
        last = last != NULL ? last + 1 : log.data;
    }
    rt_status st =
        rt_fail(err, RT_UNAVAILABLE, "redis-server left with exit code %d: %.500s", e->code, last);
    rt_buf_free(&log);
    return st;
}

static rt_status wait_for(const local_redis *redis, pid_t *pid, queue_server_info *info,
                          rt_error *err)
{
    char url[128];
    queue_login nobody = {0};
    process_exit e;
    uint64_t deadline_ms = rt_clock_mono_ms() + START_MS;
    snprintf(url, sizeof url, "unix:%s", redis->socket);
    for (;;) {
        rt_error why = {0};
        rt_status st = queue_probe_redis(url, &nobody, info, &why);
        if (st == RT_OK) return RT_OK;
        if (process_reap(*pid, &e)) {
            *pid = 0;
            return fail_with_log(redis, &e, err);
        }
        if (st != RT_UNAVAILABLE) return rt_fail(err, st, "%s", why.text);
        if (rt_stop_requested() != RT_STOP_NONE)
            return rt_fail(err, RT_CANCELLED, "stopped on request");
        if (rt_clock_mono_ms() >= deadline_ms)
            return rt_fail(err, RT_TIMEOUT, "redis-server does not answer within %d ms: %.500s",
                           START_MS, why.text);
        rt_sleep_ms(TRY_EVERY_MS);
    }
}

static void stop(pid_t pid)
{
    process_exit e;
    if (pid <= 0) return;
    process_signal(pid, SIGTERM);
    if (process_wait(pid, LEAVE_MS, &e)) return;
    process_signal(pid, SIGKILL);
    (void)process_wait(pid, LEAVE_MS, &e);
}

/* Just as the launcher does, in a folder of its own. */
static finding try_own(const doctor *d)
{
    rt_error err = {0};
    local_redis redis = {0};
    queue_server_info info = {0};
    pid_t pid = 0;
    char folder[] = "/tmp/retort-doctor-XXXXXX", logs[64];
    if (mkdtemp(folder) == NULL)
        return finding_fail(RT_IO, "/tmp takes no folder for a Redis socket: %s", strerror(errno));
    rt_status st = rt_fs_join(logs, sizeof logs, folder, "logs", &err);
    if (st == RT_OK) st = rt_fs_mkdirs(logs, &err);
    if (st == RT_OK) st = local_redis_place(folder, &redis, &err);
    if (st == RT_OK) st = local_redis_start(&redis, &pid, &err);
    if (st == RT_OK) st = wait_for(&redis, &pid, &info, &err);
    stop(pid);
    if (redis.socket[0] != '\0') local_redis_clean(&redis);
    (void)!rt_fs_remove_tree(folder, NULL);
    if (st != RT_OK)
        return redis_failure(&err, "install redis-server, or set queue.url to a running Redis");
    return redis_verdict("a socket of the run (started and stopped)", &info, need_of(d));
}

static finding ask_other(const doctor *d)
{
    rt_error err = {0};
    queue_server_info info = {0};
    const queue_config *q = &d->config->queue;
    queue_login login = {.user = q->user,
                         .read_password = q->password[0] != '\0' ? config_queue_password : NULL,
                         .context = d->config,
                         .ca_file = q->ca_file,
                         .cert_file = q->cert_file,
                         .key_file = q->key_file};
    rt_status st = queue_probe_redis(q->url, &login, &info, &err);
    if (st == RT_OK) return redis_verdict(q->url, &info, need_of(d));
    return redis_failure(
        &err, st == RT_UNAVAILABLE   ? "start it, correct queue.url, or leave that empty: then "
                                       "retort run starts one"
              : st == RT_UNSUPPORTED ? "use a newer Redis, or redis:// for rediss://"
              : strncmp(q->url, "rediss://", 9) == 0
                  ? "correct queue.ca_file, queue.cert_file and queue.key_file, or queue.user and "
                    "queue.password"
                  : "correct queue.user and queue.password");
}

void check_redis(doctor *d)
{
    const char *url = d->config->queue.url;
    if (url[0] == '\0') {
        report_add(d->report, "redis", try_own(d));
    } else if (d->offline) {
        finding f = finding_warn("%s was not asked (--offline)", url);
        finding_expect(&f, "Redis 6.2 or newer");
        finding_fix(&f, "leave out --offline");
        report_add(d->report, "redis", f);
    } else {
        report_add(d->report, "redis", ask_other(d));
    }
}
