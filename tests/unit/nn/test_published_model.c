/* A published model of 260 thousand parameters must write what its own program writes.
 *
 * Its file is llama2.c's: seven int32 (dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size,
 * seq_len), then float32 matrices, each for all layers. That program rotates neighbouring pairs of
 * q and k where Hugging Face's layout rotates halves, so their rows are put into the other order.
 * The folder with it is not part of the product: without it the test is skipped.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/fs.h"
#include "common/nn/generate.h"

typedef struct reader {
    const float *at;
    model *m;
} reader;

static float *place(reader *r, size_t i_layer, const char *part)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%zu.%s.weight", i_layer, part);
    int i = param_table_find(model_table(r->m), name);
    cr_assert_geq(i, 0, "%s", name);
    return model_weights(r->m) + model_table(r->m)->params[i].offset;
}

static void take_layers(reader *r, const char *part, size_t n)
{
    for (size_t l = 0; l < model_get_config(r->m)->n_layers; l++, r->at += n)
        memcpy(place(r, l, part), r->at, n * sizeof(float));
}

/* Row 2c + s of a head (s: which of the pair) becomes row c + s * d_head / 2. */
static void take_rotated(reader *r, const char *part, size_t n_heads)
{
    const model_config *c = model_get_config(r->m);
    size_t d = c->d_model, half = c->d_head / 2;
    for (size_t l = 0; l < c->n_layers; l++) {
        float *to = place(r, l, part);
        for (size_t row = 0; row < n_heads * c->d_head; row++, r->at += d) {
            size_t head = row / c->d_head, in_head = row % c->d_head;
            size_t other = head * c->d_head + in_head / 2 + in_head % 2 * half;
            memcpy(to + other * d, r->at, d * sizeof(float));
        }
    }
}

static model *read_model(const rt_buf *file)
{
    int32_t h[7];
    memcpy(h, file->data, sizeof h);
    model_config c = {.arch = MODEL_ARCH_LLAMA,
                      .d_model = (size_t)h[0],
                      .d_ff = (size_t)h[1],
                      .n_layers = (size_t)h[2],
                      .n_heads = (size_t)h[3],
                      .n_kv_heads = (size_t)h[4],
                      .n_vocab = (size_t)abs(h[5]),
                      .seq_len_max = (size_t)h[6],
                      .d_head = (size_t)(h[0] / h[3]),
                      .rope_theta = 10000,
                      .norm_eps = 1e-5f,
                      .tied = h[5] > 0,
                      .bos_id = 1,
                      .eos_id = 2};
    rt_error err = {0};
    reader r = {0};
    cr_assert_eq(model_new(&c, &r.m, &err), RT_OK, "%s", err.text);
    float *all = rt_calloc(file->n / 4, 4);
    memcpy(all, file->data + sizeof h, file->n - sizeof h);
    size_t d = c.d_model, n_q = c.n_heads * c.d_head, n_kv = c.n_kv_heads * c.d_head;
    r.at = all;
    memcpy(model_weights(r.m), r.at, c.n_vocab * d * sizeof(float));
    r.at += c.n_vocab * d;
    take_layers(&r, "input_layernorm", d);
    take_rotated(&r, "self_attn.q_proj", c.n_heads);
    take_rotated(&r, "self_attn.k_proj", c.n_kv_heads);
    take_layers(&r, "self_attn.v_proj", n_kv * d);
    take_layers(&r, "self_attn.o_proj", d * n_q);
    take_layers(&r, "post_attention_layernorm", d);
    take_layers(&r, "mlp.gate_proj", c.d_ff * d);
    take_layers(&r, "mlp.down_proj", d * c.d_ff);
    take_layers(&r, "mlp.up_proj", c.d_ff * d);
    int norm = param_table_find(model_table(r.m), "model.norm.weight");
    memcpy(model_weights(r.m) + model_table(r.m)->params[norm].offset, r.at, d * sizeof(float));
    free(all);
    return r.m;
}

/* The numbers of the array that follows "ids". */
static size_t read_ids(const char *json, uint32_t *ids, size_t n_max)
{
    const char *at = strstr(json, "\"ids\"");
    cr_assert_not_null(at);
    at = strchr(at, '[');
    size_t n = 0;
    while (at != NULL && *at != ']' && n < n_max) {
        char *end;
        unsigned long id = strtoul(at + 1, &end, 10);
        if (end == at + 1) break;
        ids[n++] = (uint32_t)id;
        at = strpbrk(end, ",]");
    }
    return n;
}

static bool read_data(const char *name, rt_buf *out)
{
    const char *source = getenv("RT_SOURCE_DIR");
    char path[1024];
    rt_error err = {0};
    snprintf(path, sizeof path, "%s/../shared/data/weights/%s", source ? source : ".", name);
    if (rt_fs_read(path, 1 << 26, out, &err) == RT_OK) return true;
    fprintf(stderr, "skipped, the published model is not here: %s\n", err.text);
    return false;
}

Test(published_model, writes_the_same_100_tokens_as_its_own_program)
{
    rt_buf weights = {0}, golden = {0};
    if (!read_data("aidreams260K.bin", &weights) || !read_data("golden_greedy.json", &golden)) {
        rt_buf_free(&weights);
        rt_buf_free(&golden);
        cr_skip_test("the published model is not here");
    }
    model *m = read_model(&weights);
    uint32_t wanted[128], bos = 1;
    size_t n = read_ids(golden.data, wanted, RT_COUNT(wanted));
    cr_assert_geq(n, 50);
    generate_prompt prompt = {.ids = &bos, .n_ids = 1};
    generate_options options = {.max_new_tokens = n, .top_p = 1};
    generated out;
    rt_error err = {0};
    cr_assert_eq(generate(m, &prompt, 1, &options, &out, &err), RT_OK, "%s", err.text);
    cr_expect_eq(out.n_ids, n);
    for (size_t i = 0; i < RT_MIN(n, out.n_ids); i++)
        cr_assert_eq(out.ids[i], wanted[i], "token %zu is %u, expected %u", i, out.ids[i],
                     wanted[i]);
    generated_free(&out, 1);
    model_free(m);
    rt_buf_free(&weights);
    rt_buf_free(&golden);
}
