#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/gguf_report.h"
#include "cli/model_report.h"
#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"
#include "common/ckpt/model_files.h"
#include "common/conf/student_preset.h"
#include "common/text/tokenizer.h"
#include "worker/model_shape/model_shape.h"

#define SEQUENCES_DEFAULT 8
#define MEASURE_SECONDS   0.4

/* What is looked at: its shape, and for a GGUF file what else is in it. */
typedef struct subject {
    const char *name;
    const char *kind;
    model_config shape;
    bool has_shape;
    gguf *file; /* NULL: no GGUF file */
    uint64_t n_threads;
    model_workload work;
} subject;

/* ---- presets ---- */

static int print_presets(const options *o)
{
    json_t *list = json_array();
    for (size_t i = 0; i < student_preset_count(); i++) {
        const student_preset *p = student_preset_at(i);
        char layers[32];
        snprintf(layers, sizeof layers, p->n_decoder_layers > 0 ? "%u/%u" : "%u", p->n_layers,
                 p->n_decoder_layers);
        if (options_json(o))
            json_array_append_new(
                list,
                json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "name", p->name, "arch",
                          p->arch, "d_model", (json_int_t)p->d_model, "n_layers",
                          (json_int_t)p->n_layers, "n_heads", (json_int_t)p->n_heads, "d_head",
                          (json_int_t)p->d_head, "d_ff", (json_int_t)p->d_ff, "about", p->about));
        else
            printf("%-16s %-6s width %4u, %5s layers, %3u heads of %3u, feed-forward %5u   %s\n",
                   p->name, p->arch, p->d_model, layers, p->n_heads, p->d_head, p->d_ff, p->about);
    }
    if (options_json(o)) {
        json_dumpf(list, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(list);
    return EXIT_CODE_OK;
}

/* A config of defaults with the preset, through the same door as a file. */
static rt_status config_of_preset(const options *o, const char *preset, config **out, rt_error *err)
{
    char yaml[256];
    if (student_preset_find(preset) == NULL) {
        const char *nearest = student_preset_nearest(preset);
        return rt_fail(err, RT_INVALID,
                       "--preset: found '%.64s', expected one of those that --presets lists%s%s%s",
                       preset, nearest != NULL ? "; did you mean " : "",
                       nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    }
    int n = snprintf(yaml, sizeof yaml,
                     "name: preset\ntask: {answer: text}\ncorpus: {files: [none]}\n"
                     "teacher: {files: [none], match_field: \"{input}\"}\n"
                     "student: {preset: %s}\n",
                     preset);
    return config_parse("--preset", yaml, (size_t)n, options_sets(o), out, err);
}

/* ---- the subject ---- */

/* Of --vocab, else of the tokenizer that the settings name, else what they ask for. */
static rt_status vocabulary_of(const options *o, const config *c, uint64_t missing, vocabulary *out,
                               rt_error *err)
{
    uint64_t n = missing != 0 ? missing : c->tokenizer.vocab_size;
    rt_status st = options_u64(o, "--vocab", 8, 1 << 24, &n, err);
    if (st == RT_OK && !options_has(o, "--vocab") && missing == 0 &&
        c->tokenizer.model[0] != '\0') {
        tokenizer *t = NULL;
        if ((st = tokenizer_load(c->tokenizer.model, &t, err)) == RT_OK) n = tokenizer_size(t);
        tokenizer_free(t);
    }
    *out = (vocabulary){.n_vocab = (uint32_t)n, .bos_id = 1, .eos_id = 2, .pad_id = 3};
    return st;
}

static rt_status look_at_settings(const options *o, subject *s, rt_error *err)
{
    config *c = NULL;
    vocabulary v;
    const char *preset = options_value(o, "--preset");
    const student_preset *p = preset != NULL ? student_preset_find(preset) : NULL;
    rt_status st =
        preset != NULL ? config_of_preset(o, preset, &c, err) : options_load_config(o, &c, err);
    if (st == RT_OK) st = vocabulary_of(o, c, p != NULL ? p->n_vocab : 0, &v, err);
    if (st == RT_OK) st = model_shape_of(c, &v, &s->shape, err);
    if (st == RT_OK) {
        s->name = preset != NULL ? preset : options_config_path(o);
        s->kind = preset != NULL ? "preset" : "settings";
        s->has_shape = true;
        s->n_threads = c->threads;
        s->work.n_seqs = RT_MAX(c->train.micro_batch_tokens / s->shape.seq_len_max, 1);
    }
    config_free(c);
    return st;
}

/* Any GGUF file is shown; its cost only when it is a model that is known. */
static rt_status look_at_gguf(const char *path, subject *s, rt_error *err)
{
    model_files *m = NULL;
    rt_error why = {0};
    rt_status st = gguf_open(path, &s->file, err);
    if (st != RT_OK) return st;
    if (model_files_open(path, MODEL_FORMAT_GGUF, &m, &why) == RT_OK) {
        s->shape = *model_files_config(m);
        s->has_shape = true;
    }
    model_files_close(m);
    return RT_OK;
}

static rt_status look_at_path(const char *path, subject *s, rt_error *err)
{
    model_files *m = NULL;
    model_format format = model_format_find(path);
    rt_status st = RT_OK;
    s->name = path;
    s->kind = model_format_name(format);
    if (!rt_fs_exists(path))
        return rt_fail(err, RT_NOTFOUND, "%s: does not exist, expected a model", path);
    if (format == MODEL_FORMAT_GGUF) return look_at_gguf(path, s, err);
    if (format == MODEL_FORMAT_HF) { /* config.json alone is enough */
        st = hf_config_read(path, &s->shape, err);
    } else if ((st = model_files_open(path, format, &m, err)) == RT_OK) {
        s->shape = *model_files_config(m);
        model_files_close(m);
    }
    s->has_shape = st == RT_OK;
    return st;
}

static rt_status read_workload(const options *o, subject *s, rt_error *err)
{
    uint64_t n_seqs = s->work.n_seqs != 0 ? s->work.n_seqs : SEQUENCES_DEFAULT;
    uint64_t half = RT_MAX(s->shape.seq_len_max / 2, 1), n_prompt = half, n_target = half;
    rt_status st = options_u64(o, "--batch", 1, 1 << 20, &n_seqs, err);
    if (st == RT_OK) st = options_u64(o, "--prompt-tokens", 1, 1 << 20, &n_prompt, err);
    if (st == RT_OK) st = options_u64(o, "--target-tokens", 1, 1 << 20, &n_target, err);
    if (st == RT_OK && s->n_threads == 0) s->n_threads = 1;
    if (st == RT_OK) st = options_u64(o, "--threads", 1, 256, &s->n_threads, err);
    s->work = (model_workload){
        .n_seqs = (size_t)n_seqs, .n_prompt = (size_t)n_prompt, .n_target = (size_t)n_target};
    return st;
}

static rt_status look(const options *o, subject *s, rt_error *err)
{
    bool has_path = options_n_args(o) > 0, has_preset = options_value(o, "--preset") != NULL;
    if (has_path + has_preset + options_has(o, "--config") > 1)
        return rt_fail(err, RT_INVALID,
                       "model: name one thing to look at: a path, --preset or --config");
    rt_status st = has_path ? look_at_path(options_arg(o, 0), s, err) : look_at_settings(o, s, err);
    return st == RT_OK ? read_workload(o, s, err) : st;
}

/* ---- the report ---- */

static rt_status report(const options *o, const subject *s, rt_error *err)
{
    model_cost cost;
    machine_speed speed;
    bool tensors = options_has(o, "--tensors"), measure = !options_has(o, "--no-measure");
    json_t *root = NULL;
    model_report r = {.name = s->name,
                      .kind = s->kind,
                      .config = &s->shape,
                      .work = &s->work,
                      .cost = &cost,
                      .speed = measure ? &speed : NULL};
    if (s->has_shape) {
        rt_status st = model_cost_of(&s->shape, &s->work, &cost, err);
        if (st == RT_OK && measure)
            st = machine_speed_measure(&s->shape, &cost, (size_t)s->n_threads, MEASURE_SECONDS,
                                       &speed, err);
        if (st != RT_OK) return st;
    }
    if (!options_json(o)) {
        if (s->file != NULL) gguf_report_print(s->name, s->file, tensors);
        if (s->file != NULL && s->has_shape) putchar('\n');
        if (s->has_shape) model_report_print(&r);
        return RT_OK;
    }
    root = s->has_shape ? model_report_json(&r)
                        : json_pack("{s:s, s:s}", "name", s->name, "kind", s->kind);
    if (root == NULL) return rt_fail(err, RT_NOMEM, "report of %s", s->name);
    if (s->file != NULL) json_object_set_new(root, "gguf", gguf_report_json(s->file, tensors));
    json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(root);
    return RT_OK;
}

static int run_model(const options *o)
{
    rt_error err = {0};
    subject s = {0};
    if (options_has(o, "--presets")) return print_presets(o);
    rt_status st = look(o, &s, &err);
    if (st == RT_OK) st = report(o, &s, &err);
    gguf_close(s.file);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

static const option_def model_options[] = {
    {"--preset", "NAME", "a shape by name, as student.preset takes it", NULL},
    {"--presets", NULL, "list the shapes that have a name", NULL},
    {"--vocab", "N", "tokens in the vocabulary (default: the tokenizer's, the preset's)", NULL},
    {"--batch", "N", "sequences trained on together (default: as the settings, or 8)", NULL},
    {"--prompt-tokens", "N", "tokens of a prompt (default: half of the longest sequence)", NULL},
    {"--target-tokens", "N", "tokens of a target (default: the other half)", NULL},
    {"--threads", "N", "threads to measure with (default: as the settings, or 1)", NULL},
    {"--no-measure", NULL, "leave out the speed of this machine", NULL},
    {"--tensors", NULL, "of a GGUF file: name every tensor", NULL},
    {0},
};

const command cmd_model = {
    .name = "model",
    .summary = "what a shape costs and what is in a model file",
    .synopsis = "[--config FILE]\n"
                "--preset NAME [--set student.KEY=VALUE]\n"
                "FOLDER|FILE\n"
                "--presets\n",
    .description = "Prints parameters by group, operations for each token, memory, and how fast\n"
                   "this machine might train and decode, of the student that the settings\n"
                   "describe, of a preset, of a model folder (config.json is enough), or of a\n"
                   "file of GGUF or llama2.c. Of any GGUF file it prints the keys and kinds of\n"
                   "tensors. The speed is an estimate from two short matrix products: attention,\n"
                   "norms and waiting are not in it.\n",
    .options = model_options,
    .examples = "retort model --preset t5-small\n"
                "retort model --preset t5-small --set student.n_decoder_layers=2 --vocab 4000\n"
                "retort model --config gsm8k.yaml --json\n"
                "retort model student.gguf --tensors\n",
    .n_args_max = 1,
    .run = run_model,
};
