#include "common/nn/loss/head_loss.h"

#include "common/nn/operand.h"

/* Blocks of logits: large enough to read the head's matrix few times, small next to the model. */
#define BLOCK_LOGITS   ((size_t)4 * 1024 * 1024)
#define BLOCK_ROWS_MIN ((size_t)64)
#define BLOCK_ROWS_MAX ((size_t)256)

size_t head_loss_block_rows(size_t n_vocab)
{
    size_t n = BLOCK_LOGITS / RT_MAX(n_vocab, (size_t)1) / TAPE_ROW_BLOCK * TAPE_ROW_BLOCK;
    return RT_MIN(RT_MAX(n, BLOCK_ROWS_MIN), BLOCK_ROWS_MAX);
}

/* What one head_loss() works with. */
typedef struct head_pass {
    operand hidden, head;
    float *logits;             /* [block, n_vocab] */
    float *d_hidden, *d_head;  /* NULL: not wanted */
    bool add_hidden, add_head; /* whether they hold something already */
} head_pass;

/* Gradients of rows [first, first + m), whose d_logits stand in p->logits. */
static void block_backward(tape *t, head_pass *p, size_t first, size_t m, const operand *x)
{
    size_t n_vocab = p->head.n_rows, d = p->head.n_cols;
    operand d_logits = operand_borrow(t, p->logits, m, n_vocab);
    if (!operand_ok(&d_logits)) return;
    operand_gemm(t, GEMM_N, GEMM_N, d_logits.n_rows, d, n_vocab, &d_logits, &p->head,
                 p->add_hidden ? 1 : 0, p->d_hidden + first * d, d);
    if (p->d_head != NULL)
        operand_gemm(t, GEMM_T, GEMM_N, n_vocab, d, d_logits.n_rows, &d_logits, x,
                     p->add_head ? 1 : 0, p->d_head, d);
    p->add_head = true;
    operand_give_back(t, &d_logits);
}

void head_loss(tape *t, tensor *hidden, tensor *head, const loss_term *term, void *state,
               const uint32_t *targets, const float *scales, float *losses, bool *exact)
{
    if (hidden == NULL || head == NULL) return;
    size_t n = hidden->n_rows, d = hidden->n_cols, n_vocab = head->n_rows;
    size_t n_block = head_loss_block_rows(n_vocab);
    bool backward = tape_records(t) && scales != NULL && n > 0;
    head_pass p = {.hidden = operand_of(t, hidden), .head = operand_of(t, head)};
    size_t n_bytes = tape_padded_rows(RT_MIN(n_block, n)) * n_vocab * sizeof *p.logits;
    p.logits = tape_take(t, n_bytes);
    p.d_hidden = backward ? tape_grad(t, hidden, &p.add_hidden) : NULL;
    p.d_head = backward ? tape_grad(t, head, &p.add_head) : NULL;
    if (p.logits == NULL || (backward && p.d_hidden == NULL)) return;
    if (!operand_ok(&p.hidden) || !operand_ok(&p.head)) return;
    for (size_t first = 0; first < n; first += n_block) {
        size_t m = RT_MIN(n_block, n - first);
        operand x = operand_rows(&p.hidden, first, m);
        operand_gemm(t, GEMM_N, GEMM_T, x.n_rows, n_vocab, d, &x, &p.head, 0, p.logits, n_vocab);
        loss_rows rows = {.n_rows = m,
                          .n_vocab = n_vocab,
                          .targets = targets + first,
                          .scales = backward ? scales + first : NULL,
                          .losses = losses + first,
                          .exact = exact + first};
        term->rows(state, &rows, p.logits);
        if (backward) block_backward(t, &p, first, m, &x);
    }
    tape_give(t, p.logits, n_bytes);
}
