/* "#" stands for the number of a layer. T5's rows are never turned; its encoder's and decoder's
 * embedding are aliases of shared.weight and are not written.
 *
 * Source: gguf-py's tensor_mapping.py and constants.py (llama.cpp).
 */
#include "common/ckpt/gguf_names.h"

#include <stdio.h>
#include <string.h>

typedef struct name_pair {
    const char *hf, *gguf; /* without ".weight" */
    gguf_rows rows;
} name_pair;

static const name_pair llama_names[] = {
    {"model.embed_tokens", "token_embd", GGUF_ROWS_PLAIN},
    {"model.norm", "output_norm", GGUF_ROWS_PLAIN},
    {"lm_head", "output", GGUF_ROWS_PLAIN},
    {"model.layers.#.input_layernorm", "blk.#.attn_norm", GGUF_ROWS_PLAIN},
    {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", GGUF_ROWS_ROTARY},
    {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", GGUF_ROWS_ROTARY},
    {"model.layers.#.self_attn.v_proj", "blk.#.attn_v", GGUF_ROWS_PLAIN},
    {"model.layers.#.self_attn.o_proj", "blk.#.attn_output", GGUF_ROWS_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", GGUF_ROWS_PLAIN},
    {"model.layers.#.mlp.gate_proj", "blk.#.ffn_gate", GGUF_ROWS_PLAIN},
    {"model.layers.#.mlp.up_proj", "blk.#.ffn_up", GGUF_ROWS_PLAIN},
    {"model.layers.#.mlp.down_proj", "blk.#.ffn_down", GGUF_ROWS_PLAIN},
};

#define T5_PLAIN(hf, gguf)        \
    {                             \
        hf, gguf, GGUF_ROWS_PLAIN \
    }

static const name_pair t5_names[] = {
    T5_PLAIN("shared", "token_embd"),
    T5_PLAIN("lm_head", "output"),
    T5_PLAIN("encoder.final_layer_norm", "enc.output_norm"),
    T5_PLAIN("decoder.final_layer_norm", "dec.output_norm"),
    T5_PLAIN("encoder.block.#.layer.0.layer_norm", "enc.blk.#.attn_norm"),
    T5_PLAIN("encoder.block.#.layer.0.SelfAttention.q", "enc.blk.#.attn_q"),
    T5_PLAIN("encoder.block.#.layer.0.SelfAttention.k", "enc.blk.#.attn_k"),
    T5_PLAIN("encoder.block.#.layer.0.SelfAttention.v", "enc.blk.#.attn_v"),
    T5_PLAIN("encoder.block.#.layer.0.SelfAttention.o", "enc.blk.#.attn_o"),
    T5_PLAIN("encoder.block.#.layer.0.SelfAttention.relative_attention_bias",
             "enc.blk.#.attn_rel_b"),
    T5_PLAIN("encoder.block.#.layer.1.layer_norm", "enc.blk.#.ffn_norm"),
    T5_PLAIN("encoder.block.#.layer.1.DenseReluDense.wi", "enc.blk.#.ffn_up"),
    T5_PLAIN("encoder.block.#.layer.1.DenseReluDense.wi_0", "enc.blk.#.ffn_gate"),
    T5_PLAIN("encoder.block.#.layer.1.DenseReluDense.wi_1", "enc.blk.#.ffn_up"),
    T5_PLAIN("encoder.block.#.layer.1.DenseReluDense.wo", "enc.blk.#.ffn_down"),
    T5_PLAIN("decoder.block.#.layer.0.layer_norm", "dec.blk.#.attn_norm"),
    T5_PLAIN("decoder.block.#.layer.0.SelfAttention.q", "dec.blk.#.attn_q"),
    T5_PLAIN("decoder.block.#.layer.0.SelfAttention.k", "dec.blk.#.attn_k"),
    T5_PLAIN("decoder.block.#.layer.0.SelfAttention.v", "dec.blk.#.attn_v"),
    T5_PLAIN("decoder.block.#.layer.0.SelfAttention.o", "dec.blk.#.attn_o"),
    T5_PLAIN("decoder.block.#.layer.0.SelfAttention.relative_attention_bias",
             "dec.blk.#.attn_rel_b"),
    T5_PLAIN("decoder.block.#.layer.1.layer_norm", "dec.blk.#.cross_attn_norm"),
    T5_PLAIN("decoder.block.#.layer.1.EncDecAttention.q", "dec.blk.#.cross_attn_q"),
    T5_PLAIN("decoder.block.#.layer.1.EncDecAttention.k", "dec.blk.#.cross_attn_k"),
    T5_PLAIN("decoder.block.#.layer.1.EncDecAttention.v", "dec.blk.#.cross_attn_v"),
    T5_PLAIN("decoder.block.#.layer.1.EncDecAttention.o", "dec.blk.#.cross_attn_o"),
    T5_PLAIN("decoder.block.#.layer.2.layer_norm", "dec.blk.#.ffn_norm"),
    T5_PLAIN("decoder.block.#.layer.2.DenseReluDense.wi", "dec.blk.#.ffn_up"),
    T5_PLAIN("decoder.block.#.layer.2.DenseReluDense.wi_0", "dec.blk.#.ffn_gate"),
    T5_PLAIN("decoder.block.#.layer.2.DenseReluDense.wi_1", "dec.blk.#.ffn_up"),
    T5_PLAIN("decoder.block.#.layer.2.DenseReluDense.wo", "dec.blk.#.ffn_down"),
};

static const struct {
    const char *architecture;
    const name_pair *pairs;
    size_t n;
} tables[] = {{"llama", llama_names, RT_COUNT(llama_names)}, {"t5", t5_names, RT_COUNT(t5_names)}};

/* Whether `name` is the pattern with ".weight"; its number goes to *number. */
static bool matches(const char *pattern, const char *name, size_t n, char number[12])
{
    number[0] = '\0';
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '#') {
            if (n == 0 || *name != *pattern) return false;
            name++;
            n--;
            continue;
        }
        size_t digits = 0;
        while (digits < n && digits < 10 && name[digits] >= '0' && name[digits] <= '9') digits++;
        if (digits == 0) return false;
        snprintf(number, 12, "%.*s", (int)digits, name);
        name += digits;
        n -= digits;
    }
    return n == 7 && strncmp(name, ".weight", 7) == 0;
}

bool gguf_name_of(const char *architecture, const char *name, char *out, gguf_rows *rows)
{
    char number[12];
    for (size_t t = 0; t < RT_COUNT(tables); t++) {
        if (strcmp(tables[t].architecture, architecture) != 0) continue;
        for (size_t i = 0; i < tables[t].n; i++) {
            const name_pair *p = &tables[t].pairs[i];
            if (!matches(p->hf, name, strlen(name), number)) continue;
            const char *place = strchr(p->gguf, '#');
            size_t before = place == NULL ? strlen(p->gguf) : (size_t)(place - p->gguf);
            snprintf(out, GGUF_NAME_MAX + 1, "%.*s%s%s.weight", (int)before, p->gguf, number,
                     place == NULL ? "" : place + 1);
            *rows = p->rows;
            return true;
        }
    }
    return false;
}
