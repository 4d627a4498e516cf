#include "common/nn/loss/head_loss.h"

#include "common/nn/gemm.h"

/* About half a megabyte of logits: large enough for BLAS, small enough for a level-2 cache. */
#define BLOCK_LOGITS   ((size_t)128 * 1024)
#define BLOCK_ROWS_MIN ((size_t)16)
#define BLOCK_ROWS_MAX ((size_t)256)

size_t head_loss_block_rows(size_t n_vocab)
{
    size_t n = BLOCK_LOGITS / RT_MAX(n_vocab, (size_t)1);
    return RT_MIN(RT_MAX(n, BLOCK_ROWS_MIN), BLOCK_ROWS_MAX);
}

void head_loss(tape *t, tensor *hidden, tensor *head, const loss_term *term, void *state,
               const uint32_t *targets, const float *scales, float *losses, bool *exact)
{
    if (hidden == NULL || head == NULL) return;
    size_t n = hidden->n_rows, d = hidden->n_cols, n_vocab = head->n_rows;
    size_t n_block = RT_MIN(head_loss_block_rows(n_vocab), n);
    bool backward = tape_records(t) && scales != NULL && n > 0;
    bool add_hidden = false, add_head = false;
    float *logits = tape_alloc(t, n_block * n_vocab, sizeof *logits);
    float *d_hidden = backward ? tape_grad(t, hidden, &add_hidden) : NULL;
    float *d_head = backward ? tape_grad(t, head, &add_head) : NULL;
    if (logits == NULL || (backward && d_hidden == NULL)) return;
    for (size_t first = 0; first < n; first += n_block) {
        size_t m = RT_MIN(n_block, n - first);
        const float *x = hidden->data + first * d;
        gemm(GEMM_N, GEMM_T, m, n_vocab, d, 1, x, d, head->data, d, 0, logits, n_vocab);
        loss_rows rows = {.n_rows = m,
                          .n_vocab = n_vocab,
                          .targets = targets + first,
                          .scales = backward ? scales + first : NULL,
                          .losses = losses + first,
                          .exact = exact + first};
        term->rows(state, &rows, logits);
        if (!backward) continue;
        gemm(GEMM_N, GEMM_N, m, d, n_vocab, 1, logits, n_vocab, head->data, d, add_hidden ? 1 : 0,
             d_hidden + first * d, d);
        if (d_head == NULL) continue;
        gemm(GEMM_T, GEMM_N, n_vocab, d, m, 1, logits, n_vocab, x, d, add_head ? 1 : 0, d_head, d);
        add_head = true;
    }
}
