#include "coordinator/plan_stage.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "coordinator/plan_journal.h"
#include "coordinator/survey_rules.h"
#include "coordinator/tokenizer_stage.h"

#define SLICE_RECORDS  256 /* tokenised before the loop is looked after again */
#define EVALUATE_SHARE 4   /* an evaluate micro-batch needs no gradient: it may be larger */

struct plan_stage {
    const config *config;
    const corpus_source *corpus;
    archive *archive;
    const lease_table *leases;
    rationale_survey *survey; /* NULL: no filter looks at rationales beside each other */
    token_cache *cache;
    plan *plan; /* NULL until the number of steps is known */
    plan_journal *journal;
    bool tasks[TASK_COUNT];
    double weights[TASK_COUNT];
    uint64_t n_steps;
    size_t n_tokenised; /* examples [0, n_tokenised) are in the cache, if labelled */
    size_t n_complete;  /* examples [0, n_complete) are complete chunks */
    uint64_t next_chunk, next_epoch;
    size_t n_taken;  /* segments that the journal agrees to */
    size_t n_before; /* segments that were planned before this start */
    /* The validation set laid out last. */
    plan_item *items;
    size_t n_items;
    size_t *cuts; /* n_cuts + 1 */
    uint32_t n_cuts;
    uint64_t validation_version;
    uint64_t validation_count[TASK_COUNT];
};

static plan_settings settings_of(const plan_stage *p, uint64_t n_steps)
{
    const train_config *t = &p->config->train;
    return (plan_settings){.seed = p->config->seed,
                           .micro_batches = t->micro_batches,
                           .micro_batch_tokens = t->micro_batch_tokens,
                           .records_per_step = t->records_per_step,
                           .n_steps_max = n_steps};
}

static rt_status set_length(plan_stage *p, uint64_t n_steps, rt_error *err)
{
    plan_settings settings = settings_of(p, n_steps);
    rt_status st = plan_new(&settings, &p->plan, err);
    if (st == RT_OK) p->n_steps = n_steps;
    return st;
}

static rt_status open_survey(plan_stage *p, rt_error *err)
{
    survey_settings settings = survey_settings_of(p->config);
    if (!survey_is_wanted(&settings)) return RT_OK;
    return rationale_survey_new(&settings, corpus_source_ids(p->corpus), corpus_source_n(p->corpus),
                                &p->survey, err);
}

rt_status plan_stage_open(const plan_stage_settings *settings, plan_stage **out, rt_error *err)
{
    rt_status st = RT_OK;
    const config *c = settings->config;
    plan_stage *p = rt_calloc(1, sizeof *p);
    if (p == NULL) return rt_fail(err, RT_NOMEM, "plan");
    p->config = c;
    p->corpus = settings->corpus;
    p->archive = settings->archive;
    p->leases = settings->leases;
    p->next_epoch = 1;
    preset_tasks(&c->train, p->tasks, p->weights);
    token_cache_settings cache = {
        .tokenizer = settings->tokenizer,
        .for_encoder = c->student.arch == STUDENT_T5,
        .label_format = c->task.label_format,
        .marker = c->task.markers.n > 0 ? c->task.markers.items[0] : "",
        .seq_len_max = c->student.seq_len_max,
        .corpus = corpus_source_key(settings->corpus),
    };
    memcpy(cache.tasks, p->tasks, sizeof cache.tasks);
    size_t n = corpus_source_n(p->corpus);
    if ((st = open_survey(p, err)) != RT_OK) goto out;
    if ((st = token_cache_open(settings->cache_path, &cache, n, &p->cache, err)) != RT_OK) goto out;
    if ((st = plan_journal_open(settings->journal_path, &p->journal, err)) != RT_OK) goto out;
    p->n_before = plan_journal_n(p->journal);
    if (c->train.steps > 0 && (st = set_length(p, c->train.steps, err)) != RT_OK) goto out;
    *out = p;
    p = NULL;
out:
    plan_stage_free(p);
    return st;
}

void plan_stage_free(plan_stage *p)
{
    if (p == NULL) return;
    rationale_survey_free(p->survey);
    token_cache_close(p->cache);
    plan_free(p->plan);
    plan_journal_close(p->journal);
    free(p->items);
    free(p->cuts);
    free(p);
}

static bool is_labelled(const plan_stage *p, size_t i)
{
    return archive_find(p->archive, corpus_source_ids(p->corpus)[i]) == ARCHIVE_LABELLED;
}

static bool is_held_out(const plan_stage *p, size_t i)
{
    return plan_is_validation(p->config->seed, corpus_source_ids(p->corpus)[i],
                              p->config->train.valid_share);
}

/* Chunks are complete in order, or wait. */
static void see_complete_chunks(plan_stage *p)
{
    size_t n = corpus_source_n(p->corpus);
    uint64_t chunk = p->config->train.chunk_size;
    while (p->n_complete < n) {
        uint64_t n_chunk = RT_MIN(chunk, n - p->n_complete);
        if (!lease_table_range_done(p->leases, p->n_complete, n_chunk)) return;
        p->n_complete += (size_t)n_chunk;
    }
}

static rt_status tokenise_one(plan_stage *p, size_t i, rt_error *err)
{
    label_record r = {0};
    rt_status st = archive_read(p->archive, corpus_source_ids(p->corpus)[i], &r, err);
    if (st == RT_OK && p->survey != NULL) rationale_survey_apply(p->survey, i, &r);
    if (st == RT_OK) st = token_cache_add(p->cache, i, &r, err);
    label_record_free(&r);
    return st;
}

/* Where the survey stands when it has work to do, else the end of what is complete. */
static rt_status survey_slice(plan_stage *p, size_t *n_ready, bool *busy, rt_error *err)
{
    *n_ready = p->n_complete;
    if (p->survey == NULL) return RT_OK;
    size_t n_before = rationale_survey_n_judged(p->survey);
    rt_status st =
        rationale_survey_work(p->survey, p->archive, p->n_complete, SLICE_RECORDS, busy, err);
    *n_ready = rationale_survey_n_judged(p->survey);
    if (st != RT_OK || *n_ready == n_before) return st;
    survey_counts n = rationale_survey_counts(p->survey);
    rt_log_info("plan.survey",
                "examples=%zu rationales=%" PRIu64 " near_duplicates=%" PRIu64
                " boilerplate=%" PRIu64 " rationales_dropped=%" PRIu64 " left_out=%" PRIu64,
                *n_ready, n.n_rationales, n.n_near_duplicates, n.n_boilerplate, n.n_dropped,
                n.n_left_out);
    return RT_OK;
}

static rt_status tokenise_slice(plan_stage *p, size_t n_ready, bool *busy, rt_error *err)
{
    for (size_t k = 0; p->n_tokenised < n_ready && k < SLICE_RECORDS; p->n_tokenised++) {
        if (!is_labelled(p, p->n_tokenised)) continue;
        rt_status st = tokenise_one(p, p->n_tokenised, err);
        if (st != RT_OK) return st;
        k++;
    }
    if (p->n_tokenised < n_ready) *busy = true;
    return RT_OK;
}

/* Training records of examples [first, end), one after the other. */
typedef struct record_walk {
    const plan_stage *stage;
    size_t first, end, at;
} record_walk;

static void walk_again(void *context)
{
    record_walk *w = context;
    w->at = w->first;
}

static rt_status walk_on(void *context, plan_record *out, rt_error *err)
{
    record_walk *w = context;
    const plan_stage *p = w->stage;
    (void)err;
    while (w->at < w->end && (is_held_out(p, w->at) || !is_labelled(p, w->at))) w->at++;
    if (w->at == w->end) return RT_END;
    *out = (plan_record){.i_example = (uint32_t)w->at};
    for (int t = 0; t < TASK_COUNT; t++) {
        token_seq seq = token_cache_get(p->cache, w->at, (student_task)t);
        out->n_tokens[t] = seq.n_target == 0 ? 0 : seq.n_prompt + seq.n_target;
        out->n_target[t] = seq.n_target;
    }
    w->at++;
    return RT_OK;
}

static plan_source source_of(record_walk *w)
{
    return (plan_source){walk_on, walk_again, w};
}

static rt_status nothing_to_train(const plan_stage *p, rt_error *err)
{
    uint64_t n_held_out = 0;
    for (size_t i = 0; i < corpus_source_n(p->corpus); i++)
        if (is_held_out(p, i) && is_labelled(p, i)) n_held_out++;
    return rt_fail(err, RT_CORRUPT,
                   "nothing to train on: of %zu examples %" PRIu64 " are labelled and %" PRIu64
                   " rejected (dataset/rejected.jsonl says why); %" PRIu64
                   " are held out by train.valid_share, %" PRIu64
                   " sequences are longer than student.seq_len_max = %" PRIu64,
                   corpus_source_n(p->corpus), archive_n_labelled(p->archive),
                   archive_n_rejected(p->archive), n_held_out, token_cache_n_too_long(p->cache),
                   p->config->student.seq_len_max);
}

/* train.steps is 0: the length follows from the records, once all are there. */
static rt_status find_length(plan_stage *p, rt_error *err)
{
    uint64_t per_epoch = 0;
    plan_settings settings = settings_of(p, 0);
    record_walk all = {.stage = p, .end = corpus_source_n(p->corpus)};
    plan_source source = source_of(&all);
    rt_status st = plan_steps_per_epoch(&settings, &source, &per_epoch, err);
    if (st != RT_OK) return st;
    uint64_t n_steps = (uint64_t)ceil(p->config->train.epochs * (double)per_epoch);
    if (per_epoch == 0) return nothing_to_train(p, err);
    if (n_steps == 0)
        return rt_fail(err, RT_INVALID, "train.epochs is %g and train.steps 0: no step to train",
                       p->config->train.epochs);
    rt_log_info("plan.length", "steps=%" PRIu64 " steps_per_epoch=%" PRIu64, n_steps, per_epoch);
    return set_length(p, n_steps, err);
}

static rt_status add_segment(plan_stage *p, plan_kind kind, uint64_t index, size_t first,
                             size_t end, rt_error *err)
{
    record_walk walk = {.stage = p, .first = first, .end = end};
    plan_source source = source_of(&walk);
    return plan_add_segment(p->plan, kind, index, &source, err);
}

/* A segment counts once it is durable in the journal. */
static rt_status take_segments(plan_stage *p, rt_error *err)
{
    for (; p->n_taken < plan_n_segments(p->plan); p->n_taken++) {
        const plan_segment *s = plan_get_segment(p->plan, p->n_taken);
        rt_status st = plan_journal_take(p->journal, p->n_taken, s, err);
        if (st != RT_OK) return st;
        rt_log_info("plan.segment",
                    "kind=%s index=%" PRIu64 " first_step=%" PRIu64 " steps=%" PRIu64
                    " records=%" PRIu64,
                    s->kind == PLAN_CHUNK ? "chunk" : "epoch", s->index, s->first_step, s->n_steps,
                    s->n_records);
    }
    return RT_OK;
}

/* One more segment, if one may be planned. */
static rt_status extend(plan_stage *p, uint64_t version, bool *busy, rt_error *err)
{
    rt_status st;
    size_t n = corpus_source_n(p->corpus);
    uint64_t chunk = p->config->train.chunk_size, first = p->next_chunk * chunk;
    uint64_t n_planned = plan_n_steps(p->plan);
    if (n_planned >= p->n_steps) return RT_OK;
    if (first < n) {
        uint64_t end = RT_MIN(first + chunk, (uint64_t)n);
        if (p->n_tokenised < end) return RT_OK;
        st = add_segment(p, PLAN_CHUNK, p->next_chunk, (size_t)first, (size_t)end, err);
        if (st == RT_OK) p->next_chunk++;
    } else {
        if (n_planned == 0) return nothing_to_train(p, err);
        bool far_enough = n_planned > version + p->config->train.lookahead_steps;
        if (far_enough && plan_stage_has_caught_up(p)) return RT_OK;
        st = add_segment(p, PLAN_EPOCH, p->next_epoch, 0, n, err);
        if (st == RT_OK) p->next_epoch++;
    }
    *busy = true;
    return st;
}

rt_status plan_stage_work(plan_stage *p, uint64_t version, bool *busy, rt_error *err)
{
    size_t n_ready;
    *busy = false;
    see_complete_chunks(p);
    rt_status st = survey_slice(p, &n_ready, busy, err);
    if (st == RT_OK) st = tokenise_slice(p, n_ready, busy, err);
    if (st != RT_OK) return st;
    if (p->plan == NULL) {
        if (p->n_tokenised < corpus_source_n(p->corpus)) return RT_OK;
        if ((st = find_length(p, err)) != RT_OK) return st;
    }
    if ((st = take_segments(p, err)) != RT_OK) return st; /* one that the disk had no room for */
    if ((st = extend(p, version, busy, err)) != RT_OK) return st;
    return take_segments(p, err);
}

uint64_t plan_stage_n_steps(const plan_stage *p)
{
    return p->n_steps;
}

bool plan_stage_has_caught_up(const plan_stage *p)
{
    return p->n_taken >= p->n_before;
}

uint64_t plan_stage_n_planned(const plan_stage *p)
{
    if (p->plan == NULL || p->n_taken == 0) return 0;
    const plan_segment *last = plan_get_segment(p->plan, p->n_taken - 1);
    return last->first_step + last->n_steps;
}

size_t plan_stage_n_segments(const plan_stage *p)
{
    return p->n_taken;
}

uint64_t plan_stage_n_too_long(const plan_stage *p)
{
    return token_cache_n_too_long(p->cache);
}

survey_counts plan_stage_survey(const plan_stage *p)
{
    return p->survey == NULL ? (survey_counts){0} : rationale_survey_counts(p->survey);
}

const double *plan_stage_weights(const plan_stage *p)
{
    return p->weights;
}

rt_status plan_stage_step(plan_stage *p, uint64_t step, plan_step_info *info, uint64_t *n_tokens,
                          rt_error *err)
{
    const plan_item *items;
    size_t n;
    rt_status st = plan_get_step(p->plan, step, info, err);
    *n_tokens = 0;
    for (size_t m = 0; st == RT_OK && m < info->n_micro_batches; m++) {
        if ((st = plan_get_micro_batch(p->plan, step, m, &items, &n, err)) != RT_OK) break;
        for (size_t i = 0; i < n; i++) {
            token_seq seq = token_cache_get(p->cache, items[i].i_example, items[i].task);
            *n_tokens += seq.n_prompt + seq.n_target;
        }
    }
    return st;
}

/* Sequences of the items, one behind the other. */
static rt_status fill(const plan_stage *p, const plan_item *items, size_t n, micro_batch *b,
                      rt_error *err)
{
    size_t n_ids = 0;
    for (size_t i = 0; i < n; i++) {
        token_seq seq = token_cache_get(p->cache, items[i].i_example, items[i].task);
        n_ids += seq.n_prompt + seq.n_target;
    }
    b->ids = rt_calloc(n_ids, sizeof *b->ids);
    b->seqs = rt_calloc(n, sizeof *b->seqs);
    if (b->ids == NULL || b->seqs == NULL || n_ids > UINT32_MAX)
        return rt_fail(err, RT_NOMEM, "micro-batch of %zu tokens", n_ids);
    for (size_t i = 0; i < n; i++) {
        token_seq seq = token_cache_get(p->cache, items[i].i_example, items[i].task);
        size_t n_seq = (size_t)seq.n_prompt + seq.n_target;
        if (n_seq > 0) memcpy(b->ids + b->n_ids, seq.ids, n_seq * sizeof *b->ids);
        b->seqs[b->n_seqs++] =
            (micro_batch_seq){.record_id = corpus_source_ids(p->corpus)[items[i].i_example],
                              .task = items[i].task,
                              .weight = 1,
                              .first = (uint32_t)b->n_ids,
                              .n_prompt = seq.n_prompt,
                              .n_target = seq.n_target};
        b->n_ids += n_seq;
    }
    return RT_OK;
}

static void set_denominators(const plan_stage *p, const uint64_t counts[TASK_COUNT], micro_batch *b)
{
    for (int t = 0; t < TASK_COUNT; t++) {
        b->task_weight[t] = (float)p->weights[t];
        b->task_count[t] = (double)counts[t];
    }
}

rt_status plan_stage_build(plan_stage *p, uint64_t step, uint32_t index, micro_batch *out,
                           rt_error *err)
{
    const plan_item *items;
    size_t n;
    plan_step_info info;
    rt_status st = plan_get_step(p->plan, step, &info, err);
    if (st == RT_OK) st = plan_get_micro_batch(p->plan, step, index, &items, &n, err);
    if (st != RT_OK) return st;
    micro_batch b = {.kind = MICRO_BATCH_TRAIN,
                     .step = step,
                     .index = index,
                     .n_micro_batches = (uint32_t)info.n_micro_batches,
                     .epoch = info.epoch,
                     .seed = p->config->seed};
    set_denominators(p, info.count, &b);
    if ((st = fill(p, items, n, &b, err)) != RT_OK) {
        micro_batch_free(&b);
        return st;
    }
    *out = b;
    return RT_OK;
}

/* Examples [0, this) were handed in by segments that steps below `version` came from. */
static size_t covered_by(const plan_stage *p, uint64_t version)
{
    size_t n = corpus_source_n(p->corpus), covered = 0;
    for (size_t i = 0; i < plan_n_segments(p->plan); i++) {
        const plan_segment *s = plan_get_segment(p->plan, i);
        if (s->first_step >= version) break;
        if (s->kind == PLAN_EPOCH) return n;
        covered = (size_t)RT_MIN((s->index + 1) * p->config->train.chunk_size, (uint64_t)n);
    }
    return covered;
}

typedef struct held_out {
    rt_id id;
    uint32_t i_example;
} held_out;

static int compare_by_id(const void *a, const void *b)
{
    return rt_id_compare(((const held_out *)a)->id, ((const held_out *)b)->id);
}

static int compare_by_place(const void *a, const void *b)
{
    uint32_t x = ((const held_out *)a)->i_example, y = ((const held_out *)b)->i_example;
    return x < y ? -1 : x > y;
}

static bool has_sequence(const plan_stage *p, size_t i)
{
    for (int t = 0; t < TASK_COUNT; t++)
        if (token_cache_get(p->cache, i, (student_task)t).n_target > 0) return true;
    return false;
}

static rt_status choose_held_out(const plan_stage *p, size_t covered, held_out **out, size_t *n_out,
                                 rt_error *err)
{
    size_t n = 0, capacity = 0;
    held_out *list = NULL;
    for (size_t i = 0; i < covered; i++) {
        /* The cheapest question first: an evaluation asks it of the whole corpus. */
        if (!is_held_out(p, i) || !is_labelled(p, i) || !has_sequence(p, i)) continue;
        if (n == capacity) {
            capacity = capacity == 0 ? 256 : capacity * 2;
            held_out *grown = realloc(list, capacity * sizeof *grown);
            if (grown == NULL) {
                free(list);
                return rt_fail(err, RT_NOMEM, "validation set of %zu records", capacity);
            }
            list = grown;
        }
        list[n++] = (held_out){corpus_source_ids(p->corpus)[i], (uint32_t)i};
    }
    if (n > p->config->train.valid_max) {
        qsort(list, n, sizeof *list, compare_by_id);
        n = (size_t)p->config->train.valid_max;
        if (n > 0) qsort(list, n, sizeof *list, compare_by_place);
    }
    *out = list;
    *n_out = n;
    return RT_OK;
}

/* Cut the set's sequences into micro-batches by tokens. */
static rt_status cut_evaluation(plan_stage *p, const held_out *list, size_t n, rt_error *err)
{
    uint64_t budget = p->config->train.micro_batch_tokens * EVALUATE_SHARE, n_tokens = 0;
    plan_item *items = rt_calloc(n * TASK_COUNT, sizeof *items);
    size_t *cuts = rt_calloc(n * TASK_COUNT + 1, sizeof *cuts);
    if (items == NULL || cuts == NULL) {
        free(items);
        free(cuts);
        return rt_fail(err, RT_NOMEM, "validation set of %zu records", n);
    }
    free(p->items);
    free(p->cuts);
    p->items = items;
    p->cuts = cuts;
    p->n_items = 0;
    p->n_cuts = 0;
    memset(p->validation_count, 0, sizeof p->validation_count);
    for (size_t i = 0; i < n * TASK_COUNT; i++) {
        student_task task = (student_task)(i % TASK_COUNT);
        token_seq seq = token_cache_get(p->cache, list[i / TASK_COUNT].i_example, task);
        if (seq.n_target == 0) continue;
        uint64_t n_seq = (uint64_t)seq.n_prompt + seq.n_target;
        bool opens = p->n_items == 0 || n_tokens + n_seq > budget;
        if (opens) {
            cuts[p->n_cuts++] = p->n_items;
            n_tokens = 0;
        }
        n_tokens += n_seq;
        p->validation_count[task] += seq.n_target;
        items[p->n_items++] = (plan_item){list[i / TASK_COUNT].i_example, task};
    }
    cuts[p->n_cuts] = p->n_items;
    return RT_OK;
}

rt_status plan_stage_lay_out_validation(plan_stage *p, uint64_t version, uint32_t *n_micro_batches,
                                        uint64_t *n_records, rt_error *err)
{
    held_out *list = NULL;
    size_t n = 0;
    rt_status st = choose_held_out(p, covered_by(p, version), &list, &n, err);
    if (st == RT_OK) st = cut_evaluation(p, list, n, err);
    free(list);
    if (st != RT_OK) return st;
    p->validation_version = version;
    *n_micro_batches = p->n_cuts;
    *n_records = n;
    return RT_OK;
}

rt_status plan_stage_build_evaluation(plan_stage *p, uint32_t index, micro_batch *out,
                                      rt_error *err)
{
    if (index >= p->n_cuts)
        return rt_fail(err, RT_NOTFOUND, "evaluate micro-batch %" PRIu32 " of %" PRIu32, index,
                       p->n_cuts);
    size_t first = p->cuts[index];
    micro_batch b = {.kind = MICRO_BATCH_EVALUATE,
                     .step = p->validation_version,
                     .index = index,
                     .n_micro_batches = p->n_cuts,
                     .seed = p->config->seed};
    set_denominators(p, p->validation_count, &b);
    rt_status st = fill(p, p->items + first, p->cuts[index + 1] - first, &b, err);
    if (st != RT_OK) {
        micro_batch_free(&b);
        return st;
    }
    *out = b;
    return RT_OK;
}
