/* Lists of models as servers write them, and base URLs that may have been meant. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "cli/doctor/server_reply.h"
#include "common/conf/nearest.h"

/* {"object":"list","data":[...]}, Ollama's and Google's {"models":[...]}, or the array alone. */
static const json_t *array_of(const json_t *root)
{
    const json_t *data = json_object_get(root, "data");
    if (json_is_array(root)) return root;
    return json_is_array(data) ? data : json_object_get(root, "models");
}

static const char *name_of(const json_t *one)
{
    static const char *const keys[] = {"id", "name", "model"};
    if (json_is_string(one)) return json_string_value(one);
    for (size_t i = 0; i < RT_COUNT(keys); i++) {
        const char *name = json_string_value(json_object_get(one, keys[i]));
        if (name != NULL) return name;
    }
    return NULL;
}

static bool is_same_model(const char *listed, const char *model)
{
    size_t n = strlen(model);
    if (strncmp(listed, "models/", 7) == 0 && strncmp(model, "models/", 7) != 0) listed += 7;
    if (strcmp(listed, model) == 0) return true;
    return strncmp(listed, model, n) == 0 && strcmp(listed + n, ":latest") == 0;
}

/* vLLM and Retort, OpenRouter, Groq, Mistral and llama.cpp have names of their own for it. */
static uint64_t context_of(const json_t *one)
{
    static const char *const keys[] = {"max_model_len", "context_length", "context_window",
                                       "max_context_length"};
    const json_t *n = NULL;
    for (size_t i = 0; i < RT_COUNT(keys) && !json_is_integer(n); i++)
        n = json_object_get(one, keys[i]);
    if (!json_is_integer(n)) n = json_object_get(json_object_get(one, "meta"), "n_ctx");
    return json_integer_value(n) > 0 ? (uint64_t)json_integer_value(n) : 0;
}

/* Such as "gpt-4o-mini" for "gpt4o": one holds the other when signs do not count. */
static bool looks_alike(const char *listed, const char *model)
{
    const char *const names[] = {model, NULL};
    const char *slash = strrchr(listed, '/');
    const char *last = slash != NULL ? slash + 1 : listed;
    return name_nearest(listed, names) != NULL || name_nearest(last, names) != NULL ||
           strcasestr(listed, model) != NULL || strcasestr(model, last) != NULL;
}

static void show(models_list *out, const char *name)
{
    for (size_t i = 0; i < out->n_shown; i++)
        if (strncmp(out->names[i], name, sizeof out->names[i] - 1) == 0) return;
    if (out->n_shown < MODELS_SHOWN_MAX)
        snprintf(out->names[out->n_shown++], sizeof out->names[0], "%s", name);
}

models_list models_list_read(const char *bytes, size_t n, const char *model)
{
    models_list out = {0};
    size_t i;
    const json_t *one;
    json_t *root = n > 0 ? json_loadb(bytes, n, 0, NULL) : NULL;
    const json_t *list = array_of(root);
    out.is_list = json_is_array(list);
    out.is_part = json_is_true(json_object_get(root, "has_more")) ||
                  json_is_string(json_object_get(root, "nextPageToken"));
    json_array_foreach(list, i, one)
    {
        const char *name = name_of(one);
        if (name == NULL) continue;
        out.n++;
        if (looks_alike(name, model)) show(&out, name);
        if (out.listed || !is_same_model(name, model)) continue;
        out.listed = true;
        out.context = context_of(one);
    }
    json_array_foreach(list, i, one) if (name_of(one) != NULL) show(&out, name_of(one));
    /* An array of something else is no list of models. */
    out.is_list = out.is_list && (out.n > 0 || json_array_size(list) == 0);
    json_decref(root);
    return out;
}

/* ---- base URLs ---- */

typedef struct candidates {
    const char *base; /* [n_base], what was tried already */
    size_t n_base, n;
    char (*out)[BASE_URL_BYTES];
} candidates;

static void add(candidates *k, const char *url, size_t n_url, const char *tail)
{
    char text[BASE_URL_BYTES];
    if (k->n == BASE_URLS_MAX || n_url + strlen(tail) >= sizeof text) return;
    snprintf(text, sizeof text, "%.*s%s", (int)n_url, url, tail);
    if (strlen(text) == k->n_base && memcmp(text, k->base, k->n_base) == 0) return;
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(k->out[i], text) == 0) return;
    memcpy(k->out[k->n++], text, sizeof text);
}

static bool ends_with(const char *url, size_t n, const char *tail)
{
    size_t n_tail = strlen(tail);
    return n >= n_tail && memcmp(url + n - n_tail, tail, n_tail) == 0;
}

size_t base_url_candidates(const char *base_url, char out[BASE_URLS_MAX][BASE_URL_BYTES])
{
    static const char *const tails[] = {"/chat/completions", "/completions", "/responses",
                                        "/models", "/chat"};
    candidates k = {.base = base_url, .out = out};
    const char *scheme_end = strstr(base_url, "://");
    if (scheme_end == NULL) return 0;
    size_t n = strcspn(base_url, "?#");
    size_t n_origin = (size_t)(scheme_end + 3 - base_url);
    n_origin += strcspn(base_url + n_origin, "/?#");
    while (n > n_origin && base_url[n - 1] == '/') n--;
    k.n_base = n;
    for (size_t i = 0; i < RT_COUNT(tails); i++)
        if (ends_with(base_url, n, tails[i]) && n > n_origin) {
            n -= strlen(tails[i]);
            add(&k, base_url, n, "");
            break;
        }
    if (ends_with(base_url, n, "/v1/v1"))
        add(&k, base_url, n - 3, "");
    else if (!ends_with(base_url, n, "/v1"))
        add(&k, base_url, n, "/v1");
    add(&k, base_url, n_origin, "/v1");
    add(&k, base_url, n_origin, "/api/v1");
    add(&k, base_url, n_origin, "/openai/v1");
    return k.n;
}
