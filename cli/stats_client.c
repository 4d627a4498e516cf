#include "cli/stats_client.h"

#include <curl/curl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/http_server/api_keys.h"

#define BODY_BYTES_MAX (8u << 20)

static size_t take_body(char *bytes, size_t size, size_t n, void *context)
{
    rt_buf *out = context;
    if (out->n + size * n > BODY_BYTES_MAX) return 0;
    return rt_buf_add(out, bytes, size * n, NULL) == RT_OK ? size * n : 0;
}

static rt_status add_key(CURL *curl, const char *key_file, struct curl_slist **headers,
                         rt_error *err)
{
    rt_buf key = {0}, line = {0};
    if (key_file == NULL || key_file[0] == '\0') return RT_OK;
    rt_status st = api_keys_first(key_file, &key, err);
    if (st == RT_OK) st = rt_buf_printf(&line, err, "Authorization: %s", key.data);
    if (st == RT_OK) *headers = curl_slist_append(NULL, line.data);
    if (st == RT_OK) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
    if (key.data != NULL) explicit_bzero(key.data, key.capacity);
    if (line.data != NULL) explicit_bzero(line.data, line.capacity);
    rt_buf_free(&key);
    rt_buf_free(&line);
    return st;
}

rt_status stats_get(const char *address, const char *path, const char *key_file,
                    uint64_t timeout_ms, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    char url[512];
    long code = 0;
    struct curl_slist *headers = NULL;
    CURL *curl = curl_easy_init();
    if (curl == NULL) return rt_fail(err, RT_NOMEM, "HTTP client");
    if ((st = add_key(curl, key_file, &headers, err)) != RT_OK) goto out;
    snprintf(url, sizeof url, "http://%s%s", address, path);
    rt_buf_clear(out);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* the coordinator is never behind a proxy */
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    CURLcode got = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (got != CURLE_OK)
        st = rt_fail(err, RT_UNAVAILABLE, "no coordinator answers at %s: %s", address,
                     curl_easy_strerror(got));
    else if (code == 401)
        st = rt_fail(err, RT_REFUSED,
                     "%s wants a key: give --key-file, or the configuration with net.http_key_file",
                     url);
    else if (code == 503)
        st = rt_fail(err, RT_UNAVAILABLE, "the coordinator at %s has only just started", address);
    else if (code != 200)
        st = rt_fail(err, RT_REFUSED, "%s answered with HTTP status %ld", url, code);
out:
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return st;
}

rt_status stats_address(const char *run_dir, char *out, size_t n_out, rt_error *err)
{
    char path[4096];
    rt_buf text = {0};
    json_t *root = NULL;
    rt_status st = rt_fs_join(path, sizeof path, run_dir, "coordinator.json", err);
    if (st == RT_OK) st = rt_fs_read(path, BODY_BYTES_MAX, &text, err);
    if (st == RT_NOTFOUND)
        st = rt_fail(err, RT_UNAVAILABLE,
                     "%s does not exist: no coordinator has run here; give --address HOST:PORT",
                     path);
    if (st != RT_OK) goto out;
    root = json_loadb(text.data, text.n, 0, NULL);
    const char *http = json_string_value(json_object_get(root, "http"));
    if (http == NULL || http[0] == '\0')
        st = rt_fail(err, RT_CORRUPT, "%s names no stats address", path);
    else
        snprintf(out, n_out, "%s", http);
out:
    json_decref(root);
    rt_buf_free(&text);
    return st;
}

static double number_or(const json_t *value, double otherwise)
{
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static uint64_t count_or_zero(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));
    return n > 0 ? (uint64_t)n : 0;
}

static void copy_text(char *out, size_t n_out, const json_t *value)
{
    const char *text = json_string_value(value);
    snprintf(out, n_out, "%s", text != NULL ? text : "");
}

rt_status run_stats_of(const json_t *root, run_stats *out, rt_error *err)
{
    const json_t *rows = json_object_get(root, "rows"), *eta = json_object_get(root, "eta_s");
    const json_t *labels = json_object_get(root, "labels");
    const json_t *training = json_object_get(root, "training");
    if (!json_is_object(rows) || !json_is_object(labels) || !json_is_object(training))
        return rt_fail(err, RT_CORRUPT, "stats are not what a coordinator sends");
    run_stats s = {
        .n_examples = count_or_zero(rows, "total"),
        .n_labelled = count_or_zero(rows, "labelled"),
        .n_rejected = count_or_zero(rows, "rejected"),
        .labelled_per_s = number_or(json_object_get(root, "labelled_per_s"), 0),
        .label_eta_s = number_or(json_object_get(eta, "label"), -1),
        .labels = json_is_true(json_object_get(labels, "active")),
        .labelling_done = json_is_true(json_object_get(labels, "done")),
        .step = count_or_zero(root, "step"),
        .n_steps = count_or_zero(root, "n_steps"),
        .loss = number_or(json_object_get(root, "loss"), NAN),
        .tokens_per_s = number_or(json_object_get(root, "tokens_per_s"), 0),
        .train_eta_s = number_or(json_object_get(eta, "train"), -1),
        .trains = json_is_true(json_object_get(training, "active")),
        .training_done = json_is_true(json_object_get(training, "done")),
    };
    const json_t *time = json_object_get(root, "student_time");
    s.wait_share = number_or(json_object_get(time, "wait"), NAN);
    s.pull_share = number_or(json_object_get(time, "pull"), NAN);
    s.compute_share = number_or(json_object_get(time, "compute"), NAN);
    s.push_share = number_or(json_object_get(time, "push"), NAN);
    s.push_beside_share = number_or(json_object_get(time, "push_beside"), NAN);
    const json_t *money = json_object_get(root, "money");
    s.spent = number_or(json_object_get(money, "spent"), 0);
    s.budget = number_or(json_object_get(money, "budget"), 0);
    s.projected = number_or(json_object_get(money, "projected"), 0);
    s.has_money = s.spent > 0 || s.budget > 0;
    copy_text(s.currency, sizeof s.currency, json_object_get(money, "currency"));
    copy_text(s.stage, sizeof s.stage, json_object_get(root, "doing"));
    copy_text(s.problem, sizeof s.problem, json_object_get(root, "problem"));
    *out = s;
    return RT_OK;
}

rt_status run_stats_parse(const char *json, size_t n, run_stats *out, rt_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(json, n, 0, &where);
    if (root == NULL)
        return rt_fail(err, RT_CORRUPT, "stats are not what a coordinator sends: %s", where.text);
    rt_status st = run_stats_of(root, out, err);
    json_decref(root);
    return st;
}
