#include "common/nn/model/decode_rows.h"

#include <string.h>

/* Prompt tokens that are read in one forward pass. */
#define PREFILL_TOKENS 1024

const float *rows_weight(const model *m, size_t i_param)
{
    return m->weights + m->table.params[i_param].offset;
}

void rows_norm(const model *m, size_t n, const float *x, const float *gain, float *out)
{
    size_t width = m->config.d_model;
    for (size_t i = 0; i < n; i++)
        rms_norm_row(x + i * width, gain, m->config.norm_eps, width, out + i * width);
}

void rows_embed(const model *m, size_t n, const uint32_t *ids, float *x)
{
    size_t width = m->table.params[0].shape[1];
    for (size_t i = 0; i < n; i++) {
        RT_ASSERT(ids[i] < m->config.n_vocab);
        memcpy(x + i * width, rows_weight(m, 0) + ids[i] * width, width * sizeof *x);
    }
}

rt_status rows_of_prompts(model *m, size_t n, const generate_prompt *prompts, model_input *in,
                          uint32_t **last_rows, rt_error *err)
{
    tape *t = m->tape;
    *in = (model_input){.n_spans = n};
    for (size_t i = 0; i < n; i++) in->n_tokens += prompts[i].n_ids;
    uint32_t *ids = tape_alloc(t, in->n_tokens, sizeof *ids);
    uint32_t *positions = tape_alloc(t, in->n_tokens, sizeof *positions);
    row_span *spans = tape_alloc(t, n, sizeof *spans);
    uint32_t *last = tape_alloc(t, n, sizeof *last);
    rt_status st = tape_status(t, err);
    if (st != RT_OK) return st;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        spans[i] = (row_span){.first = at, .n = prompts[i].n_ids};
        memcpy(ids + at, prompts[i].ids, prompts[i].n_ids * sizeof *ids);
        for (size_t j = 0; j < prompts[i].n_ids; j++) positions[at + j] = (uint32_t)j;
        at += prompts[i].n_ids;
        last[i] = (uint32_t)(at - 1);
    }
    in->ids = ids;
    in->positions = positions;
    in->spans = spans;
    if (last_rows != NULL) *last_rows = last;
    return RT_OK;
}

rt_status rows_read_prompts(model *m, decoder *d, size_t n, const uint32_t *i_seqs,
                            const generate_prompt *prompts, float *hidden, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t first = 0, n_now; st == RT_OK && first < n; first += n_now) {
        size_t n_tokens = prompts[first].n_ids;
        for (n_now = 1; first + n_now < n; n_now++) {
            n_tokens += prompts[first + n_now].n_ids;
            if (n_tokens > PREFILL_TOKENS) break;
        }
        st = m->arch->prefill(d, n_now, i_seqs + first, prompts + first,
                              hidden + first * model_head_width(m), err);
    }
    return st;
}
