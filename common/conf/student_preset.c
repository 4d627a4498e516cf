/* T5 v1.0 and its DeepNarrow variants: Tay et al. 2021, "Scale Efficiently", arXiv:2109.10686. The
 * cards of that family print d_kv 32 for tiny, mini and small; their own counts of parameters hold
 * for 64, which stands here. T5 v1.1: the published config.json files. Llama shapes: llama2.c's
 * README (stories) and the published config.json files.
 */
#include "common/conf/student_preset.h"

#include <stdio.h>
#include <string.h>

#include "common/conf/nearest.h"

#define T5_VOCAB 32128

/* NOLINTBEGIN(bugprone-macro-parentheses): initialisers */
#define T5_V1_0(id, d, layers, heads, d_kv, ff, text)                                           \
    {                                                                                           \
        .name = id, .arch = "t5", .ff_act = "relu", .d_model = d, .n_layers = layers,           \
        .n_decoder_layers = layers, .n_heads = heads, .d_head = d_kv, .d_ff = ff, .tied = true, \
        .n_vocab = T5_VOCAB, .about = text                                                      \
    }
#define T5_V1_1(id, d, layers, heads, ff)                                                      \
    {                                                                                          \
        .name = id, .arch = "t5", .ff_act = "gated-gelu", .d_model = d, .n_layers = layers,    \
        .n_decoder_layers = layers, .n_heads = heads, .d_head = 64, .d_ff = ff, .tied = false, \
        .n_vocab = T5_VOCAB, .about = "T5 v1.1: gated GELU, a head of its own"                 \
    }
#define LLAMA(id, d, layers, heads, kv, d_h, ff, is_tied, theta, vocab, text)              \
    {                                                                                      \
        .name = id, .arch = "llama", .ff_act = "swiglu", .d_model = d, .n_layers = layers, \
        .n_heads = heads, .n_kv_heads = kv, .d_head = d_h, .d_ff = ff, .tied = is_tied,    \
        .rope_theta = theta, .n_vocab = vocab, .about = text                               \
    }

#define SHALLOW "T5 v1.0: ReLU, a tied head"
#define DEEP    "T5 v1.0, DeepNarrow: deeper at the same width"

/* NOLINTEND(bugprone-macro-parentheses) */

/* clang-format off */
static const student_preset presets[] = {
T5_V1_0("t5-tiny",        256,  4,   4,  64,  1024, SHALLOW),
T5_V1_0("t5-tiny-nl8",    256,  8,   4,  64,  1024, DEEP),
T5_V1_0("t5-tiny-nl16",   256, 16,   4,  64,  1024, DEEP),
T5_V1_0("t5-tiny-nl32",   256, 32,   4,  64,  1024, DEEP),
T5_V1_0("t5-mini",        384,  4,   8,  64,  1536, SHALLOW),
T5_V1_0("t5-mini-nl12",   384, 12,   8,  64,  1536, DEEP),
T5_V1_0("t5-mini-nl24",   384, 24,   8,  64,  1536, DEEP),
T5_V1_0("t5-small",       512,  6,   8,  64,  2048, SHALLOW),
T5_V1_0("t5-small-nl16",  512, 16,   8,  64,  2048, DEEP),
T5_V1_0("t5-small-nl22",  512, 22,   8,  64,  2048, DEEP),
T5_V1_0("t5-small-nl24",  512, 24,   8,  64,  2048, DEEP),
T5_V1_0("t5-small-nl32",  512, 32,   8,  64,  2048, DEEP),
T5_V1_0("t5-small-nl36",  512, 36,   8,  64,  2048, DEEP),
T5_V1_0("t5-base",        768, 12,  12,  64,  3072, SHALLOW),
T5_V1_0("t5-base-nl24",   768, 24,  12,  64,  3072, DEEP),
T5_V1_0("t5-base-nl36",   768, 36,  12,  64,  3072, DEEP),
T5_V1_0("t5-large",      1024, 24,  16,  64,  4096, SHALLOW),
T5_V1_0("t5-large-nl36", 1024, 36,  16,  64,  4096, DEEP),
T5_V1_0("t5-xl",         1024, 24,  32, 128, 16384, SHALLOW),
T5_V1_0("t5-xxl",        1024, 24, 128, 128, 65536, SHALLOW),
T5_V1_1("t5-v1_1-small",  512,  8,   6,  1024),
T5_V1_1("t5-v1_1-base",   768, 12,  12,  2048),
T5_V1_1("t5-v1_1-large", 1024, 24,  16,  2816),
T5_V1_1("t5-v1_1-xl",    2048, 24,  32,  5120),
T5_V1_1("t5-v1_1-xxl",   4096, 24,  64, 10240),
LLAMA("llama-260k",          64,  5,  8, 4,  8,  172, true,   10000,    512, "llama2.c's stories260K"),
LLAMA("llama-15m",          288,  6,  6, 6, 48,  768, true,   10000,  32000, "llama2.c's stories15M"),
LLAMA("llama-42m",          512,  8,  8, 8, 64, 1376, true,   10000,  32000, "llama2.c's stories42M"),
LLAMA("llama-110m",         768, 12, 12, 12, 64, 2048, true,  10000,  32000, "llama2.c's stories110M"),
LLAMA("smollm2-135m",       576, 30,  9, 3, 64, 1536, true,  100000,  49152, "deep and narrow, grouped keys"),
LLAMA("smollm2-360m",       960, 32, 15, 5, 64, 2560, true,  100000,  49152, "deep and narrow, grouped keys"),
LLAMA("tinyllama-1.1b",    2048, 22, 32, 4, 64, 5632, false,  10000,  32000, "a small Llama 2"),
LLAMA("llama-3.2-1b",      2048, 16, 32, 8, 64, 8192, true,  500000, 128256, "without the scaling of positions"),
};
/* clang-format on */

size_t student_preset_count(void)
{
    return RT_COUNT(presets);
}

const student_preset *student_preset_at(size_t i)
{
    RT_ASSERT(i < RT_COUNT(presets));
    return &presets[i];
}

const student_preset *student_preset_find(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(presets); i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}

const char *student_preset_nearest(const char *name)
{
    const char *names[RT_COUNT(presets) + 1];
    for (size_t i = 0; i < RT_COUNT(presets); i++) names[i] = presets[i].name;
    names[RT_COUNT(presets)] = NULL;
    return name_nearest(name, names);
}

const char *student_preset_value(const student_preset *p, const char *key, char number[16])
{
    const struct {
        const char *key;
        uint32_t value;
        bool decided;
    } numbers[] = {
        {"d_model", p->d_model, true},
        {"n_layers", p->n_layers, true},
        {"n_heads", p->n_heads, true},
        {"n_kv_heads", p->n_kv_heads, true},
        {"d_head", p->d_head, true},
        {"d_ff", p->d_ff, true},
        {"n_decoder_layers", p->n_decoder_layers, true},
        {"rope_theta", p->rope_theta, p->rope_theta != 0},
    };
    if (strcmp(key, "arch") == 0) return p->arch;
    if (strcmp(key, "ff_act") == 0) return p->ff_act;
    if (strcmp(key, "tied") == 0) return p->tied ? "true" : "false";
    for (size_t i = 0; i < RT_COUNT(numbers); i++) {
        if (!numbers[i].decided || strcmp(key, numbers[i].key) != 0) continue;
        snprintf(number, 16, "%u", numbers[i].value);
        return number;
    }
    return NULL;
}
