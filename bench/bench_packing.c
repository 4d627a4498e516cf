/* What packing gains on texts of real, uneven lengths.
 *
 *     bench_packing corpus=dataset/labels.jsonl [config=b] [compute=f32] [threads=1] [steps=10]
 *                   [seqs=16] [order=random|length] [input={input}] [target={rationale}]
 *                   [tokenizer=FILE]
 *
 * Trains on the same sequences twice, in turns: packed, and as a framework with padding has them, each
 * filled up to the longest of its batch (an encoder-decoder's prompts and targets by themselves).
 * `order=length` puts sequences of like length together, the best that padding can do. Only tokens of the
 * texts are counted. Ids are random: only lengths decide the time. Prints one line of JSON; `gain_cpu` is in
 * processor time, which others on the machine disturb less.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/shapes.h"
#include "bench/text_lengths.h"
#include "bench/trainer.h"
#include "common/base/bytes.h"
#include "common/base/rng.h"

typedef struct options {
    text_source texts;
    char config;
    bool by_length;
    compute_mode compute;
    uint64_t threads, steps, seqs;
} options;

static bool parse_text(const char *arg, const char *name, const char **out)
{
    size_t n = strlen(name);
    if (strncmp(arg, name, n) != 0) return false;
    *out = arg + n;
    return true;
}

static bool parse_number(const char *arg, const char *name, uint64_t *out)
{
    const char *text = NULL;
    return parse_text(arg, name, &text) && rt_parse_u64(text, out) && *out > 0;
}

static bool parse_option(const char *arg, options *o)
{
    const char *text = NULL;
    if (parse_text(arg, "config=", &text)) return (o->config = text[0]) != '\0' && text[1] == '\0';
    if (parse_text(arg, "compute=", &text)) return trainer_parse_compute(text, &o->compute);
    if (parse_text(arg, "order=", &text)) {
        o->by_length = strcmp(text, "length") == 0;
        return o->by_length || strcmp(text, "random") == 0;
    }
    return parse_number(arg, "threads=", &o->threads) || parse_number(arg, "steps=", &o->steps) ||
           parse_number(arg, "seqs=", &o->seqs) || parse_text(arg, "corpus=", &o->texts.corpus) ||
           parse_text(arg, "input=", &o->texts.input) ||
           parse_text(arg, "target=", &o->texts.target) ||
           parse_text(arg, "tokenizer=", &o->texts.tokenizer);
}

static void shuffle(text_length *rows, size_t n)
{
    rng_key key = rng_key_make(1, "bench order", (rt_id){0}, 0);
    for (size_t i = n; i > 1; i--) {
        size_t k = rng_below(key, i, i);
        text_length one = rows[i - 1];
        rows[i - 1] = rows[k];
        rows[k] = one;
    }
}

static int compare_lengths(const void *a, const void *b)
{
    const text_length *x = a, *y = b;
    size_t n_x = x->n_prompt + x->n_target, n_y = y->n_prompt + y->n_target;
    if (n_x != n_y) return n_x < n_y ? -1 : 1;
    return (x->n_prompt > y->n_prompt) - (x->n_prompt < y->n_prompt);
}

/* `steps` batches of the rows, spread over all of them; each is one run of rows. */
static const text_length *rows_of_batch(const text_lengths *all, const options *o, size_t i)
{
    size_t n_batches = all->n / o->seqs;
    return all->rows + i * n_batches / o->steps * o->seqs;
}

/* Fill sequences up to the longest: prompts and targets each in an encoder-decoder, the end alone in
 * a decoder, which learns nothing there but computes it. */
static void pad(text_length *rows, size_t n, bool has_encoder)
{
    text_length most = {0};
    size_t n_most = 0;
    for (size_t i = 0; i < n; i++) {
        most.n_prompt = RT_MAX(most.n_prompt, rows[i].n_prompt);
        most.n_target = RT_MAX(most.n_target, rows[i].n_target);
        n_most = RT_MAX(n_most, rows[i].n_prompt + rows[i].n_target);
    }
    for (size_t i = 0; i < n; i++) {
        if (has_encoder)
            rows[i] = most;
        else
            rows[i].n_target = n_most - rows[i].n_prompt;
    }
}

/* Room for a batch of the longest sequences, with random ids. */
typedef struct room {
    uint32_t *ids;
    packed_seq *seqs;
    text_length *rows;
} room;

static rt_status room_make(const options *o, const model_config *c, room *out, rt_error *err)
{
    size_t n_ids = o->seqs * 2 * c->seq_len_max;
    rng_key key = rng_key_make(1, "bench", (rt_id){0}, 0);
    *out = (room){.ids = rt_calloc(n_ids, sizeof *out->ids),
                  .seqs = rt_calloc(o->seqs, sizeof *out->seqs),
                  .rows = rt_calloc(o->seqs, sizeof *out->rows)};
    if (out->ids == NULL || out->seqs == NULL || out->rows == NULL)
        return rt_fail(err, RT_NOMEM, "batch of %" PRIu64 " sequences", o->seqs);
    for (size_t i = 0; i < n_ids; i++) out->ids[i] = (uint32_t)rng_below(key, i, c->n_vocab);
    return RT_OK;
}

static void room_free(room *r)
{
    free(r->ids);
    free(r->seqs);
    free(r->rows);
}

static packed_batch lay_out(room *r, size_t n)
{
    packed_batch batch = {.ids = r->ids, .seqs = r->seqs, .n_seqs = n};
    for (size_t i = 0; i < n; i++) {
        r->seqs[i] = (packed_seq){.first = batch.n_tokens,
                                  .n_prompt = r->rows[i].n_prompt,
                                  .n_target = r->rows[i].n_target,
                                  .weight = 1,
                                  .record_id = {.low = i}};
        batch.n_tokens += r->rows[i].n_prompt + r->rows[i].n_target;
    }
    return batch;
}

enum { PACKED, PADDED, N_WAYS };

typedef struct totals {
    double seconds[N_WAYS], cpu_s[N_WAYS];
    size_t n_tokens[N_WAYS];
} totals;

static rt_status train_on(trainer *t, room *r, const text_length *rows, size_t n, int way,
                          totals *sums, rt_error *err)
{
    trainer_times took;
    memcpy(r->rows, rows, n * sizeof *rows);
    if (way == PADDED) pad(r->rows, n, model_config_has_encoder(model_get_config(t->model)));
    packed_batch batch = lay_out(r, n);
    clock_t start = clock();
    rt_status st = trainer_step(t, &batch, &took, err);
    if (st != RT_OK) return st;
    sums->seconds[way] += took.gradient_s + took.adamw_s;
    sums->cpu_s[way] += (double)(clock() - start) / CLOCKS_PER_SEC;
    sums->n_tokens[way] += batch.n_tokens;
    return RT_OK;
}

/* All batches twice: products of a shape that was not met before are compiled first. */
static rt_status measure(trainer *t, const options *o, room *r, const text_lengths *all,
                         rt_error *err)
{
    totals sums = {0};
    rt_status st = RT_OK;
    for (int round = 0; round < 2; round++) {
        sums = (totals){0};
        for (size_t i = 0; st == RT_OK && i < o->steps; i++)
            for (int way = 0; st == RT_OK && way < N_WAYS; way++)
                st = train_on(t, r, rows_of_batch(all, o, i), o->seqs, way, &sums, err);
    }
    if (st != RT_OK) return st;
    double n = (double)sums.n_tokens[PACKED];
    printf("{\"bench\":\"packing\",\"config\":\"%c\",\"compute\":\"%s\",\"threads\":%" PRIu64
           ",\"order\":\"%s\",\"seqs\":%" PRIu64 ",\"steps\":%" PRIu64
           ",\"rows\":%zu,\"skipped\":%zu"
           ",\"tokens_seq\":%.1f,\"padding_share\":%.3f,\"tok_s\":%.1f,\"tok_s_padded\":%.1f"
           ",\"gain\":%.2f,\"gain_cpu\":%.2f}\n",
           o->config, compute_mode_name(model_compute(t->model)), o->threads,
           o->by_length ? "length" : "random", o->seqs, o->steps, all->n, all->n_skipped,
           n / (double)(o->seqs * o->steps), 1 - n / (double)sums.n_tokens[PADDED],
           n / sums.seconds[PACKED], n / sums.seconds[PADDED],
           sums.seconds[PADDED] / sums.seconds[PACKED], sums.cpu_s[PADDED] / sums.cpu_s[PACKED]);
    return RT_OK;
}

static rt_status run(const options *o, rt_error *err)
{
    bench_shape shape = {0};
    text_lengths all = {0};
    trainer t = {0};
    room r = {0};
    rt_status st = bench_shape_get(o->config, &shape, err);
    if (st == RT_OK)
        st =
            text_lengths_read(&o->texts, shape.config.n_vocab, shape.config.seq_len_max, &all, err);
    if (st != RT_OK) goto out;
    if (all.n < o->seqs) {
        st = rt_fail(err, RT_INVALID, "%zu rows, expected at least %" PRIu64 " for one batch",
                     all.n, o->seqs);
        goto out;
    }
    if (o->by_length)
        qsort(all.rows, all.n, sizeof *all.rows, compare_lengths);
    else
        shuffle(all.rows, all.n);
    nn_set_threads(o->threads);
    if ((st = room_make(o, &shape.config, &r, err)) != RT_OK) goto out;
    if ((st = trainer_open(&shape.config, o->compute, &t, err)) != RT_OK) goto out;
    st = measure(&t, o, &r, &all, err);
out:
    trainer_close(&t);
    room_free(&r);
    text_lengths_free(&all);
    bench_shape_free(&shape);
    return st;
}

int main(int argc, char **argv)
{
    options o = {.texts = {.input = "{input}", .target = "{rationale}"},
                 .config = 'b',
                 .threads = 1,
                 .steps = 10,
                 .seqs = 16};
    rt_error err = {0};
    bool ok = true;
    for (int i = 1; ok && i < argc; i++) ok = parse_option(argv[i], &o);
    if (!ok || o.texts.corpus == NULL) {
        fprintf(
            stderr,
            "bench_packing corpus=FILE [config=a|b|c] [compute=f32|bf16|bf16x3|auto] [threads=N] [steps=N] "
            "[seqs=N] [order=random|length] [input=TEMPLATE] [target=TEMPLATE] [tokenizer=FILE]\n");
        return 2;
    }
    if (run(&o, &err) == RT_OK) return 0;
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
