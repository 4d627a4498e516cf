#include "worker/evaluate/confusion.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"

#define N_SLOTS    ((size_t)CONFUSION_PAIRS_MAX * 2) /* a power of two, at most half full */
#define UNREADABLE CONFUSION_LABELS_MAX

typedef struct pair {
    char *gold;
    char *label;
    uint64_t n;
} pair;

struct confusion {
    uint64_t n, n_unreadable;
    uint64_t n_other; /* unlike pairs for which there was no room */
    char *names[CONFUSION_LABELS_MAX];
    size_t n_names;
    bool too_many; /* labels for a matrix */
    uint64_t cells[CONFUSION_LABELS_MAX][CONFUSION_LABELS_MAX + 1];
    pair pairs[N_SLOTS]; /* open addressing; empty: gold is NULL */
    size_t n_pairs;
};

void confusion_free(confusion *c)
{
    if (c == NULL) return;
    for (size_t i = 0; i < c->n_names; i++) free(c->names[i]);
    for (size_t i = 0; i < N_SLOTS; i++) {
        free(c->pairs[i].gold);
        free(c->pairs[i].label);
    }
    free(c);
}

/* Its row, a new one where there is room; SIZE_MAX when there is none. */
static rt_status find_name(confusion *c, const char *name, size_t *out, rt_error *err)
{
    *out = SIZE_MAX;
    for (size_t i = 0; i < c->n_names; i++)
        if (strcmp(c->names[i], name) == 0) *out = i;
    if (*out != SIZE_MAX || c->too_many) return RT_OK;
    if (c->n_names == CONFUSION_LABELS_MAX) {
        c->too_many = true;
        return RT_OK;
    }
    char *copy = strdup(name);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "labels of a confusion matrix");
    *out = c->n_names;
    c->names[c->n_names++] = copy;
    return RT_OK;
}

rt_status confusion_new(const char *const *names, size_t n_names, confusion **out, rt_error *err)
{
    rt_status st = RT_OK;
    confusion *c = rt_calloc(1, sizeof *c);
    if (c == NULL) return rt_fail(err, RT_NOMEM, "confusion matrix");
    for (size_t i = 0, row; st == RT_OK && i < n_names; i++) st = find_name(c, names[i], &row, err);
    if (st == RT_OK)
        *out = c;
    else
        confusion_free(c);
    return st;
}

static size_t slot_of(const char *gold, const char *label)
{
    uint64_t hash = rt_hash64(gold, strlen(gold), 0);
    return (size_t)(rt_hash64(label, strlen(label), hash) & (N_SLOTS - 1));
}

static bool is_same(const pair *p, const char *gold, const char *label)
{
    return strcmp(p->gold, gold) == 0 && strcmp(p->label, label) == 0;
}

static rt_status add_pair(confusion *c, const char *gold, const char *label, rt_error *err)
{
    size_t i = slot_of(gold, label);
    while (c->pairs[i].gold != NULL && !is_same(&c->pairs[i], gold, label))
        i = (i + 1) & (N_SLOTS - 1);
    pair *p = &c->pairs[i];
    if (p->gold == NULL) {
        if (c->n_pairs == CONFUSION_PAIRS_MAX) {
            c->n_other++;
            return RT_OK;
        }
        pair fresh = {.gold = strdup(gold), .label = strdup(label)};
        if (fresh.gold == NULL || fresh.label == NULL) {
            free(fresh.gold);
            free(fresh.label);
            return rt_fail(err, RT_NOMEM, "pairs of a confusion matrix");
        }
        *p = fresh;
        c->n_pairs++;
    }
    p->n++;
    return RT_OK;
}

rt_status confusion_add(confusion *c, const char *gold, const char *label, rt_error *err)
{
    size_t row, column = UNREADABLE;
    rt_status st = find_name(c, gold, &row, err);
    if (st == RT_OK && label != NULL) st = find_name(c, label, &column, err);
    if (st == RT_OK && label != NULL && strcmp(gold, label) != 0)
        st = add_pair(c, gold, label, err);
    if (st != RT_OK) return st;
    c->n++;
    c->n_unreadable += label == NULL;
    if (row != SIZE_MAX && column != SIZE_MAX) c->cells[row][column]++;
    return RT_OK;
}

static int by_count(const void *a, const void *b)
{
    const pair *x = *(const pair *const *)a, *y = *(const pair *const *)b;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    int order = strcmp(x->gold, y->gold);
    return order != 0 ? order : strcmp(x->label, y->label);
}

static json_t *pairs_to_json(const confusion *c, uint64_t *n_more)
{
    json_t *list = json_array();
    const pair **sorted = rt_calloc(c->n_pairs, sizeof *sorted);
    size_t n = 0;
    *n_more = c->n_other;
    if (sorted == NULL || list == NULL) {
        free(sorted);
        json_decref(list);
        return NULL;
    }
    for (size_t i = 0; i < N_SLOTS; i++)
        if (c->pairs[i].gold != NULL) sorted[n++] = &c->pairs[i];
    qsort(sorted, n, sizeof *sorted, by_count);
    for (size_t i = 0; i < n; i++) {
        if (i < CONFUSION_SHOWN)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:I}", "gold", sorted[i]->gold, "label",
                                            sorted[i]->label, "n", (json_int_t)sorted[i]->n));
        else
            *n_more += sorted[i]->n;
    }
    free(sorted);
    return list;
}

static json_t *matrix_to_json(const confusion *c)
{
    json_t *rows = json_array();
    for (size_t g = 0; g < c->n_names; g++) {
        json_t *row = json_array();
        for (size_t l = 0; l < c->n_names; l++)
            json_array_append_new(row, json_integer((json_int_t)c->cells[g][l]));
        json_array_append_new(row, json_integer((json_int_t)c->cells[g][UNREADABLE]));
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *confusion_to_json(const confusion *c)
{
    uint64_t n_more = 0;
    json_t *pairs = pairs_to_json(c, &n_more), *labels = json_null(), *matrix = json_null();
    if (!c->too_many) {
        labels = json_array();
        for (size_t i = 0; i < c->n_names; i++)
            json_array_append_new(labels, json_string(c->names[i]));
        matrix = matrix_to_json(c);
    }
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:I}", "n", (json_int_t)c->n, "unreadable",
                     (json_int_t)c->n_unreadable, "labels", labels, "matrix", matrix, "pairs",
                     pairs, "pairs_more", (json_int_t)n_more);
}
