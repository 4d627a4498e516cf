/* What a run reads before it begins: the files that the settings name, the corpus, rows with true
 * answers. */
#include <inttypes.h>
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/named_files.h"
#include "worker/evaluate/gold_rows.h"

#define FILES_SHOWN_MAX 20
#define GOLD_ROWS_MAX   100

finding finding_of_error(const rt_error *err, const char *fix)
{
    finding f = finding_fail(err->status, "%s", err->text);
    finding_fix(&f, "%s", fix);
    return f;
}

typedef struct file_context {
    doctor *d;
    size_t n_said, n_elsewhere; /* the latter: other checks report these */
} file_context;

static void say_problem(void *context, const char *path, const char *message)
{
    file_context *k = context;
    if (strcmp(path, "teacher.api_key") == 0 || strcmp(path, "queue.password") == 0) {
        k->n_elsewhere++;
        return;
    }
    if (++k->n_said > FILES_SHOWN_MAX) return;
    finding f = finding_fail(RT_NOTFOUND, "%s: %s", path, message);
    finding_expect(&f, "something that is here and can be read");
    finding_fix(&f, "correct %s (paths are relative to the current folder)", path);
    report_add(k->d->report, "files", f);
}

void check_files(doctor *d)
{
    file_context k = {.d = d};
    size_t n_named = 0;
    (void)named_files_check(d->config, say_problem, &k, &n_named);
    if (k.n_said > FILES_SHOWN_MAX)
        report_add(d->report, "files",
                   finding_fail(RT_NOTFOUND, "and %zu more", k.n_said - FILES_SHOWN_MAX));
    if (k.n_said > 0) return;
    finding f = finding_ok("%zu named by the settings, all here", n_named);
    finding_expect(&f, "all of them");
    report_add(d->report, "files", f);
}

void check_corpus(doctor *d)
{
    rt_error err = {0};
    if (d->config->corpus.files.n == 0) {
        finding f = finding_warn("corpus.files is empty: only retort train --dataset can run");
        finding_expect(&f, "files with rows to label");
        finding_fix(&f, "set corpus.files");
        report_add(d->report, "corpus", f);
        return;
    }
    rt_status st = corpus_sample_read(d->config, &d->rows, &err);
    if (st == RT_OK)
        report_add(d->report, "corpus", corpus_verdict(&d->rows, d->config->corpus.bad_share_max));
    else if (st != RT_NOTFOUND) /* which the files have reported */
        report_add(d->report, "corpus", finding_of_error(&err, "correct the section corpus"));
}

void check_eval(doctor *d)
{
    rt_error err = {0};
    gold_rows rows = {0};
    finding f;
    if (d->config->eval.files.n == 0) return;
    rt_status st = gold_rows_read(d->config, NULL, GOLD_ROWS_MAX, &rows, &err);
    if (st == RT_NOTFOUND) return; /* which the files have reported */
    if (st != RT_OK)
        f = finding_of_error(&err, "correct the section eval");
    else if (rows.n_malformed > 0)
        f = finding_warn("%" PRIu64 " rows are malformed among the first %zu with a true answer",
                         rows.n_malformed, rows.n);
    else
        f = finding_ok("the first %zu rows with a true answer are well formed", rows.n);
    finding_expect(&f, "rows with the fields of eval.input and eval.gold");
    report_add(d->report, "eval", f);
    gold_rows_free(&rows);
}
