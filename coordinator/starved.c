#include "coordinator/starved.h"

#include <inttypes.h>
#include <stdio.h>

/* Students that mostly wait although micro-batches are there: for versions of the parameters. */
#define WAIT_SHARE_HIGH 0.5

/* "a student waits", "3 students wait" */
static void say(char *out, size_t n_out, uint64_t n, const char *who, const char *for_what)
{
    if (n == 1)
        snprintf(out, n_out, "the %s waits %s", who, for_what);
    else
        snprintf(out, n_out, "%" PRIu64 " %ss wait %s", n, who, for_what);
}

/* What students wait for, or NULL. */
static const char *students_wait_for(const run_view *v)
{
    if (v->tokenizer_trains) return "for the tokenizer, which is being trained";
    if (v->n_servers < v->n_servers_wanted) return "for a parameter server that is missing";
    if (v->waits_for_labels || !v->plan_is_there)
        return v->labels ? "for labels: the teachers set the pace" : "for the plan of the training";
    if (v->restores) return "for the parameter servers to load a checkpoint";
    if (v->saves) return "for a checkpoint to be written";
    if (v->validates || !v->batches_known) return NULL;
    if (v->n_batches_in_stream == 0) return "for micro-batches: the coordinator sets the pace";
    if (v->wait_share > WAIT_SHARE_HIGH)
        return "more than they compute: the parameter servers or other students set the pace";
    return NULL;
}

static bool teachers_wait(const run_view *v, char *out, size_t n_out)
{
    uint64_t n_idle = v->n_teachers - RT_MIN(v->n_teachers, v->n_shards_leased);
    if (v->n_labels_max > 0 && v->n_labels_in_stream >= v->n_labels_max)
        say(out, n_out, v->n_teachers, "teacher",
            "for the coordinator: the stream of labels is full");
    else if (v->n_waiting_for_limit > 0)
        say(out, n_out, RT_MIN(v->n_waiting_for_limit, v->n_teachers), "teacher",
            "for the limits of requests and tokens");
    else if (n_idle > 0 && v->first_rows)
        say(out, n_out, n_idle, "teacher", "until the first rows have been looked at");
    else if (n_idle > 0 && v->money_is_out)
        say(out, n_out, n_idle, "teacher", "because the budget is spent");
    else if (n_idle > 0 && v->n_shards_pending == 0)
        say(out, n_out, n_idle, "teacher", "because the last shards of the corpus are leased");
    else
        return false;
    return true;
}

void starved_sentence(const run_view *v, char *out, size_t n_out)
{
    out[0] = '\0';
    if (v->ends) return;
    if (!v->connected) {
        snprintf(out, n_out, "everybody waits for Redis");
        return;
    }
    const char *what = v->trains && v->n_students > 0 ? students_wait_for(v) : NULL;
    if (what != NULL)
        say(out, n_out, v->n_students, "student", what);
    else if (v->labels && v->n_teachers > 0)
        (void)teachers_wait(v, out, n_out);
}

const char *ready_why_not(const run_view *v, char *scratch, size_t n_scratch)
{
    if (v->ends) return "";
    if (!v->connected) {
        snprintf(scratch, n_scratch, "Redis does not answer: %s", v->queue_why);
        return scratch;
    }
    if (v->labels && v->n_teachers == 0) return "no teacher is alive";
    if (!v->trains) return "";
    if (v->n_servers < v->n_servers_wanted) {
        snprintf(scratch, n_scratch, "%" PRIu64 " of %" PRIu64 " parameter servers are alive",
                 v->n_servers, v->n_servers_wanted);
        return scratch;
    }
    return v->n_students == 0 ? "no student is alive" : "";
}
