/* One line for each setting. What decides the student is marked DECIDES: a run directory refuses
 * to go on when one of these differs. Numbers of processes, waits, limits of queues, and addresses
 * are FREE: they may change between two starts of the same run.
 *
 * Whole numbers are bounded by 2^53 - 1 at most, so that any JSON reader keeps them exact.
 */
#include "common/conf/settings.h"

#include <stdio.h>
#include <string.h>

#define DECIDES true
#define FREE    false

#define N_BIG      1e12
#define SEED_MAX   9007199254740991.0
#define MS_MAX     86400000.0
#define PATH(a, b) #a "." #b

/* Arguments below are designators and initialisers, which take no parentheses.
 * NOLINTBEGIN(bugprone-macro-parentheses) */

/* A setting in a section, and one at the top. */
#define IN(part, name) \
    .path = PATH(part, name), .key = #name, .section = #part, .offset = offsetof(config, part.name)
#define TOP(name) .path = #name, .key = #name, .section = "", .offset = offsetof(config, name)

#define TEXT(where, def, counts, text)                                                           \
    {                                                                                            \
        where, .type = SETTING_TEXT, .default_text = def, .unit = "", .decides_student = counts, \
               .help = text                                                                      \
    }
#define SECRET(where, text)                                                         \
    {                                                                               \
        where, .type = SETTING_SECRET, .default_text = "", .unit = "", .help = text \
    }
#define LIST(where, def, counts, text)                                                           \
    {                                                                                            \
        where, .type = SETTING_LIST, .default_text = def, .unit = "", .decides_student = counts, \
               .help = text                                                                      \
    }
#define LIST_OF(where, list, counts, text)                                          \
    {                                                                               \
        where, .type = SETTING_LIST, .names = list, .default_text = "", .unit = "", \
               .decides_student = counts, .help = text                              \
    }
#define U64(where, lo, hi, def, units, counts, text)                                           \
    {                                                                                          \
        where, .type = SETTING_U64, .min = lo, .max = hi, .default_text = #def, .unit = units, \
               .decides_student = counts, .help = text                                         \
    }
#define REAL(where, lo, hi, def, units, counts, text)                                             \
    {                                                                                             \
        where, .type = SETTING_DOUBLE, .min = lo, .max = hi, .default_text = #def, .unit = units, \
               .decides_student = counts, .help = text                                            \
    }
#define BOOL(where, def, counts, text)                                                            \
    {                                                                                             \
        where, .type = SETTING_BOOL, .default_text = #def, .unit = "", .decides_student = counts, \
               .help = text                                                                       \
    }
#define ENUM(where, list, def, counts, text)                                         \
    {                                                                                \
        where, .type = SETTING_ENUM, .names = list, .default_text = def, .unit = "", \
               .decides_student = counts, .help = text                               \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

static const char *const answer_names[] = {"choice", "number", "equation", "text", "class", NULL};
static const char *const format_names[] = {"auto", "jsonl", "text", "csv", "tsv", NULL};
static const char *const unit_names[] = {"line", "paragraph", NULL};
static const char *const backend_names[] = {"recorded", "native", "openai", NULL};
static const char *const api_names[] = {"chat", "completions", NULL};
static const char *const max_tokens_names[] = {"max_tokens", "max_completion_tokens", NULL};
static const char *const role_names[] = {"auto", "system", "developer", "user", NULL};
static const char *const prompt_kind_names[] = {"classic", "reasoning", NULL};
static const char *const match_names[] = {"input", "id", NULL};
static const char *const tokenizer_names[] = {"unigram", "bpe", NULL};
static const char *const arch_names[] = {"llama", "t5", NULL};
static const char *const ff_act_names[] = {"auto", "swiglu", "relu", "gated-gelu", NULL};
static const char *const preset_names[] = {"step-by-step", "label-only", "rationale-first", NULL};
static const char *const mode_names[] = {"sync", "ssp", "async", NULL};
static const char *const compute_names[] = {"f32", "bf16", "bf16x3", "auto", NULL};
static const char *const wire_names[] = {"f32", "bf16", NULL};
static const char *const schedule_names[] = {"constant", "linear", "cosine", NULL};
static const char *const best_names[] = {"loss", "exact", NULL};
static const char *const answer_with_names[] = {"auto", "label", "rationale-first", NULL};
static const char *const decode_names[] = {"f32", "bf16", NULL};
static const char *const dtype_names[] = {"f32", "f16", "bf16", NULL};
static const char *const control_names[] = {"none", "label-only", NULL};
static const char *const vote_names[] = {"majority", "weighted", "cluster", NULL};
/* Those of common/text/rationale_filter.h; a test keeps both equal. */
static const char *const filter_names[] = {
    "no_rationale",      "too_short",   "too_long",       "copies_input", "leaks_label", "repeats",
    "contradicts_label", "wrong_label", "near_duplicate", "boilerplate",  "not_useful",  NULL};

/* clang-format off */
static const setting table[] = {
TEXT(TOP(name), "run", FREE, "Name of the run: small letters, digits, `.`, `_`, `-`."),
TEXT(TOP(run_dir), "", FREE, "Folder of the run. Empty: `runs/<name>`."),
U64(TOP(seed), 0, SEED_MAX, 1, "", DECIDES, "Seed of every random number of the run."),
U64(TOP(threads), 1, 256, 1, "threads", FREE,
    "Threads of each teacher or student process. Results repeat bit for bit for one value."),

TEXT(IN(task, name), "task", DECIDES, "Name of the task; enters the id of every example."),
ENUM(IN(task, answer), answer_names, "text", DECIDES,
     "Kind of label: one of the choices listed in the input, a number, an arithmetic equation, free "
     "text, or one of `task.classes`."),
LIST(IN(task, classes), "", DECIDES, "Allowed labels, for `answer: class`."),
LIST(IN(task, markers), "", DECIDES,
     "Texts before the label in what a teacher writes, such as `The answer is`. Needed unless "
     "`answer: text`."),
LIST(IN(task, stop_marks), "", DECIDES,
     "A teacher's text is cut at the first of these, where it runs on into another example."),
TEXT(IN(task, label_format), "{marker} {label}", DECIDES,
     "How a label is written after a rationale in a training target; `{marker}` is the first of "
     "`task.markers`."),

LIST(IN(corpus, files), "", DECIDES,
     "Unlabeled input: paths and globs, read in order, sorted within a glob. Needed to label."),
ENUM(IN(corpus, format), format_names, "auto", DECIDES,
     "Format of the files; `auto` goes by the name: .jsonl .json .txt .csv .tsv, each also .gz "
     ".zst."),
ENUM(IN(corpus, unit), unit_names, "line", DECIDES,
     "For text files: an example is a line or a paragraph."),
TEXT(IN(corpus, input), "{input}", DECIDES, "Template of an example's input over the fields of a row."),
TEXT(IN(corpus, gold), "", DECIDES,
     "Template of the true answer, used to score the teacher and, but for `prompt.label_given`, never to "
     "train. Empty: none."),
TEXT(IN(corpus, source_id), "", DECIDES,
     "Field that names a row at its source. Empty: none."),
U64(IN(corpus, rows_max), 0, N_BIG, 0, "rows", DECIDES, "Read at most so many rows; 0: all."),
REAL(IN(corpus, bad_share_max), 0, 1, 0.01, "", FREE,
     "Stop when a larger share of the rows is malformed."),

ENUM(IN(teacher, backend), backend_names, "recorded", DECIDES,
     "Where labels come from: texts recorded earlier, a model run by Retort, or a server that speaks "
     "the OpenAI interface."),
TEXT(IN(teacher, name), "", DECIDES, "Name in the records' meta. Empty: the backend's own."),
LIST(IN(teacher, files), "", DECIDES,
     "recorded: JSON-lines files with the texts, also .gz .zst; paths and globs."),
ENUM(IN(teacher, match), match_names, "input", DECIDES,
     "recorded: find a text by the rendered input or by the row's source id."),
TEXT(IN(teacher, match_field), "", DECIDES,
     "recorded: template of the input (or id) over the fields of the recorded rows."),
TEXT(IN(teacher, text_field), "{teacher_raw}", DECIDES,
     "recorded: template of the teacher's text over the fields of the recorded rows."),
TEXT(IN(teacher, model), "", DECIDES,
     "native: folder of the model. openai: name of the model at the server."),
REAL(IN(teacher, temperature), 0, 10, 0, "", DECIDES, "Sampling temperature; 0: greedy."),
U64(IN(teacher, top_k), 0, 1e6, 0, "tokens", DECIDES, "Sample among the k likeliest tokens; 0: off."),
REAL(IN(teacher, top_p), 1e-6, 1, 1, "", DECIDES,
     "Sample among the likeliest tokens that hold this share of probability; 1: off."),
U64(IN(teacher, max_new_tokens), 1, 32768, 128, "tokens", DECIDES, "Longest text of a teacher."),
U64(IN(teacher, attempts_max), 1, 100, 2, "", DECIDES,
    "Tries for each example before it is rejected."),
TEXT(IN(teacher, base_url), "", FREE,
     "openai: where the interface begins, such as `http://127.0.0.1:8000/v1`."),
ENUM(IN(teacher, api), api_names, "chat", DECIDES,
     "openai: chat completions, or plain completions of the prompt as one text."),
SECRET(IN(teacher, api_key), "openai: key of the server; a local one needs none."),
TEXT(IN(teacher, api_key_header), "Authorization", FREE,
     "openai: header that carries the key; `Authorization` as a bearer token, any other as it is."),
ENUM(IN(teacher, max_tokens_field), max_tokens_names, "max_tokens", DECIDES,
     "openai: field that carries `teacher.max_new_tokens` in a chat. OpenAI's own models expect "
     "`max_completion_tokens`."),
ENUM(IN(teacher, instruction_role), role_names, "auto", DECIDES,
     "openai: role of the message with `prompt.instruction`; `auto`: system for classic prompts, "
     "developer for reasoning ones; `user`: one message holds all."),
LIST(IN(teacher, stop), "", DECIDES, "openai: the server ends a text before one of these."),
BOOL(IN(teacher, logprobs), false, DECIDES, "openai: ask for log-probabilities. A native teacher always tells them."),
U64(IN(teacher, top_logprobs), 0, 20, 0, "tokens", DECIDES,
    "openai with `logprobs`, and native: also of so many likely tokens at each place; the record "
    "keeps them."),
ENUM(IN(teacher, dtype), decode_names, "f32", DECIDES,
     "native: what decoding keeps of weights, keys and values; bf16 is up to twice as fast, and not "
     "always the same text."),
U64(IN(teacher, choices_max), 1, 128, 1, "samples", DECIDES,
    "openai: samples of one example asked for in one request (`n`). Those that do not come are asked "
    "for again; a server that refuses `n` needs 1."),
TEXT(IN(teacher, schema_file), "", DECIDES,
     "openai: file with a JSON schema that answers must follow. Empty: free text."),
TEXT(IN(teacher, label_key), "label", DECIDES, "openai: field of the label in an answer by schema."),
TEXT(IN(teacher, rationale_key), "rationale", DECIDES,
     "openai: field of the rationale in an answer by schema."),
TEXT(IN(teacher, extra_body), "", DECIDES,
     "openai: JSON object whose fields are put into each request last; null takes a field out."),
BOOL(IN(teacher, two_step), false, DECIDES,
     "openai: ask twice: first for a thought, then, with the thought, for the label."),
TEXT(IN(teacher, think_text), "Let's think step by step.", DECIDES,
     "openai: end of the first prompt of two."),
TEXT(IN(teacher, extract_text), "Therefore, the answer is", DECIDES,
     "openai: end of the second prompt of two."),
U64(IN(teacher, in_flight_max), 1, 1024, 32, "requests", FREE,
    "openai: most requests at once of one teacher process; how many are of use is found out."),
U64(IN(teacher, retries_max), 0, 1000, 8, "", FREE,
    "openai: times that a failed request is sent again before its row is rejected."),
U64(IN(teacher, timeout_ms), 10, MS_MAX, 300000, "ms", FREE,
    "openai: longest wait for one whole answer."),
U64(IN(teacher, connect_timeout_ms), 10, 600000, 10000, "ms", FREE,
    "openai: longest wait for a connection."),
REAL(IN(teacher, hedge_after), 0, 1000, 0, "", FREE,
     "openai: a request that takes so many times the median is sent a second time, and the first "
     "answer counts; 0: never. May be paid twice."),
U64(IN(teacher, breaker_failures), 0, 1e6, 10, "", FREE,
    "openai: so many failures of the server in a row pause the asking; 0: never."),
TEXT(IN(teacher, proxy), "", FREE,
     "openai: URL of a proxy. Empty: none; variables of the environment are not read."),
SECRET(IN(teacher, proxy_login), "openai: USER:PASSWORD for the proxy."),
TEXT(IN(teacher, ca_file), "", FREE,
     "openai: PEM file of the authorities that vouch for the server. Empty: the system's."),
BOOL(IN(teacher, tls_verify), true, FREE,
     "openai: check the server's certificate. Never switch this off beyond a test."),

ENUM(IN(prompt, kind), prompt_kind_names, "classic", DECIDES,
     "`classic`: worked examples and plain text. `reasoning`: for models that think by themselves; "
     "the input stands between tags, and nothing may tell the model to think."),
TEXT(IN(prompt, instruction), "", DECIDES, "Text before everything else. Empty: none."),
TEXT(IN(prompt, exemplars), "", DECIDES,
     "JSON-lines file of worked examples `{\"input\",\"rationale\",\"label\"}`. Empty: zero-shot."),
TEXT(IN(prompt, exemplar_template), "{input}\n{rationale} {label}", DECIDES,
     "Template of a worked example over `{input}` `{rationale}` `{label}`."),
TEXT(IN(prompt, template), "{input}\n", DECIDES, "Template of the question over `{input}`."),
TEXT(IN(prompt, label_given), "", DECIDES,
     "Question over `{input}` and `{label}`, the true answer, for rows of which no text is right: one more "
     "text, for a rationale that leads to it. Needs `corpus.gold`, and trains on it. Empty: never."),
TEXT(IN(prompt, separator), "\n\n", DECIDES, "Text between worked examples."),
U64(IN(prompt, max_prompt_tokens), 0, 1e6, 0, "tokens", DECIDES,
    "Longest prompt; a longer one is rejected and never cut. 0: the teacher's own limit. openai: its "
    "tokens are not known, and counted as rather more than they are."),

U64(IN(quality, samples), 1, 1000, 1, "texts", DECIDES,
    "Texts that a teacher writes about each example; the labels are put to the vote."),
U64(IN(quality, samples_min), 1, 1000, 3, "texts", DECIDES,
    "Texts of the first round when `quality.stop_probability` is below 1."),
REAL(IN(quality, stop_probability), 0.5, 1, 1, "", DECIDES,
     "Ask no further once the leading label is ahead of the next with this probability; 1: always "
     "ask for `quality.samples`."),
REAL(IN(quality, temperature), 0.01, 10, 0.7, "", DECIDES,
     "Sampling temperature when `quality.samples` is above 1, in the place of "
     "`teacher.temperature`."),
ENUM(IN(quality, vote), vote_names, "majority", DECIDES,
     "Which label wins: the most frequent, the one of the largest share weighted by how likely its "
     "texts are, or the cluster of like labels with the best score."),
REAL(IN(quality, size_weight), 0, 1000, 1, "", DECIDES,
     "`vote: cluster`: weight of the logarithm of a cluster's size."),
REAL(IN(quality, logprob_weight), 0, 1000, 1, "", DECIDES,
     "`vote: cluster`: weight of the mean log-probability of a cluster's texts."),
REAL(IN(quality, confidence_min), 0, 1, 0, "", DECIDES,
     "A row whose winning label has a smaller share of the votes is rejected as `low_confidence`; "
     "0: none."),
LIST_OF(IN(quality, note_if), filter_names, DECIDES,
        "Filters that are only noted in a record's meta."),
LIST_OF(IN(quality, drop_rationale_if), filter_names, DECIDES,
        "Filters that drop the rationale and keep the label."),
LIST_OF(IN(quality, reject_if), filter_names, DECIDES,
        "Filters that make a text count as no answer: it has no vote and is asked for again; a row "
        "without another is rejected with the filter's name as its reason. `wrong_label` rejects a "
        "row whose winning label is not the gold one. `near_duplicate` and `boilerplate` show only "
        "beside the other rows: the record stays in the dataset and is not trained on."),
U64(IN(quality, words_min), 0, 1e6, 8, "words", DECIDES, "`too_short` is below; 0: no limit."),
U64(IN(quality, words_max), 0, 1e6, 60, "words", DECIDES, "`too_long` is above; 0: no limit."),
REAL(IN(quality, copied_max), 0, 1, 0.9, "", DECIDES,
     "`copies_input` is above: longest run of words that the input has too, as a share."),
REAL(IN(quality, leaked_max), 0, 1, 0.8, "", DECIDES,
     "`leaks_label` is above: share of the words that are the label or only introduce it."),
REAL(IN(quality, repeated_max), 0, 1, 0.3, "", DECIDES,
     "`repeats` is above: share of the runs of four words that were there before."),
REAL(IN(quality, boilerplate_share), 0, 1, 0.1, "", DECIDES,
     "`boilerplate` trips for this share of the rationales of a chunk: those with the highest scores."),
REAL(IN(quality, boilerplate_min), 0, 1, 0.01, "", DECIDES,
     "`boilerplate` trips for no lower score: the mean share of the other rationales that have a run of "
     "six words of this one."),
TEXT(IN(quality, scorer), "", DECIDES,
     "Model that says how much likelier a label is with its rationale: `teacher` (native only), or a "
     "model folder. Empty: none."),
TEXT(IN(quality, scorer_template), "", DECIDES,
     "Prompt of `quality.scorer` over `{input}`, such as `solve: {input}\\n` for a student. Empty: the "
     "teacher's own prompt."),
REAL(IN(quality, useful_min), -1000, 1000, 0, "nats", DECIDES,
     "`not_useful` is below: log-probability of the label with the rationale less that without it."),
BOOL(IN(quality, keep_others), false, FREE,
     "Keep texts with another label, or without one, in the record's meta, for preference pairs."),

TEXT(IN(escalate, config), "", DECIDES,
     "File with the sections `teacher` and, where they differ, `prompt`, `quality` and prices of a "
     "second teacher. Empty: none."),
BOOL(IN(escalate, when_rejected), true, DECIDES,
     "The second teacher is asked about rows that the first could not label."),
REAL(IN(escalate, when_confidence_below), 0, 1, 0, "", DECIDES,
     "The second teacher is asked about rows whose winning label has a smaller share of the votes; "
     "0: never."),
REAL(IN(escalate, expected_share), 0, 1, 0.2, "", FREE,
     "Share of the rows that `--dry-run` assumes the second teacher to be asked about."),

U64(IN(label, shard_size), 1, 100000, 50, "examples", DECIDES,
    "Examples that a teacher takes at once."),
U64(IN(label, lease_ms), 100, MS_MAX, 30000, "ms", FREE,
    "A teacher that says nothing for so long loses its shard."),
U64(IN(label, deaths_max), 0, 1000, 3, "", FREE,
    "When so many teachers died with a shard and nothing of it came, its rows are handed out one at a time; "
    "a row with which alone so many died is rejected as `worker_died`. 0: never."),
REAL(IN(label, rejected_share_max), 0, 1, 1, "", FREE,
     "Stop when a larger share of the rows is rejected; 1: never."),
U64(IN(label, smoke_rows), 0, 1e6, 16, "examples", FREE,
    "So many rows are labelled and shown before the rest begins, rounded up to whole shards; 0: no "
    "smoke phase."),
REAL(IN(label, smoke_rejected_share_max), 0, 1, 0.5, "", FREE,
     "Stop when a larger share of these first rows is rejected; 1: never."),

TEXT(IN(cache, dir), "", FREE,
     "Folder of the answers that were paid for, shared by all runs that name it. Empty: `.answers` "
     "beside the folder of the run; `off`: none."),

U64(IN(limits, in_flight_max), 0, 1e6, 0, "requests", FREE,
    "Requests to the teacher's server under way at once, of all teachers together; 0: no limit."),
U64(IN(limits, requests_per_minute), 0, 1e9, 0, "requests", FREE,
    "Requests in any minute, of all teachers together; 0: no limit."),
U64(IN(limits, tokens_per_minute), 0, N_BIG, 0, "tokens", FREE,
    "Tokens in any minute, prompt and completion, of all teachers together; 0: no limit."),
REAL(IN(limits, budget), 0, 1e9, 0, "`limits.currency`", FREE,
     "The run never spends more, requests under way included: leasing stops when it is reached. Needs "
     "a price; 0: no limit."),
TEXT(IN(limits, currency), "USD", FREE, "Currency of the prices and of the budget, for people."),
REAL(IN(limits, price_input), 0, 1e6, 0, "per million tokens", FREE, "Price of prompt tokens; 0: free."),
REAL(IN(limits, price_cached_input), 0, 1e6, 0, "per million tokens", FREE,
     "Price of prompt tokens that the server had cached; 0: as `price_input`."),
REAL(IN(limits, price_output), 0, 1e6, 0, "per million tokens", FREE,
     "Price of completion tokens, reasoning included; 0: free."),

TEXT(IN(queue, url), "", FREE,
     "Redis: `redis://HOST:PORT`, `rediss://HOST:PORT` (TLS) or `unix:PATH`. Empty: the launcher starts "
     "one."),
TEXT(IN(queue, user), "", FREE, "User of Redis' ACL. Empty: its default user."),
SECRET(IN(queue, password),
       "Password of Redis; needed beyond loopback. Read anew for each connection."),
TEXT(IN(queue, ca_file), "", FREE,
     "rediss: PEM file of the authorities that vouch for Redis. Empty: the system's."),
TEXT(IN(queue, cert_file), "", FREE, "rediss: PEM file of our own certificate. Empty: none."),
TEXT(IN(queue, key_file), "", FREE, "rediss: PEM file of the key of `queue.cert_file`."),
U64(IN(queue, labels_max), 1, 1e7, 4096, "records", FREE,
    "Labels that wait in Redis before teachers pause."),
U64(IN(queue, batches_max), 1, 1e6, 256, "micro-batches", FREE,
    "Micro-batches that wait in Redis before the coordinator pauses."),
U64(IN(queue, deliveries_max), 1, 1e6, 20, "", FREE,
    "An entry delivered more often goes to the dead stream."),
U64(IN(queue, claim_ms), 100, MS_MAX, 60000, "ms", FREE,
    "An entry idle for longer is claimed by another worker."),

TEXT(IN(tokenizer, model), "", DECIDES, "An existing sentencepiece model. Empty: train one."),
ENUM(IN(tokenizer, kind), tokenizer_names, "unigram", DECIDES, "Kind of a new tokenizer."),
U64(IN(tokenizer, vocab_size), 64, 1e6, 4000, "pieces", DECIDES, "Size of a new tokenizer."),
BOOL(IN(tokenizer, byte_fallback), true, DECIDES,
     "Write an unknown character as its bytes instead of losing it."),
BOOL(IN(tokenizer, split_digits), true, DECIDES, "Each digit is a piece of its own."),
BOOL(IN(tokenizer, lowercase), false, DECIDES, "Fold everything to small letters."),
U64(IN(tokenizer, sample_max), 0, 1e9, 200000, "sentences", DECIDES,
    "Sentences that a new tokenizer is trained on; 0: all."),

TEXT(IN(student, preset), "", FREE,
     "Shape by name, as `retort model --presets` lists them; what is written here counts more. Empty: "
     "none."),
ENUM(IN(student, arch), arch_names, "llama", DECIDES,
     "Architecture: decoder-only, or an encoder that reads the prompt and a decoder that writes."),
TEXT(IN(student, init_from), "", DECIDES, "Model folder to start from. Empty: random weights."),
U64(IN(student, d_model), 8, 65536, 256, "", DECIDES, "Width of the residual stream."),
U64(IN(student, n_layers), 1, 1000, 6, "", DECIDES, "Layers; with `t5` those of the encoder."),
U64(IN(student, n_decoder_layers), 0, 1000, 0, "", DECIDES,
    "`t5`: layers of the decoder; 0: `n_layers`."),
U64(IN(student, n_heads), 1, 1024, 8, "", DECIDES, "Attention heads."),
U64(IN(student, n_kv_heads), 0, 1024, 0, "", DECIDES, "Heads of keys and values; 0: `n_heads`."),
U64(IN(student, d_head), 0, 1024, 0, "", DECIDES, "Width of a head; 0: `d_model / n_heads`."),
U64(IN(student, d_ff), 8, 262144, 768, "", DECIDES, "Width of the feed-forward layer."),
U64(IN(student, layer_groups), 0, 1000, 0, "", DECIDES,
    "`llama`: layers share their weights in so many groups of neighbours (ALBERT); 0: none."),
U64(IN(student, d_embed), 0, 65536, 0, "", DECIDES,
    "`llama`: width of the embedding's rows, projected to `d_model` and back (ALBERT); 0: `d_model`."),
ENUM(IN(student, ff_act), ff_act_names, "auto", DECIDES,
     "Feed-forward layer; `auto`: `swiglu` for `llama`, `gated-gelu` for `t5` (its version 1.1; "
     "version 1.0 has `relu` and `tied`)."),
U64(IN(student, rel_buckets), 4, 1024, 32, "", DECIDES,
    "`t5`: buckets of relative positions, a multiple of 4."),
U64(IN(student, rel_distance_max), 3, 1048576, 128, "tokens", DECIDES,
    "`t5`: distance from which on all positions share a bucket."),
U64(IN(student, seq_len_max), 8, 131072, 512, "tokens", DECIDES,
    "Longest sequence: prompt and target together."),
REAL(IN(student, rope_theta), 1, 1e9, 10000, "", DECIDES, "`llama`: base of the rotary positions."),
REAL(IN(student, norm_eps), 1e-12, 0.1, 1e-6, "", DECIDES, "Epsilon of the RMS norm."),
REAL(IN(student, dropout), 0, 0.9, 0, "", DECIDES, "Dropout."),
BOOL(IN(student, tied), true, DECIDES, "Input and output embeddings are one tensor."),

ENUM(IN(train, preset), preset_names, "step-by-step", DECIDES,
     "What is learned: label and rationale as two tasks, the label alone, or the rationale followed "
     "by the label."),
ENUM(IN(train, mode), mode_names, "sync", DECIDES,
     "How gradients meet. sync: a step begins with the parameters that the one before left; the same "
     "student whoever works. ssp: students go on for `staleness_max` steps with older parameters. "
     "async: as ssp, and each gradient is applied when it arrives."),
ENUM(IN(train, compute), compute_names, "f32", DECIDES,
     "Numbers that the large matrix products of training read. bf16: half the bits, less memory, and "
     "1.7 to 3 times the speed where the processor multiplies them faster than float32 (AMX, most with "
     "AVX512-BF16). bf16x3: nearly as exact as f32, and faster where there is AMX. auto: bf16 "
     "where it is faster."),
REAL(IN(train, alpha), 0, 1, 0.5, "", DECIDES,
     "Weight of the label task in `step-by-step`; the rationale task has 1 - alpha."),
U64(IN(train, steps), 0, 1e9, 0, "steps", DECIDES, "Updates of the weights; 0: from `train.epochs`."),
REAL(IN(train, epochs), 0, 1e6, 3, "", DECIDES,
     "Passes over the labelled records, used when `train.steps` is 0; training then waits for all "
     "labels."),
U64(IN(train, chunk_size), 1, N_BIG, 1000, "examples", DECIDES,
    "Examples of the corpus that are shuffled together in the first pass."),
U64(IN(train, micro_batches), 1, 1024, 2, "", DECIDES,
    "Micro-batches of a step. Fixed, so that results do not depend on the number of workers."),
U64(IN(train, micro_batch_tokens), 16, 1e7, 2048, "tokens", DECIDES, "Largest micro-batch."),
U64(IN(train, records_per_step), 0, 1e7, 0, "records", DECIDES,
    "Records of a step; 0: as many as the tokens allow."),
REAL(IN(train, lr), 1e-12, 10, 0.001, "", DECIDES, "Learning rate at its peak."),
ENUM(IN(train, schedule), schedule_names, "cosine", DECIDES, "How the learning rate falls."),
U64(IN(train, warmup_steps), 0, 1e9, 0, "steps", DECIDES, "Steps in which the learning rate rises."),
REAL(IN(train, flat_share), 0, 1, 0, "", DECIDES, "Share of the steps before the rate falls."),
REAL(IN(train, lr_end_share), 0, 1, 0.1, "", DECIDES, "Learning rate at the end, as a share of `lr`."),
REAL(IN(train, beta1), 0, 0.9999999, 0.9, "", DECIDES, "AdamW: decay of the first moment."),
REAL(IN(train, beta2), 0, 0.9999999, 0.98, "", DECIDES, "AdamW: decay of the second moment."),
REAL(IN(train, eps), 1e-16, 1, 1e-8, "", DECIDES, "AdamW: epsilon."),
REAL(IN(train, weight_decay), 0, 10, 0.01, "", DECIDES, "AdamW: weight decay."),
REAL(IN(train, clip_norm), 0, 1e6, 1, "", DECIDES, "Largest norm of a gradient; 0: off."),
REAL(IN(train, valid_share), 0, 0.9, 0.02, "", DECIDES,
     "Share of the labelled records kept for validation, chosen by id, never trained on."),
U64(IN(train, valid_max), 0, 1e7, 1000, "records", DECIDES,
    "At most so many validation records are scored at once."),
U64(IN(train, eval_every), 0, 1e9, 500, "steps", DECIDES,
    "Steps between validations and checkpoints; 0: only at the end."),
U64(IN(train, checkpoints_kept), 1, 1000, 2, "", FREE, "Checkpoints kept besides the best one."),
ENUM(IN(train, best_by), best_names, "loss", DECIDES,
     "The best checkpoint is the one with the lowest validation loss or the most exact answers."),
U64(IN(train, lookahead_steps), 1, 1000, 8, "steps", FREE,
    "Steps handed out ahead of the version of the weights."),
BOOL(IN(train, tensorboard), true, FREE,
     "Write the curves of `metrics.jsonl` for TensorBoard too, into `<run_dir>/tensorboard`."),
U64(IN(train, staleness_max), 1, 31, 4, "steps", DECIDES,
    "ssp and async: how many versions the parameters may be behind the step that they are used for."),
REAL(IN(train, backup_after), 0, 1e6, 4, "", FREE,
     "A step that takes so many times the median of the last ones: what is missing is given to a second "
     "student, and the first result counts. 0: never."),

LIST(IN(eval, files), "", FREE, "Rows with true answers that the student is scored on. Empty: none."),
ENUM(IN(eval, format), format_names, "auto", FREE, "Format of the files, as in `corpus.format`."),
TEXT(IN(eval, input), "", FREE, "Template of the input. Empty: `corpus.input`."),
TEXT(IN(eval, gold), "", FREE, "Template of the true answer. Empty: `corpus.gold`."),
ENUM(IN(eval, answer_with), answer_with_names, "auto", FREE,
     "The student answers with the label, or writes the rationale first; `auto`: as it was trained."),
U64(IN(eval, max_new_tokens), 1, 32768, 128, "tokens", FREE, "Longest answer."),
U64(IN(eval, batch), 1, 4096, 32, "rows", FREE, "Rows answered together."),
U64(IN(eval, beams), 1, 64, 1, "", FREE,
    "Texts of an answer that are followed side by side (beam search); 1: greedy."),
ENUM(IN(eval, dtype), decode_names, "f32", FREE,
     "What decoding keeps of weights, keys and values; bf16 is up to twice as fast, and not always the "
     "same text."),
REAL(IN(eval, length_penalty), 0, 10, 1, "", FREE,
     "Beams: the text with the largest log-probability / tokens ^ this is the answer; 0: the likeliest."),
U64(IN(eval, rows_max), 0, N_BIG, 0, "rows", FREE, "Score at most so many rows; 0: all."),
BOOL(IN(eval, teacher), false, FREE, "Also ask the teacher about the same rows."),
ENUM(IN(eval, control), control_names, "none", FREE,
     "Also train a control student on the same labels without rationales, and score it."),
U64(IN(eval, control_steps), 0, 1e9, 0, "steps", FREE, "Updates of the control; 0: `train.steps`."),
U64(IN(eval, show), 0, 1000, 3, "examples", FREE, "Examples shown at the end of a run."),

U64(IN(launch, teachers), 0, 1024, 1, "processes", FREE, "Teachers on this machine."),
U64(IN(launch, students), 0, 1024, 1, "processes", FREE, "Students on this machine."),
U64(IN(launch, servers), 1, 256, 1, "processes", FREE, "Shards of the parameter server."),
U64(IN(launch, restarts_max), 0, 100000, 20, "", FREE,
    "Restarts of one process within `launch.restart_window_s`, or without a row or a step in between, "
    "before the run fails."),
U64(IN(launch, restart_window_s), 1, 86400, 60, "s", FREE, "Window in which restarts are counted."),

TEXT(IN(net, coordinator), "", FREE,
     "Endpoint that workers connect to, `tcp://HOST:PORT` or `ipc://PATH`. Empty: the launcher "
     "chooses."),
TEXT(IN(net, coordinator_bind), "", FREE, "Endpoint the coordinator binds. Empty: `net.coordinator`."),
TEXT(IN(net, server_bind), "tcp://127.0.0.1:*", FREE,
     "Endpoint a shard of the parameter server binds; port `*` takes any free one."),
TEXT(IN(net, server_advertise), "", FREE,
     "Endpoint told to the students, `{shard}` replaced by the shard's number. Empty: as bound."),
TEXT(IN(net, http), "", FREE,
     "`ADDRESS:PORT` of statistics and dashboard. Empty: the launcher chooses; `off`: none."),
TEXT(IN(net, http_key_file), "", FREE,
     "File of the keys that may read `net.http`, one a line, sent as a bearer token; read again when it "
     "changes. Needed beyond loopback. `retort stats` and the launcher show its first."),
TEXT(IN(net, keys), "", FREE,
     "Folder of keys by role (`retort keys`): the process's own `ROLE.key`, and `allowed`. Needed beyond "
     "loopback."),
TEXT(IN(net, curve_key_file), "", FREE,
     "In the place of `net.keys`: file of one key pair for all roles (`retort keygen`)."),
ENUM(IN(net, wire), wire_names, "f32", DECIDES,
     "Numbers that gradients and parameters travel as between students and shards. bf16: half the "
     "bytes, rounded to two to three digits on the way; the shards keep float32."),
BOOL(IN(net, shared_memory), true, FREE,
     "Students and shards of one machine read gradients and parameters from each other's memory; "
     "others send them."),
U64(IN(net, spin_us), 0, 10000, 0, "us", FREE,
    "So long a student or shard that waits for the other looks again and again before it blocks. "
    "Worth trying (50) where each process has a processor of its own."),
U64(IN(net, heartbeat_ms), 10, 600000, 500, "ms", FREE, "Time between two signs of life."),
U64(IN(net, dead_after_ms), 100, MS_MAX, 10000, "ms", FREE, "A worker silent for so long is dead."),
U64(IN(net, request_timeout_ms), 10, 3600000, 5000, "ms", FREE,
    "A request not answered for so long is sent again."),
TEXT(IN(net, alive_file), "", FREE,
     "File that a teacher, student or shard writes its signs of life to, about one a second, for "
     "`retort probe`. Each process needs one of its own. Empty: none."),

/* The one setting whose place in the struct does not follow its path. */
{.path = "export.dtype", .key = "dtype", .section = "export",
 .offset = offsetof(config, export_dtype), .type = SETTING_ENUM, .names = dtype_names,
 .default_text = "f32", .unit = "", .help = "Number format of the exported weights."},
};
/* clang-format on */

_Static_assert(RT_COUNT(table) <= SETTINGS_MAX, "raise SETTINGS_MAX");

size_t settings_count(void)
{
    return RT_COUNT(table);
}

const setting *settings_at(size_t i_setting)
{
    RT_ASSERT(i_setting < RT_COUNT(table));
    return &table[i_setting];
}

size_t settings_index(const setting *s)
{
    return (size_t)(s - table);
}

const setting *settings_find(const char *section, const char *key)
{
    for (size_t i = 0; i < RT_COUNT(table); i++)
        if (strcmp(table[i].section, section) == 0 && strcmp(table[i].key, key) == 0)
            return &table[i];
    return NULL;
}

const setting *settings_find_path(const char *path)
{
    for (size_t i = 0; i < RT_COUNT(table); i++)
        if (strcmp(table[i].path, path) == 0) return &table[i];
    return NULL;
}

bool settings_is_section(const char *name)
{
    if (name[0] == '\0') return false;
    for (size_t i = 0; i < RT_COUNT(table); i++)
        if (strcmp(table[i].section, name) == 0) return true;
    return false;
}

rt_status settings_expected(const setting *s, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    switch (s->type) {
    case SETTING_TEXT: return rt_buf_add_text(out, "text", err);
    case SETTING_SECRET: return rt_buf_add_text(out, "file:PATH or ${NAME}", err);
    case SETTING_LIST:
        if (s->names == NULL)
            return rt_buf_add_text(out, "a list of texts such as [\"a\", \"b\"]", err);
        st = rt_buf_add_text(out, "a list of: ", err);
        break;
    case SETTING_BOOL: return rt_buf_add_text(out, "true or false", err);
    case SETTING_U64:
        return rt_buf_printf(out, err, "a whole number from %.0f to %.0f", s->min, s->max);
    case SETTING_DOUBLE:
        return rt_buf_printf(out, err, "a number from %.10g to %.10g", s->min, s->max);
    case SETTING_ENUM: break;
    }
    for (size_t i = 0; st == RT_OK && s->names[i] != NULL; i++)
        st = rt_buf_printf(out, err, "%s%s", i == 0 ? "" : ", ", s->names[i]);
    return st;
}
