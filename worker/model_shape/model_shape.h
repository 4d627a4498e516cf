/* The student's shape: a pure function of the settings and the vocabulary.
 *
 *     model_config shape;
 *     vocabulary v = {.n_vocab = 512, .bos_id = 1, .eos_id = 2, .pad_id = 3};
 *     if ((st = model_shape_of(c, &v, &shape, err)) != RT_OK) goto out;
 *
 * Students, parameter-server shards and export all derive it here, so they agree on every
 * parameter. With student.init_from the published config.json gives the shape, the settings give
 * dropout and the longest sequence.
 */
#ifndef RT_WORKER_MODEL_SHAPE_MODEL_SHAPE_H
#define RT_WORKER_MODEL_SHAPE_MODEL_SHAPE_H

#include "common/conf/config.h"
#include "common/nn/model_config.h"

/* Of the tokenizer; travels with every order and RunState. */
typedef struct vocabulary {
    uint32_t n_vocab, bos_id, eos_id, pad_id;
} vocabulary;

/* RT_INVALID for settings that make no model, for n_vocab 0, and for a tokenizer that does not fit
 * the published model; reading config.json fails as hf_config_read() does. */
RT_MUST_USE rt_status model_shape_of(const config *c, const vocabulary *v, model_config *out,
                                     rt_error *err);

#endif
