/* What can be said of a rationale only beside the others: near duplicates and boilerplate.
 *
 *     rationale_survey *s = NULL;
 *     if ((st = rationale_survey_new(&settings, ids, n, &s, err)) != RT_OK) goto out;
 *     do st = rationale_survey_work(s, archive, n_complete, 256, &busy, err); while (busy);
 *     st = rationale_survey_apply(s, i, &record);          // for i < rationale_survey_n_judged(s)
 *     rationale_survey_free(s);
 *
 * Examples are judged in corpus order, chunk by chunk, each chunk by itself and what stands before it:
 *
 *     near_duplicate   at most 3 of 64 bits (sim_hash.h) from a rationale that stands before it and is
 *                      none itself: of several the first is kept
 *     boilerplate      its score (gram_counts.h, over all rationales up to the end of its chunk) is
 *                      among the largest `boilerplate_share` of its chunk, of equals those that stand
 *                      last, and above `boilerplate_min`
 *
 * So a verdict depends on the records and on chunk_size alone, not on the order in which they came.
 * The teacher cannot know it, and the record on disk does not hold it: whoever needs it computes it
 * from the dataset, as the plan and `retort audit` do.
 *
 * Memory: 10 bytes an example, 32 a distinct rationale, 17 MiB.
 */
#ifndef RT_DATASET_RATIONALE_SURVEY_H
#define RT_DATASET_RATIONALE_SURVEY_H

#include "common/dataset/archive.h"
#include "common/text/rationale_filter.h"

#define SURVEY_NO_TWIN UINT32_MAX

typedef struct survey_settings {
    /* What a flag does, of RATIONALE_NEAR_DUPLICATE and RATIONALE_BOILERPLATE. Others are ignored. */
    unsigned note;           /* is counted */
    unsigned drop_rationale; /* ... and the record has no rationale for training */
    unsigned reject;         /* ... or is not trained on at all */
    double boilerplate_share, boilerplate_min;
    size_t chunk_size; /* of the plan, >= 1 */
} survey_settings;

typedef struct survey_counts {
    uint64_t n_rationales; /* that were judged */
    uint64_t n_near_duplicates, n_boilerplate;
    uint64_t n_dropped;  /* rationales that training does without */
    uint64_t n_left_out; /* records that it does without */
    double score_sum;    /* of boilerplate */
} survey_counts;

typedef struct rationale_survey rationale_survey;

/* Whether there is anything to look for. */
bool survey_is_wanted(const survey_settings *settings);
/* Keeps ids[0..n), the corpus order. Returns new; rationale_survey_free(). RT_FULL beyond 2^32 - 1. */
RT_MUST_USE rt_status rationale_survey_new(const survey_settings *settings, const rt_id *ids,
                                           size_t n, rationale_survey **out, rt_error *err);
void rationale_survey_free(rationale_survey *s);
/* Look at no more than n_max records of the chunks that lie whole in [0, n_complete), or end at n.
 * *busy: there is more to do. */
RT_MUST_USE rt_status rationale_survey_work(rationale_survey *s, archive *a, size_t n_complete,
                                            size_t n_max, bool *busy, rt_error *err);
/* Examples [0, this) have a verdict. */
size_t rationale_survey_n_judged(const rationale_survey *s);
/* Flags of an example; 0 where it has no rationale. */
unsigned rationale_survey_flags(const rationale_survey *s, size_t i);
/* Place of the example that it says the same as; SURVEY_NO_TWIN: none. */
uint32_t rationale_survey_twin(const rationale_survey *s, size_t i);
double rationale_survey_score(const rationale_survey *s, size_t i);
/* What the settings make of it: the record loses its rationale, or its label too. */
void rationale_survey_apply(const rationale_survey *s, size_t i, label_record *record);
survey_counts rationale_survey_counts(const rationale_survey *s);

#endif
