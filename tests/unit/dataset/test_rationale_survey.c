#include "common/dataset/rationale_survey.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "tests/support/temp_folder.h"

#define N_MAX 256

/* A dataset whose records came in any order, and its corpus order. */
typedef struct shelf {
    char *folder;
    archive *archive;
    rt_id ids[N_MAX];
    size_t n;
} shelf;

static rt_id id_of(size_t i)
{
    return rt_id_of(&i, sizeof i);
}

/* texts[i] NULL: rejected; "": labelled without a rationale. Records come as `order` says, NULL: in
 * corpus order. */
static shelf shelf_new(const char *const *texts, size_t n, const uint32_t *order)
{
    rt_error err = {0};
    shelf s = {.folder = temp_folder_new(), .n = n};
    cr_assert_leq(n, N_MAX);
    cr_assert_eq(archive_open(temp_folder_path(s.folder, "d"), &s.archive, &err), RT_OK, "%s",
                 err.text);
    for (size_t i = 0; i < n; i++) s.ids[i] = id_of(i);
    for (size_t k = 0; k < n; k++) {
        size_t i = order == NULL ? k : order[k];
        char input[32], label[] = "yes", reason[] = "empty", raw[] = "";
        snprintf(input, sizeof input, "input %zu", i);
        label_record r = {.id = s.ids[i], .input = input};
        if (texts[i] == NULL) {
            r.reason = reason;
            r.raw = raw;
        } else {
            r.label = label;
            r.rationale = texts[i][0] == '\0' ? NULL : (char *)(uintptr_t)texts[i];
        }
        cr_assert_eq(archive_append(s.archive, &r, &err), RT_OK, "%s", err.text);
    }
    cr_assert_eq(archive_sync(s.archive, &err), RT_OK);
    return s;
}

static void shelf_free(shelf *s)
{
    archive_close(s->archive);
    temp_folder_free(s->folder);
}

static rationale_survey *survey(shelf *s, const survey_settings *settings, size_t n_complete,
                                size_t slice)
{
    rt_error err = {0};
    rationale_survey *out = NULL;
    bool busy = true;
    cr_assert_eq(rationale_survey_new(settings, s->ids, s->n, &out, &err), RT_OK, "%s", err.text);
    while (busy)
        cr_assert_eq(rationale_survey_work(out, s->archive, n_complete, slice, &busy, &err), RT_OK,
                     "%s", err.text);
    return out;
}

static const survey_settings both = {.note = RATIONALE_NEAR_DUPLICATE | RATIONALE_BOILERPLATE,
                                     .boilerplate_share = 0.1,
                                     .boilerplate_min = 0.01,
                                     .chunk_size = 1000};

Test(rationale_survey, keeps_the_first_of_those_that_say_the_same)
{
    static const char *const texts[] = {
        "Seven shells at two dollars are fourteen, and five make nineteen.",
        "A penguin has feathers, so it is a bird that swims and does not fly.",
        "",
        "seven shells at two dollars are fourteen - and five make nineteen!",
        NULL,
        "Seven shells at two dollars are fourteen and five make nineteen",
    };
    shelf s = shelf_new(texts, RT_COUNT(texts), NULL);
    rationale_survey *v = survey(&s, &both, s.n, 1000);
    static const unsigned flags[] = {
        0, 0, 0, RATIONALE_NEAR_DUPLICATE, 0, RATIONALE_NEAR_DUPLICATE};
    cr_assert_eq(rationale_survey_n_judged(v), s.n);
    for (size_t i = 0; i < s.n; i++) cr_expect_eq(rationale_survey_flags(v, i), flags[i], "%zu", i);
    cr_expect_eq(rationale_survey_twin(v, 3), 0);
    cr_expect_eq(rationale_survey_twin(v, 5), 0, "the one that is kept");
    cr_expect_eq(rationale_survey_twin(v, 0), SURVEY_NO_TWIN);
    survey_counts n = rationale_survey_counts(v);
    cr_expect_eq(n.n_rationales, 4);
    cr_expect_eq(n.n_near_duplicates, 2);
    cr_expect_eq(n.n_dropped + n.n_left_out, 0, "they are only noted");
    rationale_survey_free(v);
    shelf_free(&s);
}

/* Rationales of ten words of their own each; every eighth begins with a phrase that all those share. */
static void fill(char texts[][160], const char **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = i * 31;
        int at = snprintf(texts[i], 160, "%s",
                          i % 8 == 3 ? "as we can see from the text above it follows that " : "");
        for (size_t w = 0; w < 10; w++)
            at += snprintf(texts[i] + at, 160 - (size_t)at, "w%zu ",
                           (k + w * 7) * 2654435761u % 100000);
        list[i] = texts[i];
    }
    for (size_t i = 40; i < n; i += 40) list[i] = list[i - 40]; /* and some say the same */
}

Test(rationale_survey, finds_the_tenth_that_says_most_of_what_others_say)
{
    static char texts[200][160];
    const char *list[200];
    fill(texts, list, 200);
    shelf s = shelf_new(list, 200, NULL);
    rationale_survey *v = survey(&s, &both, s.n, 1000);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool found = (rationale_survey_flags(v, i) & RATIONALE_BOILERPLATE) != 0;
        n += found;
        if (found)
            cr_expect_eq(i % 8, 3, "example %zu with score %g", i, rationale_survey_score(v, i));
        if (i % 8 == 3) cr_expect_gt(rationale_survey_score(v, i), rationale_survey_score(v, 1));
    }
    cr_expect_eq(n, 20, "a tenth of 200, of 25 that are alike");
    cr_expect_eq(rationale_survey_flags(v, 3), 0, "the first of them are kept");
    cr_expect_eq(rationale_survey_flags(v, 195), RATIONALE_BOILERPLATE);
    rationale_survey_free(v);
    shelf_free(&s);
}

Test(rationale_survey, says_the_same_whatever_the_order_of_arrival_and_the_size_of_slices)
{
    static char texts[200][160];
    const char *list[200];
    uint32_t order[200];
    survey_settings settings = both;
    settings.chunk_size = 64;
    fill(texts, list, 200);
    for (uint32_t i = 0; i < 200; i++) order[i] = i;
    rng_permute(rng_key_make(1, "test", (rt_id){0}, 0), order, 200);
    shelf a = shelf_new(list, 200, NULL), b = shelf_new(list, 200, order);
    rationale_survey *x = survey(&a, &settings, 200, 1000), *y = survey(&b, &settings, 200, 1);
    cr_expect_gt(rationale_survey_counts(x).n_near_duplicates, 0);
    cr_expect_gt(rationale_survey_counts(x).n_boilerplate, 0);
    for (size_t i = 0; i < 200; i++) {
        cr_expect_eq(rationale_survey_flags(x, i), rationale_survey_flags(y, i), "%zu", i);
        cr_expect_eq(rationale_survey_score(x, i), rationale_survey_score(y, i), "%zu", i);
        cr_expect_eq(rationale_survey_twin(x, i), rationale_survey_twin(y, i), "%zu", i);
    }
    rationale_survey_free(x);
    rationale_survey_free(y);
    shelf_free(&a);
    shelf_free(&b);
}

Test(rationale_survey, judges_a_chunk_once_it_is_whole_and_never_otherwise_later)
{
    static char texts[200][160];
    const char *list[200];
    rt_error err = {0};
    bool busy = true;
    survey_settings settings = both;
    settings.chunk_size = 64;
    fill(texts, list, 200);
    shelf s = shelf_new(list, 200, NULL);
    rationale_survey *early = survey(&s, &settings, 130, 16),
                     *late = survey(&s, &settings, 200, 999);
    cr_expect_eq(rationale_survey_n_judged(early), 128);
    for (size_t i = 0; i < 128; i++)
        cr_expect_eq(rationale_survey_flags(early, i), rationale_survey_flags(late, i), "%zu", i);
    cr_expect_eq(rationale_survey_flags(early, 199), 0, "not judged yet");
    while (busy) cr_assert_eq(rationale_survey_work(early, s.archive, 200, 16, &busy, &err), RT_OK);
    cr_expect_eq(rationale_survey_n_judged(early), 200, "the last chunk is shorter");
    for (size_t i = 0; i < 200; i++)
        cr_expect_eq(rationale_survey_flags(early, i), rationale_survey_flags(late, i), "%zu", i);
    rationale_survey_free(early);
    rationale_survey_free(late);
    shelf_free(&s);
}

Test(rationale_survey, raising_a_limit_flags_no_more)
{
    static char texts[200][160];
    const char *list[200];
    fill(texts, list, 200);
    shelf s = shelf_new(list, 200, NULL);
    uint64_t before = UINT64_MAX;
    for (int k = 0; k < 5; k++) {
        survey_settings settings = both;
        settings.boilerplate_share = 0.5;
        settings.boilerplate_min = 0.01 * k * k;
        rationale_survey *v = survey(&s, &settings, s.n, 1000);
        uint64_t n = rationale_survey_counts(v).n_boilerplate;
        cr_expect_leq(n, before);
        before = n;
        rationale_survey_free(v);
    }
    cr_expect_lt(before, 25);
    shelf_free(&s);
}

Test(rationale_survey, takes_from_a_record_what_the_settings_say)
{
    static const char *const texts[] = {"the very same thing", "The very same thing.", "another"};
    shelf s = shelf_new(texts, RT_COUNT(texts), NULL);
    for (int rejects = 0; rejects < 2; rejects++) {
        survey_settings settings = {.chunk_size = 10};
        *(rejects ? &settings.reject : &settings.drop_rationale) = RATIONALE_NEAR_DUPLICATE;
        rationale_survey *v = survey(&s, &settings, s.n, 10);
        for (size_t i = 0; i < s.n; i++) {
            label_record r = {0};
            cr_assert_eq(archive_read(s.archive, s.ids[i], &r, NULL), RT_OK);
            rationale_survey_apply(v, i, &r);
            cr_expect_eq(r.rationale == NULL, i == 1, "%zu", i);
            cr_expect_eq(r.label == NULL, rejects && i == 1, "%zu", i);
            label_record_free(&r);
        }
        cr_expect_eq(rationale_survey_counts(v).n_left_out, (uint64_t)rejects);
        cr_expect_eq(rationale_survey_counts(v).n_dropped, (uint64_t)!rejects);
        rationale_survey_free(v);
    }
    shelf_free(&s);
}

Test(rationale_survey, does_nothing_unless_it_is_asked_for)
{
    survey_settings other = {.note = RATIONALE_SHORT, .reject = RATIONALE_WRONG};
    cr_expect_not(survey_is_wanted(&other));
    other.reject |= RATIONALE_BOILERPLATE;
    cr_expect(survey_is_wanted(&other));
}
