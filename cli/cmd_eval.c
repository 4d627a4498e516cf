#include <stdio.h>
#include <unistd.h>

#include "cli/ask_teacher.h"
#include "cli/command.h"
#include "common/base/clock.h"
#include "common/base/stop.h"
#include "worker/runtime/run_path.h"

#define BAR_WIDTH    30
#define BAR_EVERY_MS 100
#define KEPT_MAX     6 /* examples right and wrong each, for the report */

/* A bar on a terminal, nothing elsewhere. */
typedef struct bar {
    bool shown;
    uint64_t drawn_ms;
} bar;

static bool draw_bar(void *context, size_t n_done, size_t n)
{
    bar *b = context;
    uint64_t now_ms = rt_clock_mono_ms();
    if (rt_stop_requested() != RT_STOP_NONE) return false;
    if (!b->shown || (n_done < n && now_ms - b->drawn_ms < BAR_EVERY_MS)) return true;
    b->drawn_ms = now_ms;
    size_t n_full = n > 0 ? n_done * BAR_WIDTH / n : BAR_WIDTH;
    fprintf(stderr, "\rscoring [%.*s%*s] %zu of %zu", (int)n_full,
            "==============================", (int)(BAR_WIDTH - n_full), "", n_done, n);
    if (n_done == n) fputs("\r\033[K", stderr);
    fflush(stderr);
    return true;
}

/* What the options ask for. */
typedef struct eval_request {
    char model[4096];
    const char *gold;
    bool has_model, dataset, ask_teacher;
    uint64_t n_limit, n_show, n_keep;
} eval_request;

static rt_status read_request(const options *o, const config *c, eval_request *r, rt_error *err)
{
    rt_status st = RT_OK;
    r->gold = options_value(o, "--gold");
    r->dataset = options_has(o, "--teacher");
    r->ask_teacher = options_has(o, "--ask-teacher") || c->eval.teacher;
    r->n_limit = c->eval.rows_max;
    r->n_show = options_json(o) ? c->eval.show : 0;
    r->n_keep = options_json(o) ? KEPT_MAX : 0;
    if ((st = options_u64(o, "--limit", 1, UINT64_MAX, &r->n_limit, err)) != RT_OK) return st;
    if ((st = options_u64(o, "--show", 0, 100000, &r->n_show, err)) != RT_OK) return st;
    /* Only the dataset's own labels are asked for: no student and no rows are needed. */
    r->has_model = !r->dataset || options_has(o, "--model") || r->gold != NULL;
    if (!r->has_model) r->ask_teacher = options_has(o, "--ask-teacher");
    if (options_value(o, "--model") != NULL)
        snprintf(r->model, sizeof r->model, "%s", options_value(o, "--model"));
    else
        st = run_path(c, "student", r->model, sizeof r->model, err);
    return st;
}

static rt_status score(const config *c, const eval_request *r, eval_result *result, rt_error *err)
{
    gold_rows rows = {0};
    bar progress = {.shown = isatty(STDERR_FILENO) == 1};
    asked_teacher asked = {0};
    eval_teacher teacher = {.ask = ask_teacher, .context = &asked};
    eval_options how = {.model = r->has_model ? r->model : NULL,
                        .teacher = r->ask_teacher ? &teacher : NULL,
                        .dataset = r->dataset,
                        .n_show = r->n_show,
                        .n_keep = r->n_keep,
                        .progress = draw_bar,
                        .progress_context = &progress};
    rt_status st = RT_OK;
    if (r->ask_teacher) st = asked_teacher_open(c, &asked, err);
    if (st == RT_OK && (r->has_model || r->ask_teacher))
        st = gold_rows_read(c, r->gold, r->n_limit, &rows, err);
    if (st == RT_OK) st = evaluate_student(c, &rows, &how, result, err);
    gold_rows_free(&rows);
    asked_teacher_close(&asked);
    return st;
}

/* The scores are there; a script should still see that the teacher was not asked about all rows. */
static int budget_code(const eval_result *result)
{
    if (result->n_teacher_left_out == 0) return EXIT_CODE_OK;
    fprintf(stderr,
            "retort: limits.budget is spent, the teacher was not asked about %llu rows; "
            "docs/costs.md says how to go on\n",
            (unsigned long long)result->n_teacher_left_out);
    return EXIT_CODE_BUDGET;
}

static int run_eval(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    eval_request request = {0};
    eval_result result = {0};
    rt_buf text = {0};
    int code = EXIT_CODE_OK;
    rt_stop_install();
    rt_status st = options_load_config(o, &c, &err);
    if (st == RT_OK) st = read_request(o, c, &request, &err);
    if (st == RT_OK) st = score(c, &request, &result, &err);
    if (st == RT_OK)
        st = options_json(o) ? eval_result_to_json(&result, &text, &err)
                             : eval_result_to_table(&result, &text, &err);
    if (st == RT_OK) {
        fwrite(text.data, 1, text.n, stdout);
        code = budget_code(&result);
    } else {
        code = command_fail(o, &err);
    }
    rt_buf_free(&text);
    eval_result_free(&result);
    config_free(c);
    return code;
}

static const option_def eval_options_table[] = {
    {"--model", "FOLDER", "student to score (default: student/ in the run's folder)", NULL},
    {"--gold", "FILE", "rows with true answers, instead of eval.files", NULL},
    {"--limit", "N", "score at most N rows", NULL},
    {"--show", "N", "show N examples with what the student wrote", NULL},
    {"--teacher", NULL, "score the labels in the run's dataset; alone, no student is needed", NULL},
    {"--ask-teacher", NULL, "also ask the configured teacher about the same rows", NULL},
    {0},
};

const command cmd_eval = {
    .name = "eval",
    .summary = "score a student, and its teacher, on rows with true answers",
    .synopsis = "--config FILE [--model FOLDER] [--gold FILE] [--limit N] [--show N]\n"
                "--config FILE --teacher\n",
    .description =
        "Lets the student answer every row and counts how often it is right; an\n"
        "answer that cannot be read is a wrong answer. Shares come with their 95 %\n"
        "interval (Wilson). With --teacher the labels in the run's dataset are scored\n"
        "against the true answers that lie beside them, a rejected record being wrong;\n"
        "with --ask-teacher the teacher answers the same rows as the student, paid from\n"
        "the budget of the run; when that is spent, the exit code is 6.\n",
    .options = eval_options_table,
    .examples = "retort eval --config esnli.yaml\n"
                "retort eval --config esnli.yaml --model student --gold valid.jsonl.gz --json\n"
                "retort eval --config esnli.yaml --teacher\n",
    .run = run_eval,
    .computes = true,
};
