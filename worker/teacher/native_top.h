/* What a native teacher held likely at each token that it wrote, as a record keeps it. */
#ifndef RT_WORKER_TEACHER_NATIVE_TOP_H
#define RT_WORKER_TEACHER_NATIVE_TOP_H

#include "common/nn/generate.h"
#include "common/text/token_table.h"

/* Replaces *out by a text of common/dataset/topk.h: for each token of g, which was decoded with n_top,
 * the token and its alternatives as bytes. Tokens of the same bytes are one, with the sum of their
 * probabilities: eos, padding and whatever else has no text are the empty one. *out stays empty when
 * nothing was written, or when it cannot be said: probabilities that are no numbers, a token of more
 * than TOPK_TOKEN_BYTES_MAX bytes. */
RT_MUST_USE rt_status native_top_text(const token_table *table, const generated *g, rt_buf *out,
                                      rt_error *err);

#endif
