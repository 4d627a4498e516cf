#include "worker/export/student_texts.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/nn/compute.h"
#include "worker/runtime/model_card_marks.h"

#define RESULT_BYTES_MAX ((size_t)16 << 20)

static rt_status write_text(const char *folder, const char *name, const char *text, size_t n,
                            rt_error *err)
{
    char path[PATH_MAX];
    rt_status st = rt_fs_join(path, sizeof path, folder, name, err);
    return st == RT_OK ? rt_fs_write_atomic(path, text, n, err) : st;
}

/* ---- tokenizer_config.json ---- */

static void set_piece(json_t *root, const char *key, const tokenizer *t, uint32_t id)
{
    const char *piece = id < tokenizer_size(t) ? tokenizer_piece(t, id) : NULL;
    json_object_set_new(root, key, piece != NULL ? json_string(piece) : json_null());
}

/* legacy: encode as sentencepiece does, without later changes around added tokens. */
static json_t *llama_tokenizer(const model_config *shape)
{
    return json_pack("{s:s, s:b, s:b, s:b, s:b, s:{}, s:I}", "tokenizer_class", "LlamaTokenizer",
                     "legacy", 1, "add_bos_token", 1, "add_eos_token", 0,
                     "clean_up_tokenization_spaces", 0, "sp_model_kwargs", "model_max_length",
                     (json_int_t)shape->seq_len_max);
}

/* It ends every text with eos by itself. Sentinels of pre-training are pieces of the model or not
 * there at all. */
static json_t *t5_tokenizer(const model_config *shape)
{
    return json_pack("{s:s, s:b, s:i, s:b, s:{}, s:I}", "tokenizer_class", "T5Tokenizer", "legacy",
                     1, "extra_ids", 0, "clean_up_tokenization_spaces", 0, "sp_model_kwargs",
                     "model_max_length", (json_int_t)shape->seq_len_max);
}

const char *tokenizer_file_name(const model_config *shape)
{
    return shape->arch == MODEL_ARCH_T5 ? "spiece.model" : "tokenizer.model";
}

rt_status tokenizer_config_write(const tokenizer *t, const model_config *shape, const char *folder,
                                 rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf line = {0};
    bool is_t5 = shape->arch == MODEL_ARCH_T5;
    json_t *root = is_t5 ? t5_tokenizer(shape) : llama_tokenizer(shape);
    char *text = NULL;
    if (root == NULL) return rt_fail(err, RT_NOMEM, "tokenizer_config.json");
    if (!is_t5) set_piece(root, "bos_token", t, shape->bos_id);
    set_piece(root, "eos_token", t, shape->eos_id);
    set_piece(root, "pad_token", t, shape->pad_id);
    set_piece(root, "unk_token", t, tokenizer_unk(t));
    text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (text == NULL)
        st = rt_fail(err, RT_NOMEM, "tokenizer_config.json");
    else if ((st = rt_buf_printf(&line, err, "%s\n", text)) == RT_OK)
        st = write_text(folder, "tokenizer_config.json", line.data, line.n, err);
    rt_buf_free(&line);
    free(text);
    json_decref(root);
    return st;
}

/* ---- README.md ---- */

/* result.json of a complete run; NULL when it is not there: an export may come earlier. */
static json_t *read_result(const char *run_dir)
{
    char path[PATH_MAX];
    rt_buf text = {0};
    json_t *root = NULL;
    if (rt_fs_join(path, sizeof path, run_dir, "result.json", NULL) == RT_OK &&
        rt_fs_read(path, RESULT_BYTES_MAX, &text, NULL) == RT_OK)
        root = json_loadb(text.data, text.n, 0, NULL);
    rt_buf_free(&text);
    return root;
}

static rt_status add_fact(rt_buf *out, const json_t *root, const char *key, const char *title,
                          rt_error *err)
{
    const json_t *value = json_object_get(root, key);
    if (json_is_integer(value))
        return rt_buf_printf(out, err, "| %s | %" JSON_INTEGER_FORMAT " |\n", title,
                             json_integer_value(value));
    if (json_is_real(value))
        return rt_buf_printf(out, err, "| %s | %.6g |\n", title, json_real_value(value));
    if (json_is_string(value))
        return rt_buf_printf(out, err, "| %s | `%s` |\n", title, json_string_value(value));
    return RT_OK;
}

static rt_status add_run_facts(rt_buf *out, const char *run_dir, rt_error *err)
{
    static const char *const facts[][2] = {
        {"rows", "corpus rows"},
        {"labelled", "labelled by the teacher"},
        {"rationales", "of them with a rationale"},
        {"rejected_total", "rejected, with a reason"},
        {"steps", "training steps of the run"},
        {"best_version", "best version"},
        {"tokens", "tokens trained on"},
        {"dataset_sha256", "SHA-256 of the dataset"},
    };
    rt_status st = RT_OK;
    json_t *root = read_result(run_dir);
    for (size_t i = 0; st == RT_OK && i < RT_COUNT(facts); i++)
        st = add_fact(out, root, facts[i][0], facts[i][1], err);
    json_decref(root);
    return st;
}

static rt_status add_architecture(rt_buf *out, const model_config *shape, rt_error *err)
{
    static const char *const acts[] = {[MODEL_FF_SWIGLU] = "SwiGLU",
                                       [MODEL_FF_RELU] = "ReLU",
                                       [MODEL_FF_GATED_GELU] = "gated GELU"};
    rt_status st = rt_buf_add_text(out, "## Facts\n\n| | |\n|---|---|\n", err);
    if (st != RT_OK) return st;
    if (shape->arch == MODEL_ARCH_T5)
        return rt_buf_printf(out, err,
                             "| architecture | T5: %zu encoder and %zu decoder layers, width %zu, "
                             "%zu heads of %zu, feed-forward %zu (%s) |\n",
                             shape->n_layers, shape->n_decoder_layers, shape->d_model,
                             shape->n_heads, shape->d_head, shape->d_ff, acts[shape->ff_act]);
    return rt_buf_printf(out, err,
                         "| architecture | Llama: %zu layers, width %zu, %zu heads (%zu for keys "
                         "and values), feed-forward %zu |\n",
                         shape->n_layers, shape->d_model, shape->n_heads, shape->n_kv_heads,
                         shape->d_ff);
}

static rt_status add_facts(rt_buf *out, const config *c, const model_config *shape,
                           const export_request *ask, const export_result *facts, rt_error *err)
{
    static const char *const dtypes[] = {
        [TENSOR_F32] = "float32", [TENSOR_F16] = "float16", [TENSOR_BF16] = "bfloat16"};
    rt_status st = add_architecture(out, shape, err);
    if (st != RT_OK) return st;
    st = rt_buf_printf(out, err,
                       "| parameters | %zu, stored as %s |\n"
                       "| vocabulary | %zu pieces |\n"
                       "| longest sequence | %zu tokens |\n"
                       "| seed | %" PRIu64 " |\n"
                       "| version exported | %" PRIu64 " |\n",
                       facts->n_parameters, dtypes[ask->dtype], shape->n_vocab, shape->seq_len_max,
                       c->seed, facts->version);
    if (st == RT_OK) st = add_run_facts(out, ask->run_dir, err);
    if (st == RT_OK)
        st = rt_buf_printf(out, err, "| SHA-256 of model.safetensors | `%s` |\n\n",
                           facts->weights_sha256);
    return st;
}

/* An example, so that its shape is seen: the input stands between prefix and newline. */
static rt_status add_prompt(rt_buf *out, bool is_t5, student_task task, const char *what,
                            rt_error *err)
{
    rt_buf prompt = {0};
    rt_status st = task_prompt(task, "{input}", &prompt, err);
    if (st == RT_OK)
        st =
            rt_buf_printf(out, err, "- %s: `%s%.*s\\n%s`\n", what, is_t5 ? "" : "<s>",
                          (int)(prompt.n > 0 ? prompt.n - 1 : 0), prompt.data, is_t5 ? "</s>" : "");
    rt_buf_free(&prompt);
    return st;
}

static rt_status add_usage(rt_buf *out, bool is_t5, const student_spec *spec, rt_error *err)
{
    bool solves = spec->answers_by == TASK_SOLVE;
    rt_status st = rt_buf_printf(out, err,
                                 "## Use\n\n"
                                 "```sh\n"
                                 "retort predict --model . < inputs.txt\n"
                                 "```\n\n"
                                 "`retort.json` holds what `retort predict` needs to know of the "
                                 "task. Any program that loads\n"
                                 "Hugging Face's %s layout can use the model; the prompt, "
                                 "ended by a newline, is\n\n",
                                 is_t5 ? "T5" : "Llama");
    if (st == RT_OK)
        st = add_prompt(out, is_t5, spec->answers_by,
                        solves ? "for the rationale and then the label" : "for the label", err);
    if (st == RT_OK && spec->explains)
        st = add_prompt(out, is_t5, TASK_EXPLAIN, "for a rationale", err);
    return st;
}

static rt_status add_training(rt_buf *out, const config *c, rt_error *err)
{
    static const char *const presets[] = {
        [PRESET_STEP_BY_STEP] = "labels and rationales as two tasks",
        [PRESET_LABEL_ONLY] = "labels alone",
        [PRESET_RATIONALE_FIRST] = "rationales with the label behind them"};
    rt_status st =
        rt_buf_printf(out, err, "\n## Training\n\nIt learnt %s", presets[c->train.preset]);
    /* Of a native teacher it is a folder of this machine. */
    if (st == RT_OK && c->teacher.backend == TEACHER_OPENAI)
        st = rt_buf_printf(out, err, " from the model `%s`", c->teacher.model);
    return st == RT_OK ? rt_buf_printf(out, err,
                                       ", at a learning rate of at most %g with a weight decay of "
                                       "%g and a dropout of %g, products in %s.\n\n",
                                       c->train.lr, c->train.weight_decay, c->student.dropout,
                                       compute_mode_name((compute_mode)c->train.compute))
                       : st;
}

static rt_status add_limits(rt_buf *out, rt_error *err)
{
    return rt_buf_add_text(
        out,
        "## Limits\n\nIt was made for the inputs of its task and answers anything else, too, without a "
        "warning. A rationale that it writes\nis not always the reason for its label. Licence and "
        "language follow from the corpus and from the terms of the teacher;\nadd them to the head of "
        "this file before you share it.\n",
        err);
}

rt_status model_card_write(const config *c, const model_config *shape, const student_spec *spec,
                           const export_request *ask, const export_result *facts,
                           const char *folder, rt_error *err)
{
    bool is_t5 = shape->arch == MODEL_ARCH_T5;
    rt_buf out = {0};
    rt_status st = rt_buf_printf(
        &out, err,
        "---\nlibrary_name: transformers\npipeline_tag: %s\n"
        "tags:\n- distillation\n- retort\n" MODEL_CARD_INDEX "\n" MODEL_CARD_INDEX_END "\n---\n\n"
        "# %s\n\n"
        "A small language model for one task, `%s`, distilled step by step from a larger one with "
        "retort %s.\n"
        "It was trained on labels%s that a teacher model wrote for an unlabeled corpus: it knows "
        "that task\nand nothing else, and it repeats its teacher's mistakes.\n\n",
        is_t5 ? "text2text-generation" : "text-generation", c->name, spec->task_name, RT_VERSION,
        c->train.preset == PRESET_LABEL_ONLY ? "" : " and rationales");
    if (st == RT_OK)
        st = rt_buf_add_text(&out, MODEL_CARD_SCORES "\n" MODEL_CARD_SCORES_END "\n\n", err);
    if (st == RT_OK) st = add_usage(&out, is_t5, spec, err);
    if (st == RT_OK) st = add_training(&out, c, err);
    if (st == RT_OK) st = add_facts(&out, c, shape, ask, facts, err);
    if (st == RT_OK) st = add_limits(&out, err);
    if (st == RT_OK) st = write_text(folder, "README.md", out.data, out.n, err);
    rt_buf_free(&out);
    return st;
}
