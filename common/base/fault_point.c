#include "common/base/fault_point.h"

#ifdef RT_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"

#define RULES_MAX 32
#define CODE_BAD  2 /* wrong usage */

typedef enum fault_action {
    FAULT_KILL,
    FAULT_STOP,
    FAULT_DELAY,
    FAULT_ERROR,
    FAULT_FULL,
    FAULT_TORN
} fault_action;

typedef struct fault_rule {
    char point[96];
    fault_action action;
    uint64_t value;
    uint64_t every; /* Nth passing */
    uint64_t times; /* 0: without end */
    atomic_ullong n_passed;
} fault_rule;

/* The rules are read once and belong to the process, as the environment does. */
static fault_rule rules[RULES_MAX];
static size_t n_rules;
static char folder[PATH_MAX - 128];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static _Noreturn void refuse(const char *text, const char *why)
{
    fprintf(stderr, "RETORT_FAULTS: '%s': %s\n", text, why);
    _exit(CODE_BAD);
}

static void parse_action(const char *text, fault_rule *r)
{
    static const char *const names[] = {
        [FAULT_KILL] = "kill",   [FAULT_STOP] = "stop", [FAULT_DELAY] = "delay",
        [FAULT_ERROR] = "error", [FAULT_FULL] = "full", [FAULT_TORN] = "torn"};
    size_t n = strcspn(text, "="), i = 0;
    const char *value = text[n] == '=' ? text + n + 1 : NULL;
    while (i < RT_COUNT(names) && (strlen(names[i]) != n || strncmp(names[i], text, n) != 0)) i++;
    if (i == RT_COUNT(names)) refuse(text, "no such action");
    r->action = (fault_action)i;
    bool needs_value =
        r->action == FAULT_DELAY || r->action == FAULT_ERROR || r->action == FAULT_TORN;
    bool may_have_one = needs_value || r->action == FAULT_KILL;
    if (value == NULL ? needs_value : !may_have_one) refuse(text, "a value is missing or too much");
    if (value == NULL) return;
    if (strcmp(value, "ENOSPC") == 0)
        r->value = ENOSPC;
    else if (strcmp(value, "EIO") == 0)
        r->value = EIO;
    else if (!rt_parse_u64(value, &r->value))
        refuse(text, "the value is no number");
}

static void parse_rule(char *text)
{
    char *rest = NULL;
    fault_rule *r = &rules[n_rules];
    if (n_rules == RULES_MAX) refuse(text, "too many rules");
    const char *point = strtok_r(text, ":", &rest), *action = strtok_r(NULL, ":", &rest);
    const char *every = strtok_r(NULL, ":", &rest), *times = strtok_r(NULL, ":", &rest);
    if (point == NULL || action == NULL || strlen(point) >= sizeof r->point)
        refuse(text, "expected POINT:ACTION");
    snprintf(r->point, sizeof r->point, "%s", point);
    parse_action(action, r);
    r->every = 1;
    r->times = r->action == FAULT_FULL ? 0 : 1;
    if (every != NULL && (!rt_parse_u64(every, &r->every) || r->every == 0))
        refuse(every, "the passing is no number");
    if (times != NULL && !rt_parse_u64(times, &r->times)) refuse(times, "no number of times");
    n_rules++;
}

/* The next rule of `*rest`, which is cut behind it; NULL: there is none. */
static char *next_rule(char **rest)
{
    char *text = *rest, *end = text;
    bool inside = false;
    if (*text == '\0') return NULL;
    for (; *end != '\0' && (inside || *end != ','); end++)
        if (*end == '(' || *end == ')') inside = *end == '(';
    *rest = *end == ',' ? end + 1 : end;
    *end = '\0';
    return text;
}

static void read_rules(void)
{
    char text[4096], *rest = text, *one;
    const char *given = getenv("RETORT_FAULTS"), *where = getenv("RETORT_FAULTS_DIR");
    if (given == NULL || given[0] == '\0') return;
    if (strlen(given) >= sizeof text) refuse(given, "too long");
    if (where == NULL || strlen(where) >= sizeof folder) refuse(given, "needs RETORT_FAULTS_DIR");
    snprintf(folder, sizeof folder, "%s", where);
    snprintf(text, sizeof text, "%s", given);
    while ((one = next_rule(&rest)) != NULL) parse_rule(one);
}

/* Leave the file POINT.K; false when K was another's or the folder is gone. */
static bool note(const fault_rule *r, uint64_t k)
{
    char path[PATH_MAX], text[64];
    snprintf(path, sizeof path, "%s/%s.%llu", folder, r->point, (unsigned long long)k);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    int n = snprintf(text, sizeof text, "%ld %llu\n", (long)getpid(),
                     (unsigned long long)rt_clock_wall_ms());
    ssize_t written = write(fd, text, (size_t)n);
    (void)written; /* the name says enough */
    close(fd);
    return true;
}

static bool disk_is_full(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/full", folder);
    return access(path, F_OK) == 0;
}

/* Whether the rule strikes now. */
static bool strikes(fault_rule *r)
{
    if (r->action == FAULT_FULL) {
        if (!disk_is_full()) return false;
        note(r, 1);
        return true;
    }
    if ((atomic_fetch_add(&r->n_passed, 1) + 1) % r->every != 0) return false;
    if (r->times == 0) {
        note(r, 1);
        return true;
    }
    for (uint64_t k = 1; k <= r->times; k++)
        if (note(r, k)) return true;
    return false;
}

static _Noreturn void die(void)
{
    for (;;) kill(getpid(), SIGKILL);
}

/* What can be done anywhere. */
static void strike(const fault_rule *r)
{
    switch (r->action) {
    case FAULT_KILL:
        rt_sleep_ms(r->value); /* what was handed to ZeroMQ leaves meanwhile */
        die();
    case FAULT_STOP: kill(getpid(), SIGSTOP); return;
    case FAULT_DELAY: rt_sleep_ms(r->value); return;
    case FAULT_ERROR:
    case FAULT_FULL:
    case FAULT_TORN: refuse(r->point, "this point cannot fail in such a way");
    }
}

void fault_point(const char *name)
{
    pthread_once(&once, read_rules);
    for (size_t i = 0; i < n_rules; i++)
        if (strcmp(rules[i].point, name) == 0 && strikes(&rules[i])) strike(&rules[i]);
}

/* The next rule for KIND(TEXT) with TEXT in what it is about, from *i on. */
static fault_rule *next_about(const char *kind, const char *about, size_t *i)
{
    size_t n_kind = strlen(kind);
    while (*i < n_rules) {
        fault_rule *r = &rules[(*i)++];
        char text[sizeof r->point];
        size_t n = strlen(r->point);
        if (strncmp(r->point, kind, n_kind) != 0 || r->point[n_kind] != '(') continue;
        snprintf(text, sizeof text, "%.*s", (int)(n - n_kind - 2), r->point + n_kind + 1);
        if (strstr(about, text) != NULL) return r;
    }
    return NULL;
}

void fault_point_about(const char *name, const char *about)
{
    fault_rule *r;
    pthread_once(&once, read_rules);
    for (size_t i = 0; (r = next_about(name, about, &i)) != NULL;)
        if (strikes(r)) strike(r);
}

static void write_part(int fd, const void *bytes, size_t n)
{
    ssize_t written = write(fd, bytes, n);
    (void)written; /* the failure is what is wanted */
}

int fault_write(int fd, const void *bytes, size_t n, const char *path)
{
    fault_rule *r;
    pthread_once(&once, read_rules);
    for (size_t i = 0; (r = next_about("write", path, &i)) != NULL;) {
        if (!strikes(r)) continue;
        if (r->action == FAULT_TORN) {
            write_part(fd, bytes, RT_MIN(n, (size_t)r->value));
            die();
        }
        if (r->action != FAULT_ERROR && r->action != FAULT_FULL) {
            strike(r);
            continue;
        }
        write_part(fd, bytes, n / 2);
        return r->action == FAULT_FULL ? ENOSPC : (int)r->value;
    }
    return 0;
}

int fault_sync(const char *path)
{
    fault_rule *r;
    pthread_once(&once, read_rules);
    for (size_t i = 0; (r = next_about("sync", path, &i)) != NULL;) {
        if (!strikes(r)) continue;
        if (r->action == FAULT_ERROR) return (int)r->value;
        strike(r);
    }
    return 0;
}

#endif
