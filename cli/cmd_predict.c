#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/stdin_lines.h"
#include "common/base/stop.h"
#include "common/corpus/json_slice.h"
#include "common/nn/beam.h"
#include "common/text/template.h"
#include "common/text/utf8.h"
#include "worker/evaluate/student_answers.h"
#include "worker/runtime/run_path.h"

#define BATCH_MAX 4096

/* A line on its way: an input, or why there is none. */
typedef struct pending {
    char *input;
    char *problem;
    uint64_t line;
} pending;

typedef struct predictor {
    answering_student *student;
    student_spec spec;
    answer_settings how;
    bool rationale; /* ask for one with a second prompt */
    bool jsonl;
    template *input; /* of JSON lines */
    stdin_lines *lines;
    uint64_t n_lines;
    pending *pending; /* [how.batch] */
    size_t n_pending;
} predictor;

static void predictor_close(predictor *p)
{
    for (size_t i = 0; i < p->n_pending; i++) {
        free(p->pending[i].input);
        free(p->pending[i].problem);
    }
    free(p->pending);
    stdin_lines_close(p->lines);
    template_free(p->input);
    student_spec_free(&p->spec);
    answering_student_close(p->student);
}

/* ---- a line to an input ---- */

static rt_status look_up(void *context, const char *field, rt_buf *out, rt_error *err)
{
    json_slice found = {0};
    const char *rest = "";
    if (!json_slice_find(*(json_slice *)context, field, &found, &rest))
        return rt_fail(err, RT_NOTFOUND, "no field '%s'", field);
    return json_slice_print(found, rest, out, err);
}

static rt_status render_json(const predictor *p, const char *line, size_t n, rt_buf *out,
                             rt_error *err)
{
    json_error_t problem;
    json_slice slice = {.text = line, .n = n};
    json_t *root = json_loadb(line, n, 0, &problem);
    bool is_object = json_is_object(root);
    json_decref(root);
    if (root == NULL)
        return rt_fail(err, RT_CORRUPT, "invalid JSON at column %d: %s", problem.column,
                       problem.text);
    if (!is_object) return rt_fail(err, RT_CORRUPT, "expected a JSON object");
    return template_render(p->input, look_up, &slice, out, err);
}

/* Anything but RT_NOMEM is a bad line: it keeps its place in the output with its reason. */
static rt_status add_line(predictor *p, const char *line, size_t n, rt_error *err)
{
    rt_status st = RT_OK;
    rt_error why = {0};
    rt_buf text = {0};
    pending *slot = &p->pending[p->n_pending];
    *slot = (pending){.line = p->n_lines};
    if (!utf8_is_valid(line, n))
        st = rt_fail(&why, RT_CORRUPT, "invalid UTF-8 at byte %zu", utf8_valid_prefix(line, n) + 1);
    else if (p->jsonl)
        st = render_json(p, line, n, &text, &why);
    else
        st = rt_buf_add(&text, line, n, &why);
    if (st == RT_OK && (text.n == 0 || memchr(text.data, '\0', text.n) != NULL))
        st = rt_fail(&why, RT_CORRUPT, "the input is empty or holds a zero byte");
    if (st == RT_NOMEM) goto out;
    if (st == RT_OK) {
        slot->input = text.data;
        memset(&text, 0, sizeof text);
    } else if ((slot->problem = strdup(why.text)) == NULL) {
        st = rt_fail(&why, RT_NOMEM, "line %" PRIu64, p->n_lines);
        goto out;
    }
    p->n_pending++;
    st = RT_OK;
out:
    if (st != RT_OK && err != NULL) *err = why;
    rt_buf_free(&text);
    return st;
}

/* ---- answers to lines ---- */

static rt_status print_json(json_t *root, rt_error *err)
{
    if (root == NULL) return rt_fail(err, RT_NOMEM, "answer as JSON");
    json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(root);
    if (putchar('\n') == EOF) return rt_fail(err, RT_IO, "standard output cannot be written");
    return RT_OK;
}

static json_t *text_json(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *answer_json(const char *input, const student_answer *a)
{
    json_t *root =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "input", input, "label", text_json(a->label),
                  "rationale", text_json(a->rationale), "raw", text_json(a->raw), "finish_reason",
                  text_json(a->finish_reason), "logprob",
                  a->finish_reason != NULL ? json_real(a->sum_logprob) : json_null());
    if (root != NULL && a->problem != NULL)
        json_object_set_new(root, "problem", json_string(a->problem));
    return root;
}

/* Rationales of a student that answers with the label alone. */
static rt_status add_rationales(predictor *p, const char *const *inputs, size_t n,
                                student_answer *answers, rt_error *err)
{
    answer_settings how = p->how;
    how.task = TASK_EXPLAIN;
    student_answer *explained = rt_calloc(n, sizeof *explained);
    if (explained == NULL) return rt_fail(err, RT_NOMEM, "rationales of %zu inputs", n);
    rt_status st = answer_inputs(p->student, &how, inputs, n, explained, err);
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        answers[i].rationale = explained[i].rationale;
        explained[i].rationale = NULL;
    }
    student_answers_free(explained, n);
    free(explained);
    return st;
}

static rt_status flush_pending(predictor *p, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = 0, i_answer = 0;
    if (p->n_pending == 0) return RT_OK;
    const char **inputs = rt_calloc(p->n_pending, sizeof *inputs);
    student_answer *answers = rt_calloc(p->n_pending, sizeof *answers);
    if (inputs == NULL || answers == NULL) {
        st = rt_fail(err, RT_NOMEM, "answers of %zu inputs", p->n_pending);
        goto out;
    }
    for (size_t i = 0; i < p->n_pending; i++)
        if (p->pending[i].input != NULL) inputs[n++] = p->pending[i].input;
    if (n > 0) st = answer_inputs(p->student, &p->how, inputs, n, answers, err);
    if (st == RT_OK && n > 0 && p->rationale) st = add_rationales(p, inputs, n, answers, err);
    for (size_t i = 0; st == RT_OK && i < p->n_pending; i++) {
        const pending *one = &p->pending[i];
        st = print_json(one->input != NULL ? answer_json(one->input, &answers[i_answer++])
                                           : json_pack("{s:I, s:s}", "line", (json_int_t)one->line,
                                                       "error", one->problem),
                        err);
    }
    if (st == RT_OK && fflush(stdout) != 0)
        st = rt_fail(err, RT_IO, "standard output cannot be written");
    for (size_t i = 0; i < p->n_pending; i++) {
        free(p->pending[i].input);
        free(p->pending[i].problem);
    }
    p->n_pending = 0;
out:
    student_answers_free(answers, n);
    free(answers);
    free(inputs);
    return st;
}

static rt_status take_too_long(predictor *p, const rt_error *why, rt_error *err)
{
    pending *slot = &p->pending[p->n_pending];
    *slot = (pending){.line = p->n_lines, .problem = strdup(why->text)};
    if (slot->problem == NULL) return rt_fail(err, RT_NOMEM, "line %" PRIu64, p->n_lines);
    p->n_pending++;
    return RT_OK;
}

static bool is_blank(const char *line, size_t n)
{
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t')) n--;
    return n == 0;
}

static rt_status predict_all(predictor *p, rt_error *err)
{
    for (;;) {
        const char *line = NULL;
        size_t n = 0;
        rt_error why = {0};
        rt_status st = stdin_lines_next(p->lines, &line, &n, &why);
        if (st == RT_END) return flush_pending(p, err);
        p->n_lines++;
        if (st == RT_FULL) {
            st = take_too_long(p, &why, err);
        } else if (st != RT_OK) {
            return rt_fail(err, st, "%s", why.text);
        } else if (!is_blank(line, n)) {
            st = add_line(p, line, n, err);
        }
        if (st != RT_OK) return st;
        if (p->n_pending == p->how.batch || !stdin_lines_ready(p->lines))
            if ((st = flush_pending(p, err)) != RT_OK) return st;
    }
}

/* ---- options ---- */

static rt_status find_folder(const options *o, const config *c, char out[4096], rt_error *err)
{
    if (options_value(o, "--model") != NULL) {
        snprintf(out, 4096, "%s", options_value(o, "--model"));
        return RT_OK;
    }
    if (c == NULL)
        return rt_fail(err, RT_INVALID, "predict: needs --model FOLDER, or --config FILE of a run");
    return run_path(c, "student", out, 4096, err);
}

static rt_status find_spec(const config *c, const char *folder, student_spec *out, rt_error *err)
{
    if (c != NULL) return student_spec_of(c, out, err);
    rt_status st = student_spec_read(folder, out, err);
    if (st != RT_NOTFOUND) return st;
    return rt_fail(err, RT_NOTFOUND,
                   "%s: holds no %s, which says what the student answers: give the run's --config",
                   folder, STUDENT_SPEC_FILE);
}

static rt_status predictor_open(const options *o, const config *c, predictor *p, rt_error *err)
{
    rt_status st = RT_OK;
    char folder[4096];
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t batch = c != NULL ? c->eval.batch : 32;
    uint64_t n_beams = c != NULL ? c->eval.beams : 1;
    uint64_t n_new = c != NULL ? c->eval.max_new_tokens : 128;
    uint64_t n_threads = c != NULL ? c->threads : (uint64_t)RT_MAX(n_cpus, 1);
    bool halves = c != NULL && c->eval.dtype == DECODE_BF16;
    const char *input = options_value(o, "--input");
    if (input == NULL) input = c != NULL ? c->corpus.input : "{input}";
    p->jsonl = options_has(o, "--jsonl");
    if ((st = options_u64(o, "--batch", 1, BATCH_MAX, &batch, err)) != RT_OK) return st;
    if ((st = options_u64(o, "--max-new-tokens", 1, 32768, &n_new, err)) != RT_OK) return st;
    if ((st = options_u64(o, "--beams", 1, BEAMS_MAX, &n_beams, err)) != RT_OK) return st;
    if ((st = options_u64(o, "--threads", 1, 1024, &n_threads, err)) != RT_OK) return st;
    if ((st = options_halves(o, &halves, err)) != RT_OK) return st;
    if ((st = find_folder(o, c, folder, err)) != RT_OK) return st;
    if ((st = template_parse(input, &p->input, err)) != RT_OK) return rt_wrap(err, st, "--input");
    if ((st = answering_student_open(folder, n_threads, halves, &p->student, err)) != RT_OK)
        return st;
    if ((st = find_spec(c, folder, &p->spec, err)) != RT_OK) return st;
    if ((st = stdin_lines_open(STDIN_FILENO, &p->lines, err)) != RT_OK) return st;
    p->rationale = options_has(o, "--rationale") && p->spec.answers_by == TASK_PREDICT;
    if (p->rationale && !p->spec.explains)
        return rt_fail(err, RT_UNSUPPORTED,
                       "--rationale: this student was trained on labels alone, expected one of the "
                       "preset step-by-step");
    p->how = (answer_settings){.spec = &p->spec,
                               .task = p->spec.answers_by,
                               .batch = batch,
                               .max_new_tokens = n_new,
                               .beams = n_beams,
                               .length_penalty = c != NULL ? c->eval.length_penalty : 1};
    p->pending = rt_calloc(batch, sizeof *p->pending);
    return p->pending != NULL ? RT_OK : rt_fail(err, RT_NOMEM, "batch of %" PRIu64, batch);
}

static int run_predict(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    predictor p = {0};
    rt_status st = RT_OK;
    int code = EXIT_CODE_OK;
    rt_stop_install();
    if (options_has(o, "--config")) st = options_load_config(o, &c, &err);
    if (st == RT_OK) st = predictor_open(o, c, &p, &err);
    if (st == RT_OK) st = predict_all(&p, &err);
    if (st != RT_OK) code = command_fail(o, &err);
    predictor_close(&p);
    config_free(c);
    return code;
}

static const option_def predict_options[] = {
    {"--model", "FOLDER", "student to ask (default: student/ in the run's folder)", NULL},
    {"--jsonl", NULL, "lines are JSON objects, not plain text", NULL},
    {"--input", "TEMPLATE", "of the input over a JSON line's fields (default: corpus.input)", NULL},
    {"--rationale", NULL, "ask a step-by-step student for its rationale too", NULL},
    {"--batch", "N", "lines answered together (default: eval.batch, else 32)", NULL},
    {"--max-new-tokens", "N", "longest answer (default: eval.max_new_tokens, else 128)", NULL},
    {"--beams", "N", "beam search with N beams (default: eval.beams, else 1: greedy)", NULL},
    {"--dtype", "DTYPE",
     "kept while decoding: f32, or bf16, the faster (default: eval.dtype, else f32)", NULL,
     "f32 bf16"},
    {"--threads", "N", "threads (default: threads of the settings, else all CPUs)", NULL},
    {0},
};

const command cmd_predict = {
    .name = "predict",
    .summary = "let a student answer lines of standard input",
    .synopsis = "--model FOLDER [--jsonl] [--input TEMPLATE] [--rationale] < LINES\n"
                "--config FILE [--model FOLDER] ... < LINES\n",
    .description =
        "Reads one input a line and writes one JSON object a line, in the same order:\n"
        "input, label, rationale, raw (what the student wrote), finish_reason and\n"
        "logprob; and problem, a reason code, when no label could be read. A line that\n"
        "cannot be used gives {\"line\":N,\"error\":...} and the rest goes on; empty lines\n"
        "are passed over. Without --config the student's own retort.json says what it\n"
        "answers.\n",
    .options = predict_options,
    .examples = "printf 'Premise: ...' | retort predict --model student\n"
                "zcat new.jsonl.gz | retort predict --model student --jsonl --input '{question}'\n",
    .run = run_predict,
    .computes = true,
};
