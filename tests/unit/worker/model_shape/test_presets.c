/* Every shape that has a name, from the settings to its parameters: the counts are published ones. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/conf/student_preset.h"
#include "common/nn/model_cost.h"
#include "worker/model_shape/model_shape.h"

static const char yaml[] = "name: t\ntask: {answer: text}\ncorpus: {files: [a]}\n"
                           "teacher: {files: [b], match_field: \"{input}\"}\n";

static config *parse(const char *student, rt_error *err)
{
    char text[512];
    config *c = NULL;
    int n = snprintf(text, sizeof text, "%sstudent: {%s}\n", yaml, student);
    (void)!config_parse("t.yaml", text, (size_t)n, NULL, &c, err);
    return c;
}

static model_config shape_of(const char *student, uint32_t n_vocab)
{
    rt_error err = {0};
    model_config shape = {0};
    config *c = parse(student, &err);
    cr_assert_not_null(c, "%s: %s", student, err.text);
    vocabulary v = {.n_vocab = n_vocab, .bos_id = 1, .eos_id = 2, .pad_id = 3};
    cr_assert_eq(model_shape_of(c, &v, &shape, &err), RT_OK, "%s: %s", student, err.text);
    config_free(c);
    return shape;
}

static size_t params_of(const model_config *shape)
{
    rt_error err = {0};
    model_cost cost;
    model_workload work = {.n_seqs = 1, .n_prompt = 1, .n_target = 1};
    cr_assert_eq(model_cost_of(shape, &work, &cost, &err), RT_OK, "%s", err.text);
    size_t sum = 0;
    for (int p = 0; p < MODEL_PART_ALL; p++) sum += cost.params[p];
    cr_expect_eq(sum, cost.params[MODEL_PART_ALL], "the parts make the whole");
    return cost.params[MODEL_PART_ALL];
}

/* Millions as the papers print them. */
Test(presets, have_the_published_numbers_of_parameters)
{
    static const struct {
        const char *name;
        double millions, within;
    } published[] = {
        {"t5-tiny", 15.57, 0.01},
        {"t5-mini", 31.22, 0.01},
        {"t5-small", 60.506624, 1e-9},
        {"t5-base", 222.903552, 1e-9},
        {"t5-large", 737.7, 0.1},
        {"t5-xl", 2851.6, 0.1},
        {"t5-xxl", 11307, 1},
        {"t5-tiny-nl8", 22.9, 0.06},
        {"t5-tiny-nl16", 37.6, 0.06},
        {"t5-tiny-nl32", 67.0, 0.06},
        {"t5-mini-nl12", 69.0, 0.06},
        {"t5-mini-nl24", 125.6, 0.06},
        {"t5-small-nl16", 133.9, 0.06},
        {"t5-small-nl22", 178.0, 0.06},
        {"t5-small-nl24", 192.7, 0.06},
        {"t5-small-nl32", 251.4, 0.06},
        {"t5-small-nl36", 280.8, 0.06},
        {"t5-base-nl24", 421, 0.6},
        {"t5-base-nl36", 619, 0.6},
        {"t5-large-nl36", 1090, 0.6},
        {"t5-v1_1-small", 77.0, 0.06},
        {"t5-v1_1-base", 247.6, 0.06},
        {"t5-v1_1-large", 783.2, 0.06},
        {"t5-v1_1-xl", 2850, 5},
        {"t5-v1_1-xxl", 11135, 50},
        {"llama-15m", 15.19, 0.01},
        {"llama-42m", 41.7, 0.1},
        {"llama-110m", 109.5, 0.1},
        {"smollm2-135m", 134.515008, 1e-9},
        {"smollm2-360m", 361.821120, 1e-9},
        {"tinyllama-1.1b", 1100.048384, 1e-9},
        {"llama-3.2-1b", 1235.814400, 1e-9},
        {"llama-260k", 0.26, 0.01},
    };
    cr_expect_eq(student_preset_count(), RT_COUNT(published), "every preset has its number here");
    for (size_t i = 0; i < RT_COUNT(published); i++) {
        char student[64];
        const student_preset *p = student_preset_find(published[i].name);
        cr_assert_not_null(p, "%s", published[i].name);
        snprintf(student, sizeof student, "preset: %s", p->name);
        model_config shape = shape_of(student, p->n_vocab);
        double millions = (double)params_of(&shape) * 1e-6;
        cr_expect_leq(fabs(millions - published[i].millions), published[i].within,
                      "%s has %.6f million, expected %g", p->name, millions, published[i].millions);
    }
}

Test(presets, what_is_written_counts_more_than_the_preset)
{
    model_config plain = shape_of("preset: t5-small", 4000);
    model_config c =
        shape_of("preset: t5-small, n_decoder_layers: 2, d_ff: 1024, tied: false", 4000);
    cr_expect(c.arch == MODEL_ARCH_T5 && c.d_model == 512 && c.n_layers == 6 && c.n_heads == 8 &&
              c.d_head == 64 && c.ff_act == MODEL_FF_RELU);
    cr_expect(c.n_decoder_layers == 2 && c.d_ff == 1024 && !c.tied);
    cr_expect(plain.n_decoder_layers == 6 && plain.d_ff == 2048 && plain.tied);
    c = shape_of("preset: smollm2-135m, rope_theta: 5000", 4000);
    cr_expect(c.arch == MODEL_ARCH_LLAMA && c.n_kv_heads == 3 && c.rope_theta == 5000);
    cr_expect_eq(shape_of("preset: smollm2-135m", 4000).rope_theta, 100000);
    cr_expect_eq(shape_of("n_layers: 3", 4000).d_model, 256, "without a preset the defaults stay");
}

Test(presets, a_wrong_name_is_an_error_with_the_nearest_one)
{
    rt_error err = {0};
    cr_expect_null(parse("preset: t5-smal", &err));
    cr_expect_not_null(strstr(err.text, "student.preset"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "t5-small"), "%s", err.text);
    cr_expect_null(parse("preset: [t5-small]", &err));
    cr_expect_not_null(strstr(err.text, "student.preset"), "%s", err.text);
}

/* The values decide the student, not their name. */
Test(presets, a_preset_has_the_fingerprint_of_its_values)
{
    rt_error err = {0};
    char by_name[33], by_values[33], other[33];
    config *a = parse("preset: llama-15m", &err), *b = NULL, *c = NULL;
    b = parse("d_model: 288, n_layers: 6, n_heads: 6, n_kv_heads: 6, d_head: 48, d_ff: 768, "
              "ff_act: swiglu",
              &err);
    c = parse("preset: llama-42m", &err);
    cr_assert(a != NULL && b != NULL && c != NULL, "%s", err.text);
    cr_assert_eq(config_fingerprint(a, by_name, &err), RT_OK);
    cr_assert_eq(config_fingerprint(b, by_values, &err), RT_OK);
    cr_assert_eq(config_fingerprint(c, other, &err), RT_OK);
    cr_expect_str_eq(by_name, by_values);
    cr_expect_str_neq(by_name, other);
    config_free(a);
    config_free(b);
    config_free(c);
}
