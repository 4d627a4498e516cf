/* What an architecture is: its parameters, its forward pass, its decoding. One vtable each.
 *
 * Everything else (batches, loss, gradient, sampling, files) is written once on top of this.
 */
#ifndef RT_NN_MODEL_ARCH_H
#define RT_NN_MODEL_ARCH_H

#include "common/nn/generate.h"
#include "common/nn/ops/ops.h"

/* The token axis that a forward pass reads; of an encoder-decoder, the decoder's. */
typedef struct model_input {
    const uint32_t *ids;       /* [n_tokens] */
    const uint32_t *positions; /* [n_tokens], from 0 in each span */
    size_t n_tokens;
    const row_span *spans;
    const rng_key *dropout_keys; /* [n_spans] */
    size_t n_spans;
    float dropout; /* 0: off */

    /* what an encoder reads: span i belongs to span i of the above; NULL without an encoder */
    const uint32_t *source_ids; /* [n_source_tokens] */
    size_t n_source_tokens;
    const row_span *source_spans; /* [n_spans] */
} model_input;

/* Every layer's output, for losses that read or inject there (tape_inject). */
typedef struct model_trace {
    tensor **layers; /* [n_layers + 1]: the embedding's output, then each layer's */
    tensor **fused;  /* [n_layers]: [q | k | v] after rotation, which a decoder keeps; or NULL */
    size_t n_layers; /* of the stack that the head reads */
} model_trace;

/* Key-value memory of sequences that are decoded together. */
typedef struct decoder decoder;
/* What decoder_new says when there is no room: sequences, tokens. */
#define DECODER_NO_MEMORY                                       \
    "no memory to decode %zu sequences together (%zu tokens): " \
    "use fewer new tokens or shorter prompts"

typedef struct arch {
    /* Append the parameters in the order of the flat vector, with param_table_add(). */
    rt_status (*list_params)(const model_config *config, param_table *table, rt_error *err);
    /* Standard deviation of the initial values of a matrix. */
    float (*init_deviation)(const model_config *config, const param *p);
    /* Run all layers; false when memory ran out (see tape_status). */
    bool (*forward)(model *m, const model_input *input, model_trace *out);
    /* Final norm over chosen rows of any layer's output; the head's input. */
    tensor *(*final_norm)(model *m, tensor *layer_output, const uint32_t *rows, size_t n_rows);
    /* Entry of the table that is the head's matrix [n_vocab, d_model]. */
    size_t (*head_param)(const model *m);
    /* Room for groups of up to n_seqs sequences that reach n_tokens tokens together and n_longest
     * each. Freed with decoder_free. */
    rt_status (*decoder_new)(model *m, size_t n_seqs, size_t n_tokens, size_t n_longest,
                             decoder **out, rt_error *err);
    /* Start a group: capacities[n_seqs] are the tokens that each sequence may reach. */
    void (*decoder_begin)(decoder *d, const size_t *capacities, size_t n_seqs);
    void (*decoder_free)(decoder *d);
    /* Begin each of n sequences, whatever it held, with its prompt; hidden[n, width] receives the
     * final norm's output at the last token of each. */
    rt_status (*prefill)(decoder *d, size_t n, const uint32_t *i_seqs,
                         const generate_prompt *prompts, float *hidden, rt_error *err);
    /* Begin sequence `to`, whatever it held, with the prompt of n tokens that `from` began with; to
     * and from may be the same. */
    void (*copy)(decoder *d, size_t to, size_t from, size_t n);
    /* Sequence `to` goes on as `from` does: it gets all that `from` has read, prompt and tokens behind
     * it. Of the n_same first tokens of both, prompt included, `to` holds the keys and values already;
     * 0: of none. */
    void (*fork)(decoder *d, size_t to, size_t from, size_t n_same);
    /* One more token for each of n sequences; hidden as above. */
    rt_status (*step)(decoder *d, size_t n, const uint32_t *i_seqs, const uint32_t *ids,
                      float *hidden, rt_error *err);
} arch;

extern const arch arch_llama, arch_t5;
/* NULL for an unknown one. */
const arch *arch_find(model_arch which);

#endif
