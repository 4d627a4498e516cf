#include "common/queue/redis_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/queue/redis_tls.h"
#include "common/queue/server_info.h"

#define CONNECT_MS    2000
#define COMMAND_MS    5000
#define DEFAULT_PORT  6379
#define VERSION_MAJOR 6 /* XADD NOMKSTREAM and XPENDING IDLE came with 6.2 */
#define VERSION_MINOR 2

struct redis_link {
    redisContext *context; /* NULL: not connected */
    pid_t pid;             /* who connected: a context is never used across fork */
    char name[160];        /* for messages: the URL, which holds no password */
    char address[128];     /* host or path */
    int port;              /* 0: address is a path */
    queue_login login;     /* its texts are our own copies */
    bool uses_tls;
    uint64_t n_connects;
    bool warned; /* about eviction */
};

/* ---- address ---------------------------------------------------------------------------- */

static bool host_is_local(const char *host)
{
    struct in_addr v4;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0) return true;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static bool parse_host_port(redis_link *l, const char *text)
{
    uint64_t port = DEFAULT_PORT;
    const char *host = text, *end = text + strcspn(text, "/"), *colon = NULL;
    if (*end == '/' && end[1] != '\0') return false;
    for (const char *p = text; p < end; p++)
        if (*p == ':') colon = p;
    if (*host == '[') {
        const char *close = strchr(host, ']');
        if (close == NULL || close > end) return false;
        if (colon != NULL && colon < close) colon = NULL;
        host++;
        if (colon == NULL ? close + 1 != end : close + 1 != colon) return false;
    }
    const char *host_end = colon != NULL ? colon : end;
    if (host != text) host_end--; /* the bracket */
    size_t n = (size_t)(host_end - host);
    if (n == 0 || n >= sizeof l->address) return false;
    if (colon != NULL) {
        char digits[8] = {0};
        size_t n_digits = (size_t)(end - colon - 1);
        if (n_digits >= sizeof digits) return false;
        memcpy(digits, colon + 1, n_digits);
        if (!rt_parse_u64(digits, &port) || port == 0 || port > 65535) return false;
    }
    memcpy(l->address, host, n);
    l->address[n] = '\0';
    l->port = (int)port;
    return true;
}

static rt_status parse_url(redis_link *l, const char *url, rt_error *err)
{
    bool good = false;
    if (strchr(url, '@') != NULL && strncmp(url, "redis", 5) == 0)
        return rt_fail(
            err, RT_INVALID,
            "queue URL: it holds a user or password; give redis://HOST:PORT, queue.user, "
            "and the password through its file or the environment");
    if (strncmp(url, "unix:", 5) == 0) {
        size_t n = strlen(url + 5);
        good = n > 0 && n < sizeof l->address;
        if (good) memcpy(l->address, url + 5, n + 1);
    } else if (strncmp(url, "redis://", 8) == 0) {
        good = parse_host_port(l, url + 8);
    } else if (strncmp(url, "rediss://", 9) == 0) {
        l->uses_tls = true;
        good = parse_host_port(l, url + 9);
    }
    if (!good)
        return rt_fail(err, RT_INVALID,
                       "queue URL '%.100s': expected redis://HOST:PORT, rediss://HOST:PORT or "
                       "unix:PATH (at most 107 bytes)",
                       url);
    if (l->uses_tls && !queue_has_tls()) return redis_tls_start(NULL, NULL, "", url, err);
    snprintf(l->name, sizeof l->name, "%s", url);
    return RT_OK;
}

static const char *copy_text(const char *text, bool *ok)
{
    char *copy = rt_strndup(text != NULL ? text : "", text != NULL ? strlen(text) : 0);
    *ok = *ok && copy != NULL;
    return copy;
}

static bool copy_login(const queue_login *from, queue_login *out)
{
    bool ok = true;
    out->read_password = from->read_password;
    out->context = from->context;
    out->user = copy_text(from->user, &ok);
    out->password = copy_text(from->password, &ok);
    out->ca_file = copy_text(from->ca_file, &ok);
    out->cert_file = copy_text(from->cert_file, &ok);
    out->key_file = copy_text(from->key_file, &ok);
    return ok;
}

static bool has_password(const queue_login *login)
{
    return login->read_password != NULL || login->password[0] != '\0';
}

rt_status redis_link_new(const char *url, const queue_login *login, redis_link **out, rt_error *err)
{
    rt_status st = RT_OK;
    redis_link *l = rt_calloc(1, sizeof *l);
    if (l == NULL || !copy_login(login, &l->login)) {
        st = rt_fail(err, RT_NOMEM, "queue");
        goto out;
    }
    if ((st = parse_url(l, url, err)) != RT_OK) goto out;
    if (l->port != 0 && !has_password(&l->login) && !host_is_local(l->address)) {
        st = rt_fail(err, RT_INVALID,
                     "queue %s: beyond loopback Redis needs a password (requirepass); set "
                     "queue.password",
                     l->name);
        goto out;
    }
    *out = l;
    l = NULL;
out:
    redis_link_free(l);
    return st;
}

static void disconnect(redis_link *l)
{
    if (l->context != NULL) redisFree(l->context);
    l->context = NULL;
}

void redis_link_free(redis_link *l)
{
    if (l == NULL) return;
    disconnect(l);
    char *password = (char *)(uintptr_t)l->login.password;
    if (password != NULL) explicit_bzero(password, strlen(password));
    free(password);
    free((char *)(uintptr_t)l->login.user);
    free((char *)(uintptr_t)l->login.ca_file);
    free((char *)(uintptr_t)l->login.cert_file);
    free((char *)(uintptr_t)l->login.key_file);
    free(l);
}

uint64_t redis_link_connects(const redis_link *l)
{
    return l->n_connects;
}

/* ---- replies ---------------------------------------------------------------------------- */

typedef struct error_kind {
    const char *word;
    rt_status status;
} error_kind;

/* Words of Redis' error replies. Older servers wrap the errors of a script, so the word may stand
 * anywhere. */
static const error_kind error_kinds[] = {
    {"NOGROUP ", RT_NOTFOUND},
    {"no longer exists", RT_NOTFOUND}, /* UNBLOCKED: the stream went away while we waited */
    {"OOM ", RT_FULL},
    {"WRONGPASS", RT_REFUSED},
    {"NOAUTH", RT_REFUSED},
    {"WRONGTYPE", RT_INVALID}, /* somebody else's key */
    {"NOPERM", RT_REFUSED},
    {"invalid password", RT_REFUSED},
    {"LOADING", RT_UNAVAILABLE},
    {"MISCONF", RT_UNAVAILABLE},
    {"READONLY", RT_UNAVAILABLE},
    {"BUSY ", RT_UNAVAILABLE},
    {"MASTERDOWN", RT_UNAVAILABLE},
    {"TRYAGAIN", RT_UNAVAILABLE},
    {"CLUSTERDOWN", RT_UNAVAILABLE},
    {"max number of clients", RT_UNAVAILABLE},
};

static rt_status status_of(const redis_link *l, const redisReply *reply, rt_error *err)
{
    if (reply->type != REDIS_REPLY_ERROR) return RT_OK;
    /* Anything else says that Redis did not understand us. Our commands are fixed texts, so their bytes
     * changed on the way: another connection may do better, and the reason stands in the stats. */
    rt_status st = RT_UNAVAILABLE;
    for (size_t i = 0; i < RT_COUNT(error_kinds); i++)
        if (strstr(reply->str, error_kinds[i].word) != NULL) {
            st = error_kinds[i].status;
            break;
        }
    const char *fix = "";
    if (strstr(reply->str, "NOAUTH") != NULL) fix = "; set queue.password";
    if (strstr(reply->str, "OOM ") != NULL) fix = "; raise maxmemory or lower the queue limits";
    return rt_fail(err, st, "queue %s: %.300s%s", l->name, reply->str, fix);
}

static rt_status unavailable(const redis_link *l, const char *what, rt_error *err)
{
    const redisContext *c = l->context;
    const char *why = c == NULL ? "out of memory"
                      : c->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK)
                          ? "no answer in time"
                          : c->errstr;
    return rt_fail(err, RT_UNAVAILABLE, "queue %s: %s: %s", l->name, what, why);
}

/* ---- connecting ------------------------------------------------------------------------- */

static bool set_timeout(redisContext *c, uint64_t timeout_ms)
{
    struct timeval tv = {(time_t)(timeout_ms / 1000), (suseconds_t)(timeout_ms % 1000 * 1000)};
    return redisSetTimeout(c, tv) == REDIS_OK;
}

static rt_status send_login(redis_link *l, const char *password, size_t n_password, rt_error *err)
{
    rt_status st = RT_OK;
    const char *argv[3] = {"AUTH"};
    size_t n_bytes[3] = {4};
    int n = 1;
    if (l->login.user[0] != '\0') {
        argv[n] = l->login.user;
        n_bytes[n++] = strlen(l->login.user);
    }
    argv[n] = password;
    n_bytes[n++] = n_password;
    redisReply *reply = redisCommandArgv(l->context, n, argv, n_bytes);
    if (reply == NULL) return unavailable(l, "AUTH", err);
    if (reply->type == REDIS_REPLY_ERROR)
        st =
            rt_fail(err, RT_REFUSED,
                    "queue %s: %s%s%sthe password was not accepted: %.200s; mend queue.password or "
                    "the server's",
                    l->name, n == 3 ? "user '" : "", n == 3 ? l->login.user : "",
                    n == 3 ? "': " : "", reply->str);
    freeReplyObject(reply);
    return st;
}

static rt_status authenticate(redis_link *l, rt_error *err)
{
    rt_buf password = {0};
    rt_status st = RT_OK;
    if (!has_password(&l->login)) return RT_OK;
    st = l->login.read_password != NULL ? l->login.read_password(l->login.context, &password, err)
                                        : rt_buf_add_text(&password, l->login.password, err);
    if (st == RT_OK && password.n > 0) st = send_login(l, password.data, password.n, err);
    if (password.data != NULL) explicit_bzero(password.data, password.capacity);
    rt_buf_free(&password);
    return st;
}

static rt_status check_version(const redis_link *l, const char *info, rt_error *err)
{
    char version[32];
    int major = 0, minor = 0;
    if (!queue_info_value(info, "redis_version", version, sizeof version) ||
        sscanf(version, "%d.%d", &major, &minor) != 2)
        return rt_fail(err, RT_UNSUPPORTED, "queue %s: the server does not tell its version",
                       l->name);
    if (major < VERSION_MAJOR || (major == VERSION_MAJOR && minor < VERSION_MINOR))
        return rt_fail(err, RT_UNSUPPORTED, "queue %s: Redis %s, expected %d.%d or newer", l->name,
                       version, VERSION_MAJOR, VERSION_MINOR);
    return RT_OK;
}

static void warn_of_eviction(redis_link *l, const char *info)
{
    char policy[32];
    if (l->warned || !queue_info_value(info, "maxmemory_policy", policy, sizeof policy)) return;
    if (strcmp(policy, "noeviction") == 0) return;
    l->warned = true;
    rt_log_warn("queue.eviction",
                "url=%s maxmemory-policy=%s: a whole stream may be evicted; set it to noeviction",
                l->name, policy);
}

static rt_status check_server(redis_link *l, rt_error *err)
{
    static const char *const sections[] = {"INFO server", "INFO memory"};
    for (size_t i = 0; i < RT_COUNT(sections); i++) {
        redisReply *reply = redisCommand(l->context, sections[i]);
        if (reply == NULL) return unavailable(l, "INFO", err);
        rt_status st = status_of(l, reply, err);
        if (st == RT_OK && reply->type == REDIS_REPLY_STRING) {
            if (i == 0) st = check_version(l, reply->str, err);
            if (i == 1) warn_of_eviction(l, reply->str);
        }
        freeReplyObject(reply);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

rt_status redis_link_connect(redis_link *l, rt_error *err)
{
    struct timeval patience = {CONNECT_MS / 1000, CONNECT_MS % 1000 * 1000};
    rt_status st = RT_OK;
    if (l->context != NULL && l->pid != getpid()) disconnect(l);
    if (l->context != NULL) return RT_OK;
    l->context = l->port == 0 ? redisConnectUnixWithTimeout(l->address, patience)
                              : redisConnectWithTimeout(l->address, l->port, patience);
    if (l->context == NULL || l->context->err != 0) {
        st = unavailable(l, "connect", err);
        goto out;
    }
    (void)fcntl(l->context->fd, F_SETFD, FD_CLOEXEC);
    if (l->port != 0) (void)redisEnableKeepAlive(l->context);
    if (!set_timeout(l->context, COMMAND_MS)) {
        st = unavailable(l, "timeout", err);
        goto out;
    }
    if (l->uses_tls) st = redis_tls_start(l->context, &l->login, l->address, l->name, err);
    if (st != RT_OK) goto out;
    if ((st = authenticate(l, err)) != RT_OK) goto out;
    if ((st = check_server(l, err)) != RT_OK) goto out;
    l->pid = getpid();
    l->n_connects++;
out:
    if (st != RT_OK) disconnect(l);
    if (st != RT_OK && l->n_connects > 0) {
        st = RT_UNAVAILABLE;
        if (err != NULL) err->status = st;
    }
    return st;
}

/* ---- commands --------------------------------------------------------------------------- */

void redis_command_add(redis_command *c, const void *bytes, size_t n_bytes)
{
    RT_ASSERT(c->n < REDIS_PARTS_MAX);
    c->parts[c->n] = n_bytes > 0 ? bytes : "";
    c->n_bytes[c->n] = n_bytes;
    c->n++;
}

void redis_command_add_text(redis_command *c, const char *text)
{
    redis_command_add(c, text, strlen(text));
}

void redis_command_add_u64(redis_command *c, char text[24], uint64_t value)
{
    snprintf(text, 24, "%" PRIu64, value);
    redis_command_add_text(c, text);
}

static bool append(redis_link *l, const redis_command *c)
{
    return redisAppendCommandArgv(l->context, (int)c->n, (const char **)(uintptr_t)c->parts,
                                  c->n_bytes) == REDIS_OK;
}

/* One try. RT_UNAVAILABLE leaves no context behind when the connection is what failed. */
static rt_status run_once(redis_link *l, const redis_command *c, uint64_t block_ms,
                          redisReply **out, rt_error *err)
{
    void *reply = NULL;
    rt_status st = redis_link_connect(l, err);
    if (st != RT_OK) return st;
    bool longer = block_ms > 0 && set_timeout(l->context, COMMAND_MS + block_ms);
    if (!append(l, c) || redisGetReply(l->context, &reply) != REDIS_OK || reply == NULL) {
        st = unavailable(l, c->parts[0], err);
        disconnect(l);
        return st;
    }
    if (longer && !set_timeout(l->context, COMMAND_MS)) disconnect(l);
    if ((st = status_of(l, reply, err)) != RT_OK) {
        freeReplyObject(reply);
        if (st == RT_UNAVAILABLE) disconnect(l);
        return st;
    }
    *out = reply;
    return RT_OK;
}

rt_status redis_link_run(redis_link *l, const redis_command *c, uint64_t block_ms, redisReply **out,
                         rt_error *err)
{
    rt_error first = {0};
    bool had_context = l->context != NULL;
    rt_status st = run_once(l, c, block_ms, out, &first);
    /* A connection that was fine before may have died since; a new one gets no second chance. */
    if (st == RT_UNAVAILABLE && l->context == NULL && had_context)
        return run_once(l, c, block_ms, out, err);
    return st == RT_OK ? RT_OK : rt_fail(err, st, "%s", first.text);
}

static rt_status run_many_once(redis_link *l, const redis_command *commands, size_t n,
                               rt_error *err)
{
    rt_status st = redis_link_connect(l, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < n; i++)
        if (!append(l, &commands[i])) {
            st = unavailable(l, commands[i].parts[0], err);
            disconnect(l);
            return st;
        }
    for (size_t i = 0; i < n; i++) {
        void *reply = NULL;
        if (redisGetReply(l->context, &reply) != REDIS_OK || reply == NULL) {
            st = unavailable(l, commands[i].parts[0], err);
            disconnect(l);
            return st;
        }
        rt_status one = status_of(l, reply, st == RT_OK ? err : NULL);
        if (one == RT_OK && ((redisReply *)reply)->type == REDIS_REPLY_NIL)
            one = rt_fail(st == RT_OK ? err : NULL, RT_NOTFOUND, "queue %s: stream %s is gone",
                          l->name, commands[i].parts[1]);
        if (st == RT_OK) st = one;
        freeReplyObject(reply);
    }
    return st;
}

rt_status redis_link_run_many(redis_link *l, const redis_command *commands, size_t n, rt_error *err)
{
    rt_error first = {0};
    bool had_context = l->context != NULL;
    rt_status st = run_many_once(l, commands, n, &first);
    if (st == RT_UNAVAILABLE && l->context == NULL && had_context)
        return run_many_once(l, commands, n, err);
    return st == RT_OK ? RT_OK : rt_fail(err, st, "%s", first.text);
}
