#include "worker/teacher/native_top.h"

#include <math.h>
#include <string.h>

#include "common/dataset/topk.h"

/* log(exp(a) + exp(b)), at most 0: rounding must not make a probability more than one. */
static double log_add(double a, double b)
{
    double most = RT_MAX(a, b), least = RT_MIN(a, b);
    return RT_MIN(most + log1p(exp(least - most)), 0);
}

static void add_entry(topk_place *place, token_bytes bytes, double logprob)
{
    for (size_t i = 0; i < place->n; i++) {
        topk_entry *e = &place->entries[i];
        if (e->n != bytes.n || memcmp(e->token, bytes.bytes, bytes.n) != 0) continue;
        e->logprob = log_add(e->logprob, logprob);
        return;
    }
    place->entries[place->n++] =
        (topk_entry){.token = bytes.bytes, .n = bytes.n, .logprob = logprob};
}

/* Place i of the text; *at_start as token_table_get() has it. An alternative that cannot be named is
 * part of the tail. */
static void fill_place(const token_table *table, const generated *g, size_t i, bool *at_start,
                       topk_place *out)
{
    bool was_at_start = *at_start;
    const token_choice *chosen = &g->chosen[i], *top = g->top + i * g->n_top;
    out->n = 0;
    add_entry(out, token_table_get(table, chosen->id, at_start), (double)chosen->logprob);
    for (size_t k = 0; k < g->n_top; k++) {
        bool starts = was_at_start;
        token_bytes bytes = token_table_get(table, top[k].id, &starts);
        if (top[k].id == chosen->id || bytes.n > TOPK_TOKEN_BYTES_MAX) continue;
        if (isfinite(top[k].logprob)) add_entry(out, bytes, (double)top[k].logprob);
    }
}

rt_status native_top_text(const token_table *table, const generated *g, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    rt_error why = {0};
    topk_writer w = {0};
    topk_place place;
    bool at_start = true;
    rt_buf_clear(out);
    for (size_t i = 0; st == RT_OK && i < g->n_ids; i++) {
        fill_place(table, g, i, &at_start, &place);
        st = topk_add(&w, &place, &why);
    }
    if (st == RT_OK) st = topk_text(&w, out, &why);
    topk_writer_free(&w);
    if (st == RT_INVALID) return RT_OK; /* no probabilities: as if none had been asked for */
    return st == RT_OK ? RT_OK : rt_fail(err, st, "%s", why.text);
}
