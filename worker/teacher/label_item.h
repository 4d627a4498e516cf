/* One example on its way through a teacher, and the texts it got. */
#ifndef RT_WORKER_TEACHER_LABEL_ITEM_H
#define RT_WORKER_TEACHER_LABEL_ITEM_H

#include "worker/teacher/label_shard.h"

/* One text of the teacher, and what the parse machine and the filters made of it. */
typedef struct sample {
    backend_answer answer; /* without its texts */
    rt_buf text;           /* one C string of valid UTF-8 */
    char *topk;            /* of a usable text, where the backend told */
    char *reasoning;       /* NULL, or what the teacher thought apart; the same */
    parsed_answer parsed;
    const char *rationale; /* in parsed or reasoning; NULL: none */
    rationale_verdict verdict;
    bool usable; /* it has a vote */
    bool has_usefulness;
    double usefulness; /* usefulness.h */
} sample;

/* What all texts of one example used. */
typedef struct label_usage {
    uint64_t n_prompt_tokens, n_cached_tokens, n_completion_tokens, n_reasoning_tokens;
    uint64_t n_cached; /* texts that came out of the cache */
    double cost;
} label_usage;

typedef struct label_item {
    const shard_example *example;
    bool wanted; /* is asked for: not done, or part of a fixed unit */
    rt_buf prompt;
    sample *samples; /* in the order of their numbers: 0, 1, ... */
    size_t n_samples, n_samples_max;
    sample given; /* the text with the label given, see give_label.h; it has no vote */
    bool has_given;
    size_t n_target;           /* votes that are wanted by now */
    backend_sampling sampling; /* of the last text */
    label_usage usage;
} label_item;

void label_item_free(label_item *it);
/* Append an answer: takes its texts, parses and judges it. */
RT_MUST_USE rt_status label_item_take(label_item *it, const labeller *l, backend_answer *answer,
                                      rt_error *err);
/* The same for the text with the label given. */
RT_MUST_USE rt_status label_item_give(label_item *it, const labeller *l, backend_answer *answer,
                                      rt_error *err);
/* The example's gold answer in canonical form; NULL where it has none, or one that is no label. Returns
 * new. */
RT_MUST_USE rt_status gold_label(const answer_rules *rules, const shard_example *example,
                                 char **out, rt_error *err);

#endif
