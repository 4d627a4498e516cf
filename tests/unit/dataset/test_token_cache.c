#include "common/dataset/token_cache.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

enum { N = 12 };

typedef struct toy {
    char *folder;
    tokenizer *tokenizer;
    token_cache_settings settings;
} toy;

static rt_status next_sentence(void *context, const char **text, size_t *n, rt_error *err)
{
    static char line[128];
    int *i = context;
    (void)err;
    if (*i == 400) return RT_END;
    int k = snprintf(line, sizeof line,
                     "predict: item %d costs %d yen because the box %d is big りんご", *i, *i * 7,
                     *i % 10);
    ++*i;
    *text = line;
    *n = (size_t)k;
    return RT_OK;
}

static toy toy_new(void)
{
    int i = 0;
    rt_error err = {0};
    toy t = {.folder = temp_folder_new()};
    const tokenizer_training training = {.bpe = true, .vocab_size = 300, .byte_fallback = true};
    const char *path = temp_folder_path(t.folder, "tokenizer.model");
    cr_assert_eq(tokenizer_train(&training, next_sentence, &i, path, &err), RT_OK, "%s", err.text);
    cr_assert_eq(tokenizer_load(path, &t.tokenizer, &err), RT_OK, "%s", err.text);
    t.settings = (token_cache_settings){.tokenizer = t.tokenizer,
                                        .tasks = {true, true, false},
                                        .label_format = "{marker} {label}",
                                        .marker = "So",
                                        .seq_len_max = 512,
                                        .corpus = {1, 2}};
    return t;
}

static void toy_free(toy *t)
{
    tokenizer_free(t->tokenizer);
    temp_folder_free(t->folder);
}

static label_record toy_record(int i)
{
    label_record r = {.id = {0, (uint64_t)i}};
    cr_assert_geq(asprintf(&r.input, "How much is item %d? りんご", i), 0);
    cr_assert_geq(asprintf(&r.label, "%d", i * 7), 0);
    if (i % 3 != 0) cr_assert_geq(asprintf(&r.rationale, "The box %d is big.", i), 0);
    return r;
}

static token_cache *open_cache(const toy *t)
{
    token_cache *c = NULL;
    rt_error err = {0};
    cr_assert_eq(
        token_cache_open(temp_folder_path(t->folder, "tokens.cache"), &t->settings, N, &c, &err),
        RT_OK, "%s", err.text);
    return c;
}

static rt_status add(token_cache *c, int i)
{
    label_record r = toy_record(i);
    rt_status st = token_cache_add(c, (size_t)i, &r, NULL);
    label_record_free(&r);
    return st;
}

/* What the sequence must be, made the plain way. */
static void expect_sequence(const toy *t, const token_cache *c, int i, student_task task)
{
    label_record r = toy_record(i);
    rt_buf prompt = {0}, target = {0};
    id_list ids = {0};
    token_seq s = token_cache_get(c, (size_t)i, task);
    rt_status st =
        task_target(task, &r, t->settings.label_format, t->settings.marker, &target, NULL);
    if (st == RT_NOTFOUND || !t->settings.tasks[task]) {
        cr_expect_eq(s.n_target, 0);
    } else {
        cr_assert_eq(task_prompt(task, r.input, &prompt, NULL), RT_OK);
        bool behind = t->settings.for_encoder;
        if (!behind) cr_assert_eq(id_list_add(&ids, tokenizer_bos(t->tokenizer), NULL), RT_OK);
        cr_assert_eq(tokenizer_encode(t->tokenizer, prompt.data, prompt.n, &ids, NULL), RT_OK);
        if (behind) cr_assert_eq(id_list_add(&ids, tokenizer_eos(t->tokenizer), NULL), RT_OK);
        cr_assert_eq(s.n_prompt, ids.n);
        cr_assert_eq(tokenizer_encode(t->tokenizer, target.data, target.n, &ids, NULL), RT_OK);
        cr_assert_eq(id_list_add(&ids, tokenizer_eos(t->tokenizer), NULL), RT_OK);
        cr_assert_eq(s.n_prompt + s.n_target, ids.n);
        cr_expect_eq(memcmp(s.ids, ids.ids, ids.n * sizeof *ids.ids), 0, "example %d", i);
    }
    label_record_free(&r);
    rt_buf_free(&prompt);
    rt_buf_free(&target);
    id_list_free(&ids);
}

static void fill(const toy *t)
{
    token_cache *c = open_cache(t);
    for (int i = N - 1; i >= 0; i--) cr_assert_eq(add(c, i), RT_OK);
    token_cache_close(c);
}

Test(token_cache, an_encoder_reads_its_prompt_with_eos_behind_it)
{
    toy t = toy_new();
    fill(&t);
    t.settings.for_encoder = true;
    token_cache *c = open_cache(&t);
    cr_expect_not(token_cache_has(c, 0), "the other kind's file is not read");
    for (int i = 0; i < N; i++) {
        cr_assert_eq(add(c, i), RT_OK);
        expect_sequence(&t, c, i, TASK_PREDICT);
        expect_sequence(&t, c, i, TASK_EXPLAIN);
    }
    /* what teachers, evaluation and serving make of the same prompt */
    rt_buf prompt = {0};
    id_list ids = {0};
    label_record r = toy_record(1);
    token_seq s = token_cache_get(c, 1, TASK_PREDICT);
    cr_assert_eq(task_prompt(TASK_PREDICT, r.input, &prompt, NULL), RT_OK);
    cr_assert_eq(tokenizer_encode_prompt(t.tokenizer, prompt.data, prompt.n, true,
                                         tokenizer_eos(t.tokenizer), &ids, NULL),
                 RT_OK);
    cr_assert_eq(ids.n, s.n_prompt);
    cr_expect_eq(memcmp(ids.ids, s.ids, ids.n * sizeof *ids.ids), 0);
    id_list_free(&ids);
    rt_buf_free(&prompt);
    label_record_free(&r);
    token_cache_close(c);
    toy_free(&t);
}

Test(token_cache, sequences_are_bos_prompt_target_eos_and_survive_reopening)
{
    toy t = toy_new();
    token_cache *c = open_cache(&t);
    cr_expect_not(token_cache_has(c, 0));
    cr_expect_eq(token_cache_get(c, 0, TASK_PREDICT).n_target, 0);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(add(c, i), RT_OK);
        expect_sequence(&t, c, i, TASK_PREDICT);
    }
    token_cache_close(c);
    c = open_cache(&t);
    for (int i = 0; i < N; i++) {
        cr_expect(token_cache_has(c, (size_t)i));
        for (int k = 0; k < TASK_COUNT; k++) expect_sequence(&t, c, i, (student_task)k);
    }
    cr_expect_eq(add(c, N), RT_INVALID, "beyond the corpus");
    cr_expect_not(token_cache_has(c, N));
    token_cache_close(c);
    toy_free(&t);
}

Test(token_cache, adding_again_writes_nothing_unless_the_text_changed)
{
    toy t = toy_new();
    rt_buf before = {0}, after = {0};
    fill(&t);
    temp_folder_read(t.folder, "tokens.cache", &before);
    token_cache *c = open_cache(&t);
    for (int i = 0; i < N; i++) cr_assert_eq(add(c, i), RT_OK);
    temp_folder_read(t.folder, "tokens.cache", &after);
    cr_expect_eq(after.n, before.n);
    label_record r = toy_record(2);
    free(r.label);
    r.label = strdup("a longer label");
    uint32_t n_old = token_cache_get(c, 2, TASK_PREDICT).n_target;
    cr_assert_eq(token_cache_add(c, 2, &r, NULL), RT_OK);
    cr_expect_gt(token_cache_get(c, 2, TASK_PREDICT).n_target, n_old);
    token_cache_close(c);
    c = open_cache(&t);
    cr_expect_gt(token_cache_get(c, 2, TASK_PREDICT).n_target, n_old, "the later entry counts");
    expect_sequence(&t, c, 3, TASK_PREDICT);
    token_cache_close(c);
    label_record_free(&r);
    rt_buf_free(&before);
    rt_buf_free(&after);
    toy_free(&t);
}

/* Whatever a crash left, each entry is there and right, or absent and can be added. */
static void expect_true_or_absent(const toy *t, size_t *n_there)
{
    token_cache *c = open_cache(t);
    *n_there = 0;
    for (int i = 0; i < N; i++) {
        if (!token_cache_has(c, (size_t)i)) continue;
        ++*n_there;
        expect_sequence(t, c, i, TASK_PREDICT);
        expect_sequence(t, c, i, TASK_EXPLAIN);
    }
    for (int i = 0; i < N; i++) {
        cr_assert_eq(add(c, i), RT_OK);
        expect_sequence(t, c, i, TASK_PREDICT);
    }
    token_cache_close(c);
}

Test(token_cache, cut_at_any_byte_it_holds_a_true_prefix)
{
    toy t = toy_new();
    rt_buf whole = {0};
    size_t n_there = 0, n_before = 0;
    fill(&t);
    temp_folder_read(t.folder, "tokens.cache", &whole);
    for (size_t n = 0; n <= whole.n; n += n < 250 || n + 40 > whole.n ? 1 : 31) {
        temp_folder_write(t.folder, "tokens.cache", whole.data, n);
        expect_true_or_absent(&t, &n_there);
        cr_assert_geq(n_there, n_before, "cut at %zu", n);
        n_before = n_there;
    }
    cr_expect_eq(n_there, N);
    rt_buf_free(&whole);
    toy_free(&t);
}

Test(token_cache, a_flipped_bit_never_gives_wrong_tokens)
{
    toy t = toy_new();
    rt_buf whole = {0};
    size_t n_there = 0;
    fill(&t);
    temp_folder_read(t.folder, "tokens.cache", &whole);
    for (size_t i = 0; i < whole.n; i += 23) {
        whole.data[i] ^= (char)(1 << (i % 8));
        temp_folder_write(t.folder, "tokens.cache", whole.data, whole.n);
        expect_true_or_absent(&t, &n_there);
        whole.data[i] ^= (char)(1 << (i % 8));
    }
    rt_buf_free(&whole);
    toy_free(&t);
}

Test(token_cache, another_preset_corpus_or_format_starts_anew)
{
    toy t = toy_new();
    for (int k = 0; k < 5; k++) {
        fill(&t);
        token_cache_settings old = t.settings;
        if (k == 0) t.settings.tasks[TASK_SOLVE] = true;
        if (k == 1) t.settings.marker = "The answer is";
        if (k == 2) t.settings.seq_len_max = 100;
        if (k == 3) t.settings.corpus.low++;
        if (k == 4) t.settings.label_format = "{label}";
        token_cache *c = open_cache(&t);
        for (size_t i = 0; i < N; i++) cr_expect_not(token_cache_has(c, i), "change %d", k);
        token_cache_close(c);
        t.settings = old;
    }
    toy_free(&t);
}

Test(token_cache, sequences_too_long_are_left_out_and_counted_over_reopening)
{
    toy t = toy_new();
    t.settings.seq_len_max = 60;
    token_cache *c = open_cache(&t);
    label_record r = toy_record(1);
    free(r.rationale);
    r.rationale = calloc(1, 1001);
    memset(r.rationale, 'x', 1000);
    cr_assert_eq(token_cache_add(c, 1, &r, NULL), RT_OK);
    for (int reopened = 0; reopened < 2; reopened++) {
        cr_expect_eq(token_cache_n_too_long(c), 1);
        cr_expect_gt(token_cache_get(c, 1, TASK_PREDICT).n_target, 0);
        cr_expect_eq(token_cache_get(c, 1, TASK_EXPLAIN).n_target, 0);
        token_cache_close(c);
        c = open_cache(&t);
    }
    cr_assert_eq(add(c, 1), RT_OK);
    cr_expect_eq(token_cache_n_too_long(c), 0, "replaced by a short one");
    token_cache_close(c);
    label_record_free(&r);
    toy_free(&t);
}

Test(token_cache, grows_far_beyond_its_first_mapping)
{
    toy t = toy_new();
    t.settings.seq_len_max = 0;
    token_cache *c = open_cache(&t);
    for (int i = 0; i < N; i++) {
        label_record r = toy_record(i);
        free(r.label);
        r.label = calloc(1, 60001);
        memset(r.label, 'a' + i, 60000);
        cr_assert_eq(token_cache_add(c, (size_t)i, &r, NULL), RT_OK);
        label_record_free(&r);
    }
    for (size_t i = 0; i < N; i++) {
        token_seq s = token_cache_get(c, i, TASK_PREDICT);
        cr_expect_gt(s.n_target, 30000);
        cr_expect_eq(s.ids[s.n_prompt + s.n_target - 1], tokenizer_eos(t.tokenizer));
    }
    token_cache_close(c);
    toy_free(&t);
}

Test(token_cache, a_full_disk_leaves_it_as_it_was)
{
    toy t = toy_new();
    struct rlimit limit, old;
    rt_error err = {0};
    token_cache *c = open_cache(&t);
    cr_assert_eq(add(c, 0), RT_OK);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 300;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    label_record r = toy_record(1);
    cr_expect_eq(token_cache_add(c, 1, &r, &err), RT_IO);
    label_record_free(&r);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_expect_not(token_cache_has(c, 1));
    cr_expect_eq(add(c, 1), RT_OK);
    expect_sequence(&t, c, 0, TASK_PREDICT);
    expect_sequence(&t, c, 1, TASK_PREDICT);
    token_cache_close(c);
    toy_free(&t);
}
