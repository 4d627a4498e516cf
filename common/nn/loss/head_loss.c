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

/* Gradients of rows [first, first + m). */
static void block_backward(tape *t, head_pass *p, size_t first, const operand *d_logits,
                           const operand *x)
{
    size_t n_vocab = p->head.n_rows, d = p->head.n_cols;
    operand_gemm(t, GEMM_N, GEMM_N, d_logits->n_rows, d, n_vocab, d_logits, &p->head,
                 p->add_hidden ? 1 : 0, p->d_hidden + first * d, d);
    if (p->d_head != NULL)
        operand_gemm(t, GEMM_T, GEMM_N, n_vocab, d, d_logits->n_rows, d_logits, x,
                     p->add_head ? 1 : 0, p->d_head, d);
    p->add_head = true;
}

/* Losses of rows [first, first + rows->n_rows) and the gradients of the logits in their place, which
 * d_logits gets as the products read them. */
static void block_losses(tape *t, const head_pass *p, const loss_term *term, void *state,
                         loss_rows *rows, operand *d_logits)
{
    bool rounds = rows->scales != NULL && tape_compute(t) == COMPUTE_BF16;
    if (rounds) *d_logits = operand_room(t, rows->n_rows, rows->n_vocab, &rows->half);
    term->rows(state, rows, p->logits);
    if (rows->scales != NULL && !rounds)
        *d_logits = operand_borrow(t, p->logits, rows->n_rows, rows->n_vocab);
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
        operand d_logits = {0};
        block_losses(t, &p, term, state, &rows, &d_logits);
        if (operand_ok(&d_logits)) block_backward(t, &p, first, &d_logits, &x);
        operand_give_back(t, &d_logits);
    }
    tape_give(t, p.logits, n_bytes);
}
