#include "common/conf/check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct checker {
    const document *d;
    const config *c;
    rt_error *err;
} checker;

static rt_status fail_on(const checker *k, const char *path, const char *fmt, ...) RT_PRINTF(3, 4);
static rt_status fail_on(const checker *k, const char *path, const char *fmt, ...)
{
    char text[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const setting *s = settings_find_path(path);
    RT_ASSERT(s != NULL);
    return document_fail(k->d, s, k->err, "%s", text);
}

static rt_status check_name(const checker *k)
{
    const char *name = k->c->name;
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");
    if (n == 0 || name[n] != '\0' || n > 100 || !isalnum((unsigned char)name[0])) {
        char found[FOUND_SIZE];
        quote_found(name, strlen(name), found);
        return fail_on(k, "name",
                       "found '%s', expected small letters, digits, '.', '_' and '-', beginning "
                       "with a letter or digit, at most 100",
                       found);
    }
    return RT_OK;
}

static rt_status check_task(const checker *k)
{
    const task_config *t = &k->c->task;
    if (t->name[0] == '\0') return fail_on(k, "task.name", "found nothing, expected a name");
    if (t->answer == ANSWER_CLASS && t->classes.n == 0)
        return fail_on(k, "task.classes",
                       "found none, expected the allowed labels, because "
                       "task.answer is class");
    if (t->answer != ANSWER_TEXT && t->markers.n == 0)
        return fail_on(k, "task.markers",
                       "found none, expected the text before the label such as [\"The answer "
                       "is\"]; only task.answer text does without");
    if (strstr(t->label_format, "{label}") == NULL)
        return fail_on(k, "task.label_format", "found no {label} in it");
    return RT_OK;
}

/* http://HOST... or https://HOST..., without a user, whose password would be printed. */
static rt_status check_http_url(const checker *k, const char *path, const char *url,
                                const char *secret)
{
    size_t n_scheme = strncmp(url, "http://", 7) == 0    ? 7
                      : strncmp(url, "https://", 8) == 0 ? 8
                                                         : 0;
    size_t n_host = strcspn(url + n_scheme, "/?#");
    if (memchr(url + n_scheme, '@', n_host) != NULL) /* not shown: it may hold a password */
        return fail_on(k, path, "found a user or password in it; that belongs in %s", secret);
    if (n_scheme == 0 || n_host == 0 || strpbrk(url, " \t\r\n") != NULL) {
        char found[FOUND_SIZE];
        quote_found(url, strlen(url), found);
        return fail_on(k, path, "found '%s', expected http://HOST:PORT/... or https://...", found);
    }
    return RT_OK;
}

static rt_status check_openai(const checker *k)
{
    const teacher_config *t = &k->c->teacher;
    if (t->model[0] == '\0')
        return fail_on(k, "teacher.model",
                       "found nothing, expected the name of a model, because teacher.backend is "
                       "openai");
    rt_status st = check_http_url(k, "teacher.base_url", t->base_url, "teacher.api_key");
    if (st == RT_OK && t->proxy[0] != '\0')
        st = check_http_url(k, "teacher.proxy", t->proxy, "teacher.proxy_login");
    if (st != RT_OK) return st;
    if (t->api_key_header[strspn(t->api_key_header, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                                                    "uvwxyz0123456789-_")] != '\0' ||
        t->api_key_header[0] == '\0')
        return fail_on(k, "teacher.api_key_header", "expected the name of a header");
    if (t->top_logprobs > 0 && !t->logprobs)
        return fail_on(k, "teacher.top_logprobs", "found %llu, which needs teacher.logprobs: true",
                       (unsigned long long)t->top_logprobs);
    if (t->two_step && (t->think_text[0] == '\0' || t->extract_text[0] == '\0'))
        return fail_on(k, t->think_text[0] == '\0' ? "teacher.think_text" : "teacher.extract_text",
                       "found nothing, expected a sentence, because teacher.two_step is true");
    if (t->two_step && k->c->prompt.kind == PROMPT_REASONING)
        return fail_on(k, "teacher.two_step",
                       "found true, expected false, because prompt.kind is reasoning: such a model "
                       "thinks by itself");
    return RT_OK;
}

static rt_status check_inputs(const checker *k)
{
    const config *c = k->c;
    /* Training from an existing dataset needs neither corpus nor teacher; what labels asks again
     * through config_check_corpus(). A teacher without a corpus is a slip. */
    if (c->corpus.files.n == 0 && c->teacher.files.n == 0 && c->teacher.model[0] == '\0')
        return RT_OK;
    if (c->corpus.files.n == 0)
        return fail_on(k, "corpus.files", "found none, expected at least one path");
    if (c->corpus.input[0] == '\0')
        return fail_on(k, "corpus.input", "found nothing, expected a template such as \"{input}\"");
    if (strstr(c->prompt.template, "{input}") == NULL)
        return fail_on(k, "prompt.template", "found no {input} in it");
    if (c->teacher.backend == TEACHER_RECORDED) {
        if (c->teacher.files.n == 0)
            return fail_on(k, "teacher.files",
                           "found none, expected the recorded texts, because teacher.backend is "
                           "recorded");
        if (c->teacher.match_field[0] == '\0')
            return fail_on(k, "teacher.match_field",
                           "found nothing, expected the template of the recorded %s, such as "
                           "\"{input}\", because teacher.backend is recorded",
                           c->teacher.match == MATCH_ID ? "id" : "input");
        if (c->teacher.match == MATCH_ID && c->corpus.source_id[0] == '\0')
            return fail_on(k, "corpus.source_id",
                           "found nothing, expected the field of the row's id, because "
                           "teacher.match is id");
        if (c->teacher.text_field[0] == '\0')
            return fail_on(k, "teacher.text_field", "found nothing, expected a template");
    }
    if (c->teacher.backend == TEACHER_NATIVE && c->teacher.model[0] == '\0')
        return fail_on(k, "teacher.model",
                       "found nothing, expected a model folder, because teacher.backend is native");
    return c->teacher.backend == TEACHER_OPENAI ? check_openai(k) : RT_OK;
}

static bool has_item(const text_list *list, const char *item)
{
    for (unsigned i = 0; i < list->n; i++)
        if (strcmp(list->items[i], item) == 0) return true;
    return false;
}

static rt_status check_label_given(const checker *k)
{
    const char *text = k->c->prompt.label_given, *path = "prompt.label_given";
    if (text[0] == '\0') return RT_OK;
    if (strstr(text, "{input}") == NULL || strstr(text, "{label}") == NULL)
        return fail_on(k, path, "expected both {input} and {label} in it");
    if (k->c->corpus.gold[0] == '\0')
        return fail_on(k, path, "needs the true answers: set corpus.gold");
    if (k->c->teacher.backend == TEACHER_RECORDED)
        return fail_on(k, path,
                       "found one, but recorded texts answer no other question; leave it empty");
    return RT_OK;
}

static rt_status check_scorer(const checker *k)
{
    const quality_config *q = &k->c->quality;
    const struct {
        const char *path;
        const text_list *list;
    } lists[] = {{"quality.note_if", &q->note_if},
                 {"quality.drop_rationale_if", &q->drop_rationale_if},
                 {"quality.reject_if", &q->reject_if}};
    for (size_t i = 0; i < RT_COUNT(lists); i++)
        if (q->scorer[0] == '\0' && has_item(lists[i].list, "not_useful"))
            return fail_on(k, lists[i].path,
                           "found not_useful, which needs a model that scores: set quality.scorer");
    if (strcmp(q->scorer, "teacher") == 0 && k->c->teacher.backend != TEACHER_NATIVE)
        return fail_on(
            k, "quality.scorer",
            "found teacher, but only a native teacher can score; expected a model folder");
    if (q->scorer_template[0] != '\0' && strstr(q->scorer_template, "{input}") == NULL)
        return fail_on(k, "quality.scorer_template", "found no {input} in it");
    return RT_OK;
}

static rt_status check_quality(const checker *k)
{
    const quality_config *q = &k->c->quality;
    const escalate_config *e = &k->c->escalate;
    if (q->words_max > 0 && q->words_max < q->words_min)
        return fail_on(k, "quality.words_max",
                       "found %llu, expected at least quality.words_min (%llu), or 0",
                       (unsigned long long)q->words_max, (unsigned long long)q->words_min);
    if (has_item(&q->reject_if, "wrong_label") && k->c->corpus.gold[0] == '\0')
        return fail_on(k, "quality.reject_if",
                       "found wrong_label, which needs the true answers: set corpus.gold");
    rt_status st = check_scorer(k);
    if (st == RT_OK) st = check_label_given(k);
    if (st != RT_OK || e->config[0] == '\0') return st;
    if (!e->when_rejected && e->when_confidence_below <= 0)
        return fail_on(k, "escalate.when_rejected",
                       "found false and escalate.when_confidence_below 0, expected one of them, "
                       "because escalate.config names a second teacher");
    if (e->when_confidence_below > 0 && q->samples < 2)
        return fail_on(k, "escalate.when_confidence_below",
                       "found %g, but quality.samples is 1 and a single vote is always unanimous",
                       e->when_confidence_below);
    return RT_OK;
}

static rt_status check_t5(const checker *k)
{
    const student_config *s = &k->c->student;
    if (s->n_kv_heads != 0 && s->n_kv_heads != s->n_heads)
        return fail_on(k, "student.n_kv_heads",
                       "found %llu, expected 0 or student.n_heads (%llu): in t5 every head has its "
                       "own keys",
                       (unsigned long long)s->n_kv_heads, (unsigned long long)s->n_heads);
    if (s->layer_groups != 0 || s->d_embed != 0)
        return fail_on(k, s->d_embed != 0 ? "student.d_embed" : "student.layer_groups",
                       "expected 0 for t5: only llama shares weights");
    if (s->ff_act == FF_SWIGLU)
        return fail_on(k, "student.ff_act", "found swiglu, expected gated-gelu or relu for t5");
    if (s->rel_buckets % 4 != 0)
        return fail_on(k, "student.rel_buckets", "found %llu, expected a multiple of 4",
                       (unsigned long long)s->rel_buckets);
    if (s->rel_distance_max <= s->rel_buckets / 2)
        return fail_on(k, "student.rel_distance_max",
                       "found %llu, expected more than half of student.rel_buckets (%llu): so many "
                       "hold one distance each",
                       (unsigned long long)s->rel_distance_max, (unsigned long long)s->rel_buckets);
    return RT_OK;
}

static rt_status check_student(const checker *k)
{
    const student_config *s = &k->c->student;
    uint64_t n_kv_heads = s->n_kv_heads == 0 ? s->n_heads : s->n_kv_heads;
    uint64_t d_head = s->d_head == 0 ? s->d_model / s->n_heads : s->d_head;
    if (s->init_from[0] != '\0') return RT_OK; /* the sizes are those of the model there */
    if (s->d_head == 0 && s->d_model % s->n_heads != 0)
        return fail_on(k, "student.d_model",
                       "found %llu, expected a multiple of student.n_heads (%llu), or set "
                       "student.d_head",
                       (unsigned long long)s->d_model, (unsigned long long)s->n_heads);
    if (s->layer_groups > s->n_layers)
        return fail_on(k, "student.layer_groups", "found %llu, expected at most n_layers (%llu)",
                       (unsigned long long)s->layer_groups, (unsigned long long)s->n_layers);
    if (s->d_embed > s->d_model)
        return fail_on(k, "student.d_embed", "found %llu, expected at most d_model (%llu)",
                       (unsigned long long)s->d_embed, (unsigned long long)s->d_model);
    if (s->arch == STUDENT_T5) return check_t5(k);
    if (d_head == 0 || d_head % 2 != 0)
        return fail_on(k, s->d_head == 0 ? "student.d_model" : "student.d_head",
                       "a head is %llu wide, expected an even width (rotary positions turn pairs)",
                       (unsigned long long)d_head);
    if (s->ff_act != FF_AUTO && s->ff_act != FF_SWIGLU)
        return fail_on(k, "student.ff_act", "expected auto or swiglu for llama");
    if (s->n_heads % n_kv_heads != 0)
        return fail_on(k, "student.n_kv_heads", "found %llu, expected a divisor of n_heads (%llu)",
                       (unsigned long long)n_kv_heads, (unsigned long long)s->n_heads);
    return RT_OK;
}

static rt_status check_train(const checker *k)
{
    const train_config *t = &k->c->train;
    if (t->steps == 0 && t->epochs <= 0)
        return fail_on(k, "train.epochs",
                       "found 0 and train.steps 0, expected one of them above 0");
    if (t->steps > 0 && t->warmup_steps > t->steps)
        return fail_on(k, "train.warmup_steps", "found %llu, expected at most train.steps (%llu)",
                       (unsigned long long)t->warmup_steps, (unsigned long long)t->steps);
    if (t->micro_batch_tokens < k->c->student.seq_len_max)
        return fail_on(k, "train.micro_batch_tokens",
                       "found %llu, expected at least student.seq_len_max (%llu), or the longest "
                       "record fits in no micro-batch",
                       (unsigned long long)t->micro_batch_tokens,
                       (unsigned long long)k->c->student.seq_len_max);
    if (t->mode != TRAIN_SYNC && t->lookahead_steps <= t->staleness_max)
        return fail_on(
            k, "train.lookahead_steps",
            "found %llu, expected more than train.staleness_max (%llu), or students would "
            "wait for work",
            (unsigned long long)t->lookahead_steps, (unsigned long long)t->staleness_max);
    return RT_OK;
}

static bool is_loopback(const char *host, size_t n)
{
    char text[64];
    if (n >= sizeof text) return false;
    memcpy(text, host, n);
    text[n] = '\0';
    if (strcmp(text, "localhost") == 0 || strcmp(text, "[::1]") == 0) return true;
    /* 127.0.0.0/8 written in full: 127.0.0.1.example.org is a name of somebody else. */
    unsigned b[4];
    int n_read = 0;
    return sscanf(text, "%3u.%3u.%3u.%3u%n", &b[0], &b[1], &b[2], &b[3], &n_read) == 4 &&
           (size_t)n_read == n && b[0] == 127 && b[1] < 256 && b[2] < 256 && b[3] < 256;
}

/* HOST:PORT with a port from 1 to 65535, or "*" where any is allowed; *n_host is the host's
 * length. {shard} may be a part of the host's name. */
static bool is_host_port(const char *text, bool any_port, size_t *n_host)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || colon == text) return false;
    *n_host = (size_t)(colon - text);
    for (const char *c = text; c < colon; c++)
        if (!isalnum((unsigned char)*c) && strchr("._-*[]:{}", *c) == NULL) return false;
    if (memchr(text, ':', *n_host) != NULL && (text[0] != '[' || colon[-1] != ']')) return false;
    if (any_port && strcmp(colon + 1, "*") == 0) return true;
    return rt_parse_u64(colon + 1, &port) && port >= 1 && port <= 65535;
}

static rt_status check_endpoint(const checker *k, const char *path, const char *endpoint,
                                bool is_bind)
{
    size_t n_host = 0;
    if (endpoint[0] == '\0') return RT_OK;
    if (strncmp(endpoint, "ipc://", 6) == 0 && endpoint[6] != '\0') return RT_OK;
    if (strncmp(endpoint, "tcp://", 6) != 0 || !is_host_port(endpoint + 6, is_bind, &n_host)) {
        char found[FOUND_SIZE];
        quote_found(endpoint, strlen(endpoint), found);
        return fail_on(k, path, "found '%s', expected tcp://HOST:PORT%s or ipc://PATH", found,
                       is_bind ? " (PORT may be *)" : "");
    }
    const net_config *n = &k->c->net;
    if (!is_loopback(endpoint + 6, n_host) && n->keys[0] == '\0' && n->curve_key_file[0] == '\0')
        return fail_on(k, path,
                       "'%s' is beyond loopback, which needs CURVE keys: run retort keys and set "
                       "net.keys to its folder",
                       endpoint);
    return RT_OK;
}

static rt_status check_net(const checker *k)
{
    const net_config *n = &k->c->net;
    rt_status st;
    size_t n_host;
    if (n->keys[0] != '\0' && n->curve_key_file[0] != '\0')
        return fail_on(
            k, "net.keys",
            "found it beside net.curve_key_file, expected one of the two: keys by role, or "
            "one pair for all");
    if ((st = check_endpoint(k, "net.coordinator", n->coordinator, false)) != RT_OK) return st;
    if ((st = check_endpoint(k, "net.coordinator_bind", n->coordinator_bind, true)) != RT_OK)
        return st;
    if ((st = check_endpoint(k, "net.server_bind", n->server_bind, true)) != RT_OK) return st;
    if (n->server_bind[0] == '\0')
        return fail_on(k, "net.server_bind",
                       "found nothing, expected tcp://HOST:PORT or ipc://PATH");
    if ((st = check_endpoint(k, "net.server_advertise", n->server_advertise, true)) != RT_OK)
        return st;
    if (n->http[0] != '\0' && strcmp(n->http, "off") != 0 &&
        !is_host_port(n->http, false, &n_host)) {
        char found[FOUND_SIZE];
        quote_found(n->http, strlen(n->http), found);
        return fail_on(k, "net.http", "found '%s', expected ADDRESS:PORT or off", found);
    }
    if (n->http[0] != '\0' && strcmp(n->http, "off") != 0 && !is_loopback(n->http, n_host) &&
        n->http_key_file[0] == '\0')
        return fail_on(k, "net.http",
                       "'%s' is beyond loopback, which needs keys: set net.http_key_file to a file "
                       "with one key a line",
                       n->http);
    if (n->dead_after_ms <= n->heartbeat_ms)
        return fail_on(k, "net.dead_after_ms",
                       "found %llu, expected more than net.heartbeat_ms "
                       "(%llu)",
                       (unsigned long long)n->dead_after_ms, (unsigned long long)n->heartbeat_ms);
    return RT_OK;
}

static rt_status check_queue(const checker *k)
{
    const char *url = k->c->queue.url;
    size_t n_host;
    const queue_config *q = &k->c->queue;
    if (q->user[0] != '\0' && q->password[0] == '\0')
        return fail_on(k, "queue.user", "found a user without queue.password, expected both");
    if ((q->cert_file[0] == '\0') != (q->key_file[0] == '\0'))
        return fail_on(k, "queue.cert_file", "found one of it and queue.key_file, expected both");
    if (url[0] == '\0' || (strncmp(url, "unix:", 5) == 0 && url[5] != '\0')) return RT_OK;
    if (strchr(url, '@') != NULL) /* not shown: it may hold a password */
        return fail_on(k, "queue.url",
                       "found a user or password in it, expected redis://HOST:PORT; "
                       "they belong in queue.user and queue.password");
    bool uses_tls = strncmp(url, "rediss://", 9) == 0;
    const char *place = url + (uses_tls ? 9 : 8);
    if ((!uses_tls && strncmp(url, "redis://", 8) != 0) || !is_host_port(place, false, &n_host)) {
        char found[FOUND_SIZE];
        quote_found(url, strlen(url), found);
        return fail_on(k, "queue.url",
                       "found '%s', expected redis://HOST:PORT, rediss://HOST:PORT or unix:PATH",
                       found);
    }
    if (!is_loopback(place, n_host) && k->c->queue.password[0] == '\0')
        return fail_on(k, "queue.url",
                       "'%s' is beyond loopback, which needs a password: set queue.password to "
                       "file:PATH or ${NAME}",
                       url);
    return RT_OK;
}

static rt_status check_limits(const checker *k)
{
    const limits_config *l = &k->c->limits;
    size_t n = strspn(l->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    if (n == 0 || n > 8 || l->currency[n] != '\0') {
        char found[FOUND_SIZE];
        quote_found(l->currency, strlen(l->currency), found);
        return fail_on(k, "limits.currency", "found '%s', expected 1 to 8 letters such as USD",
                       found);
    }
    if (l->budget > 0 && l->price_input <= 0 && l->price_output <= 0)
        return fail_on(k, "limits.budget",
                       "found %g without a price, expected limits.price_input or "
                       "limits.price_output above 0: without them every request counts as free",
                       l->budget);
    if (l->tokens_per_minute > 0 && l->tokens_per_minute <= k->c->teacher.max_new_tokens)
        return fail_on(k, "limits.tokens_per_minute",
                       "found %llu, expected more than teacher.max_new_tokens (%llu), or not one "
                       "request could be sent",
                       (unsigned long long)l->tokens_per_minute,
                       (unsigned long long)k->c->teacher.max_new_tokens);
    return RT_OK;
}

rt_status check_config(const document *d, const config *c, rt_error *err)
{
    static rt_status (*const checks[])(const checker *) = {
        check_name,  check_task,   check_inputs, check_quality, check_student,
        check_train, check_limits, check_net,    check_queue,
    };
    const checker k = {.d = d, .c = c, .err = err};
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < RT_COUNT(checks); i++) st = checks[i](&k);
    return st;
}
