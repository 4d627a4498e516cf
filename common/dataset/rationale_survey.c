/* Two looks at each chunk, so that a score knows the whole of it:
 *
 *     COUNT   the runs of words of every rationale of the chunk
 *     JUDGE   each rationale in corpus order: its twin, its score; at the end the largest scores
 *
 * The text is read again for the second look: it is not kept, and the archive has it in memory.
 */
#include "common/dataset/rationale_survey.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/gram_counts.h"
#include "common/text/sim_hash.h"

#define FLAGS (RATIONALE_NEAR_DUPLICATE | RATIONALE_BOILERPLATE)

typedef enum look { LOOK_COUNT, LOOK_JUDGE } look;

struct rationale_survey {
    survey_settings settings;
    unsigned wanted;
    const rt_id *ids;
    size_t n;
    gram_counts *counts; /* NULL: boilerplate is not looked for */
    sim_index *index;    /* NULL: near duplicates are not */
    uint32_t *twins;     /* [n] */
    float *scores;       /* [n]; below 0: no rationale */
    uint16_t *flags;     /* [n] */
    look look;
    size_t i_next;   /* example to look at */
    size_t n_judged; /* where the chunk begins */
    survey_counts sums;
};

bool survey_is_wanted(const survey_settings *settings)
{
    return ((settings->note | settings->drop_rationale | settings->reject) & FLAGS) != 0;
}

rt_status rationale_survey_new(const survey_settings *settings, const rt_id *ids, size_t n,
                               rationale_survey **out, rt_error *err)
{
    rt_status st = RT_OK;
    if (n >= SURVEY_NO_TWIN) return rt_fail(err, RT_FULL, "survey of %zu rationales", n);
    rationale_survey *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "survey of rationales");
    s->settings = *settings;
    s->settings.chunk_size = RT_MAX(settings->chunk_size, 1);
    s->wanted = (settings->note | settings->drop_rationale | settings->reject) & FLAGS;
    s->ids = ids;
    s->n = n;
    s->twins = rt_calloc(n, sizeof *s->twins);
    s->scores = rt_calloc(n, sizeof *s->scores);
    s->flags = rt_calloc(n, sizeof *s->flags);
    if (s->twins == NULL || s->scores == NULL || s->flags == NULL)
        st = rt_fail(err, RT_NOMEM, "survey of %zu rationales", n);
    if (st == RT_OK && (s->wanted & RATIONALE_BOILERPLATE) != 0)
        st = gram_counts_new(&s->counts, err);
    if (st == RT_OK && (s->wanted & RATIONALE_NEAR_DUPLICATE) != 0)
        st = sim_index_new(&s->index, err);
    if (st == RT_OK) {
        s->look = s->counts != NULL ? LOOK_COUNT : LOOK_JUDGE;
        if (n > 0) memset(s->twins, 0xFF, n * sizeof *s->twins);
        for (size_t i = 0; i < n; i++) s->scores[i] = -1;
        *out = s;
        s = NULL;
    }
    rationale_survey_free(s);
    return st;
}

void rationale_survey_free(rationale_survey *s)
{
    if (s == NULL) return;
    gram_counts_free(s->counts);
    sim_index_free(s->index);
    free(s->twins);
    free(s->scores);
    free(s->flags);
    free(s);
}

static rt_status judge(rationale_survey *s, size_t i, const text_units *units, rt_error *err)
{
    rt_status st = RT_OK;
    double score = 0;
    uint64_t hash = 0;
    if (s->counts != NULL && (st = gram_counts_score(s->counts, units, &score, err)) != RT_OK)
        return st;
    s->scores[i] = (float)score;
    s->sums.n_rationales++;
    s->sums.score_sum += score;
    if (s->index == NULL) return RT_OK;
    if ((st = sim_hash(units, &hash, err)) != RT_OK) return st;
    s->twins[i] = sim_index_find(s->index, hash);
    if (s->twins[i] == SURVEY_NO_TWIN) return sim_index_add(s->index, hash, (uint32_t)i, err);
    s->flags[i] |= RATIONALE_NEAR_DUPLICATE;
    return RT_OK;
}

static rt_status look_at(rationale_survey *s, archive *a, size_t i, rt_error *err)
{
    label_record r = {0};
    text_units units = {0};
    rt_status st = archive_read(a, s->ids[i], &r, err);
    if (st == RT_OK && r.rationale != NULL)
        st = text_units_of(r.rationale, strlen(r.rationale), &units, err);
    if (st == RT_OK && units.n > 0)
        st = s->look == LOOK_COUNT ? gram_counts_add(s->counts, &units, err)
                                   : judge(s, i, &units, err);
    text_units_free(&units);
    label_record_free(&r);
    return st;
}

static int compare_floats(const void *a, const void *b)
{
    float x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Flag the largest scores of the chunk, of equals those that stand last. */
static rt_status flag_boilerplate(rationale_survey *s, size_t end, rt_error *err)
{
    size_t n = 0, n_above = 0;
    float *scores = rt_calloc(end - s->n_judged, sizeof *scores);
    if (scores == NULL)
        return rt_fail(err, RT_NOMEM, "scores of %zu rationales", end - s->n_judged);
    for (size_t i = s->n_judged; i < end; i++)
        if (s->scores[i] >= 0) scores[n++] = s->scores[i];
    size_t n_largest = (size_t)(s->settings.boilerplate_share * (double)n);
    if (n > 0) qsort(scores, n, sizeof *scores, compare_floats);
    float least = n_largest > 0 ? scores[n - n_largest] : INFINITY;
    for (size_t i = 0; i < n; i++) n_above += scores[i] > least;
    free(scores);
    size_t n_equal = n_largest - n_above; /* those of the least score that belong to the largest */
    for (size_t i = end; i-- > s->n_judged;) {
        float score = s->scores[i];
        if (score < least || !((double)score > s->settings.boilerplate_min)) continue;
        if (score == least && n_equal == 0) continue;
        if (score == least) n_equal--;
        s->flags[i] |= RATIONALE_BOILERPLATE;
    }
    return RT_OK;
}

static void count_verdict(rationale_survey *s, unsigned flags)
{
    bool left_out = (flags & s->settings.reject) != 0;
    s->sums.n_near_duplicates += (flags & RATIONALE_NEAR_DUPLICATE) != 0;
    s->sums.n_boilerplate += (flags & RATIONALE_BOILERPLATE) != 0;
    s->sums.n_left_out += left_out;
    s->sums.n_dropped += !left_out && (flags & s->settings.drop_rationale) != 0;
}

static rt_status end_chunk(rationale_survey *s, size_t end, rt_error *err)
{
    if (s->counts != NULL) {
        rt_status st = flag_boilerplate(s, end, err);
        if (st != RT_OK) return st;
    }
    for (size_t i = s->n_judged; i < end; i++) count_verdict(s, s->flags[i]);
    s->n_judged = s->i_next = end;
    s->look = s->counts != NULL ? LOOK_COUNT : LOOK_JUDGE;
    return RT_OK;
}

/* The end of the chunk that is looked at; SIZE_MAX while it is not complete. */
static size_t chunk_end(const rationale_survey *s, size_t n_complete)
{
    size_t end =
        s->n - s->n_judged > s->settings.chunk_size ? s->n_judged + s->settings.chunk_size : s->n;
    return s->n_judged < s->n && end <= n_complete ? end : SIZE_MAX;
}

rt_status rationale_survey_work(rationale_survey *s, archive *a, size_t n_complete, size_t n_max,
                                bool *busy, rt_error *err)
{
    rt_status st = RT_OK;
    size_t end = chunk_end(s, n_complete);
    *busy = false;
    while (end != SIZE_MAX && n_max > 0) {
        for (; s->i_next < end && n_max > 0; s->i_next++) {
            if (archive_find(a, s->ids[s->i_next]) != ARCHIVE_LABELLED) continue;
            if ((st = look_at(s, a, s->i_next, err)) != RT_OK) return st;
            n_max--;
        }
        if (s->i_next < end) break;
        if (s->look == LOOK_COUNT) {
            s->look = LOOK_JUDGE;
            s->i_next = s->n_judged;
            continue;
        }
        if ((st = end_chunk(s, end, err)) != RT_OK) return st;
        end = chunk_end(s, n_complete);
    }
    *busy = end != SIZE_MAX;
    return RT_OK;
}

size_t rationale_survey_n_judged(const rationale_survey *s)
{
    return s->n_judged;
}

unsigned rationale_survey_flags(const rationale_survey *s, size_t i)
{
    return i < s->n_judged ? s->flags[i] : 0;
}

uint32_t rationale_survey_twin(const rationale_survey *s, size_t i)
{
    return i < s->n_judged ? s->twins[i] : SURVEY_NO_TWIN;
}

double rationale_survey_score(const rationale_survey *s, size_t i)
{
    return i < s->n_judged && s->scores[i] > 0 ? (double)s->scores[i] : 0;
}

void rationale_survey_apply(const rationale_survey *s, size_t i, label_record *record)
{
    unsigned flags = rationale_survey_flags(s, i);
    if ((flags & (s->settings.drop_rationale | s->settings.reject)) != 0) {
        free(record->rationale);
        record->rationale = NULL;
    }
    if ((flags & s->settings.reject) != 0) {
        free(record->label);
        record->label = NULL;
    }
}

survey_counts rationale_survey_counts(const rationale_survey *s)
{
    return s->sums;
}
