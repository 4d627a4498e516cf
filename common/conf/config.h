/* The one settings schema: a YAML file in, a validated struct out.
 *
 *     config *c = NULL;
 *     const char *sets[] = {"train.steps=100", NULL};
 *     if ((st = config_load("retort.yaml", sets, &c, &err)) != RT_OK) ...
 *     printf("%s\n", c->name);
 *     config_free(c);
 *
 * Every setting has name, type, range, default, unit and help in one table (settings.c). The
 * parser, `--set`, `retort config` and docs/config.md all come from it. An unknown key, a wrong
 * type or a value out of range is RT_INVALID with "file:line: key: found ..., expected ...", never
 * a silent clamp. Text "${NAME}" is replaced from the environment inside any string; a *secret*
 * must be written "file:PATH" or "${NAME}" and is never printed.
 *
 * Strings are never NULL after a load (an absent one is ""). Lists are a pointer and a count. Both
 * come from malloc(): a string may be freed and replaced by another one from malloc().
 * Relative paths in the file are relative to the current folder, as for any command.
 */
#ifndef RT_CONF_CONFIG_H
#define RT_CONF_CONFIG_H

#include "common/base/bytes.h"

typedef enum answer_kind {
    ANSWER_CHOICE,   /* one of the choices listed in the input: "(d) math problem" */
    ANSWER_NUMBER,   /* a decimal number; compared by value */
    ANSWER_EQUATION, /* arithmetic such as (84 / 2); compared by value */
    ANSWER_TEXT,     /* free text; compared after trimming */
    ANSWER_CLASS,    /* one of task.classes */
} answer_kind;

typedef enum corpus_format {
    CORPUS_AUTO, /* by file name: .jsonl .json .txt .csv .tsv, each also .gz .zst */
    CORPUS_JSONL,
    CORPUS_TEXT,
    CORPUS_CSV,
    CORPUS_TSV,
} corpus_format;
typedef enum text_unit { TEXT_LINE, TEXT_PARAGRAPH } text_unit;

typedef enum teacher_backend { TEACHER_RECORDED, TEACHER_NATIVE, TEACHER_OPENAI } teacher_backend;
typedef enum teacher_api { API_CHAT, API_COMPLETIONS } teacher_api;
typedef enum max_tokens_field { MAX_TOKENS, MAX_COMPLETION_TOKENS } max_tokens_field;
typedef enum instruction_role {
    INSTRUCTION_AUTO,
    INSTRUCTION_SYSTEM,
    INSTRUCTION_DEVELOPER,
    INSTRUCTION_USER
} instruction_role;
typedef enum prompt_kind { PROMPT_CLASSIC, PROMPT_REASONING } prompt_kind;
typedef enum recorded_match { MATCH_INPUT, MATCH_ID } recorded_match;
typedef enum tokenizer_kind { TOKENIZER_UNIGRAM, TOKENIZER_BPE } tokenizer_kind;
typedef enum student_arch { STUDENT_LLAMA, STUDENT_T5 } student_arch;
typedef enum student_ff_act { FF_AUTO, FF_SWIGLU, FF_RELU, FF_GATED_GELU } student_ff_act;

typedef enum train_preset {
    PRESET_STEP_BY_STEP,    /* predict: -> label (alpha), explain: -> rationale (1 - alpha) */
    PRESET_LABEL_ONLY,      /* predict: -> label */
    PRESET_RATIONALE_FIRST, /* solve: -> rationale, then label */
} train_preset;
typedef enum train_mode { TRAIN_SYNC, TRAIN_SSP, TRAIN_ASYNC } train_mode;
/* As compute_mode of common/nn/compute.h; the student keeps both equal. */
typedef enum train_compute {
    TRAIN_COMPUTE_F32,
    TRAIN_COMPUTE_BF16,
    TRAIN_COMPUTE_BF16X3,
    TRAIN_COMPUTE_AUTO,
} train_compute;
/* As wire_element of common/wire/messages.h; worker/model_shape keeps both equal. */
typedef enum net_wire { NET_WIRE_F32, NET_WIRE_BF16 } net_wire;
typedef enum train_schedule { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE } train_schedule;
typedef enum best_by { BEST_BY_LOSS, BEST_BY_EXACT } best_by;
typedef enum answer_with { ANSWER_AUTO, ANSWER_LABEL, ANSWER_RATIONALE_FIRST } answer_with;
/* What decoding keeps of weights, keys and values. */
typedef enum decode_dtype { DECODE_F32, DECODE_BF16 } decode_dtype;
typedef enum export_dtype { EXPORT_F32, EXPORT_F16, EXPORT_BF16 } export_dtype;
typedef enum control_preset { CONTROL_NONE, CONTROL_LABEL_ONLY } control_preset;

typedef struct text_list {
    char **items;
    unsigned n;
} text_list;

/* What the task is: the label's kind and how a language model marks it. */
typedef struct task_config {
    char *name;           /* enters every example's id; default "task" */
    answer_kind answer;   /* answer */
    text_list classes;    /* for class: the allowed labels */
    text_list markers;    /* text before the label, such as "The answer is"; any of them */
    text_list stop_marks; /* the text is cut at the first of these: run-on into the next example */
    char *label_format;   /* how a label is written after a rationale in a training target:
                              default "{marker} {label}", marker being the first of markers */
} task_config;

typedef struct corpus_config {
    text_list files; /* paths and globs, read in sorted order within a glob */
    corpus_format format;
    text_unit unit;       /* for text: one example a line or a paragraph */
    char *input;          /* template over the row's fields; default "{input}" */
    char *gold;           /* template of the true answer, for evaluation only; "" = none */
    char *source_id;      /* field whose value names the row at its source; "" = none */
    uint64_t rows_max;    /* 0: all */
    double bad_share_max; /* stop when a larger share of rows is malformed */
} corpus_config;

typedef struct teacher_config {
    teacher_backend backend;
    char *name;           /* for the records' meta; default the backend's */
    text_list files;      /* recorded: JSON lines, also .gz .zst */
    recorded_match match; /* recorded: find a row by its rendered input, or by source id */
    char *match_field;    /* recorded: template of the input (or id) in the file's rows */
    char *text_field;     /* recorded: template of the raw model text; default "{teacher_raw}" */
    char *model;          /* native: model folder; openai: its name at the server */
    double temperature;   /* 0: greedy */
    uint64_t top_k;       /* 0: off */
    double top_p;         /* 1: off */
    uint64_t max_new_tokens;
    uint64_t attempts_max; /* tries per example before it is rejected */
    /* openai: where, and what is asked there */
    char *base_url; /* "http://127.0.0.1:8000/v1" */
    teacher_api api;
    char *api_key;        /* secret; "" = none */
    char *api_key_header; /* "Authorization": as a bearer; any other: the key alone */
    max_tokens_field max_tokens_field;
    instruction_role instruction_role;
    text_list stop;
    bool logprobs;
    uint64_t top_logprobs;
    decode_dtype dtype;              /* native */
    uint64_t choices_max;            /* samples of one example in one request */
    char *schema_file;               /* JSON schema of the answer; "" = free text */
    char *label_key, *rationale_key; /* of an answer in JSON */
    char *extra_body;                /* JSON object merged into each request; "" = none */
    bool two_step;                   /* think first, then extract the answer */
    char *think_text, *extract_text;
    /* openai: how hard it is asked */
    uint64_t in_flight_max;
    uint64_t retries_max;
    uint64_t timeout_ms, connect_timeout_ms;
    double hedge_after;        /* times the median latency; 0: off */
    uint64_t breaker_failures; /* in a row; 0: never */
    char *proxy, *proxy_login; /* proxy_login: secret */
    char *ca_file;
    bool tls_verify;
} teacher_config;

/* How a prompt is rendered; apart from the task, because teachers differ in what they need. */
typedef struct prompt_config {
    prompt_kind kind;
    char *instruction;          /* text before everything; "" = none */
    char *exemplars;            /* JSON lines {"input","rationale","label"}; "" = zero-shot */
    char *exemplar_template;    /* over {input} {rationale} {label} */
    char *template;             /* of the question asked; over {input}; default "{input}\n" */
    char *label_given;          /* over {input} {label}: asked where no text is right; "" = never */
    char *separator;            /* between exemplars; default "\n\n" */
    uint64_t max_prompt_tokens; /* 0: the teacher's own limit */
} prompt_config;

typedef enum quality_vote { QUALITY_MAJORITY, QUALITY_WEIGHTED, QUALITY_CLUSTER } quality_vote;

/* How far a teacher's word is trusted: several samples, their vote, filters of rationales. */
typedef struct quality_config {
    uint64_t samples;        /* texts asked for each example */
    uint64_t samples_min;    /* of the first round, when the vote may end early */
    double stop_probability; /* the vote ends early when its leader is ahead so surely; 1: never */
    double temperature;      /* of several samples; teacher.temperature counts for one */
    quality_vote vote;
    double size_weight, logprob_weight; /* for cluster */
    double confidence_min;              /* a vote less sure rejects the row; 0: none */
    text_list note_if;                  /* filters written into meta */
    text_list drop_rationale_if;        /* ... that drop the rationale and keep the label */
    text_list reject_if;                /* ... that make the text count as no answer */
    uint64_t words_min, words_max;      /* of a rationale; 0: no limit */
    double copied_max, leaked_max, repeated_max;
    double boilerplate_share, boilerplate_min; /* judged where the dataset is whole, by chunks */
    char *scorer;                              /* "teacher", or a model folder; "" = none */
    char *scorer_template;                     /* "" = the teacher's own prompt */
    double useful_min;
    bool keep_others; /* texts with another label stand in meta */
} quality_config;

/* A second teacher for what the first is not sure of. */
typedef struct escalate_config {
    char *config; /* YAML file with the second teacher's sections; "" = none */
    bool when_rejected;
    double when_confidence_below; /* 0: never */
    double expected_share;        /* of the rows: only --dry-run reads it */
} escalate_config;

typedef struct label_config {
    uint64_t shard_size; /* examples a lease carries */
    uint64_t lease_ms;
    uint64_t deaths_max;       /* of a shard's teachers, then of one example's; 0: no end */
    double rejected_share_max; /* stop when a larger share of a run's rows is rejected; 1: never */
    uint64_t smoke_rows;       /* go first, before the rest; 0: no smoke phase */
    double smoke_rejected_share_max;
} label_config;

/* Answers that were paid for, shared by runs. */
typedef struct cache_config {
    char *dir; /* "" = .answers beside the folder of the run; "off": none */
} cache_config;

/* What all teachers of a run share: see docs/costs.md. 0: no limit, free. */
typedef struct limits_config {
    uint64_t in_flight_max;
    uint64_t requests_per_minute;
    uint64_t tokens_per_minute; /* prompt and completion */
    double budget;
    char *currency;                                       /* for people */
    double price_input, price_cached_input, price_output; /* per million tokens */
} limits_config;

typedef struct queue_config {
    char *url;      /* redis://HOST:PORT or unix:PATH; "" = the launcher starts one */
    char *user;     /* of Redis' ACL; "" = its default user */
    char *password; /* secret */
    char *ca_file, *cert_file, *key_file; /* of rediss://; "" = the system's, none */
    uint64_t labels_max;                  /* records in the stream LABELS before teachers wait */
    uint64_t batches_max;    /* micro-batches in the stream BATCHES before the coordinator waits */
    uint64_t deliveries_max; /* an entry delivered more often goes to the dead stream */
    uint64_t claim_ms;       /* an entry idle longer than this is claimed by another worker */
} queue_config;

typedef struct tokenizer_config {
    char *model; /* an existing sentencepiece model; "" = train one */
    tokenizer_kind kind;
    uint64_t vocab_size;
    bool byte_fallback;
    bool split_digits;
    bool lowercase;
    uint64_t sample_max; /* sentences used for training; 0: all */
} tokenizer_config;

typedef struct student_config {
    char *preset; /* shape by name, see student_preset.h; "" = none */
    student_arch arch;
    char *init_from; /* model folder to start from; "" = random weights */
    uint64_t d_model, n_layers, n_heads, n_kv_heads /* 0: n_heads */,
        d_head /* 0: d_model/n_heads */;
    uint64_t n_decoder_layers; /* 0: n_layers */
    uint64_t d_ff;
    uint64_t layer_groups, d_embed; /* 0: off */
    student_ff_act ff_act;
    uint64_t rel_buckets, rel_distance_max;
    uint64_t seq_len_max;
    double rope_theta, norm_eps, dropout;
    bool tied;
} student_config;

typedef struct train_config {
    train_preset preset;
    train_mode mode;
    uint64_t staleness_max; /* ssp, async: versions that a student may be behind its step */
    double backup_after;    /* times the median of a step; 0: never */
    train_compute compute;
    double alpha;           /* weight of the label task in step-by-step */
    uint64_t steps;         /* updates; 0: from epochs */
    double epochs;          /* used when steps is 0; training then waits for all labels */
    uint64_t chunk_size;    /* examples of the corpus in a chunk of the first pass */
    uint64_t micro_batches; /* per step; fixed, so results do not depend on the workers */
    uint64_t micro_batch_tokens;
    uint64_t records_per_step; /* 0: as many as the token budget holds */
    double lr;
    train_schedule schedule;
    uint64_t warmup_steps;
    double flat_share; /* share of the steps before the decay begins */
    double lr_end_share;
    double beta1, beta2, eps, weight_decay;
    double clip_norm;          /* 0: off */
    double valid_share;        /* of labelled records, chosen by id, never trained on */
    uint64_t valid_max;        /* at most so many validation records are evaluated at once */
    uint64_t eval_every;       /* steps; also when checkpoints are cut; 0: only at the end */
    uint64_t checkpoints_kept; /* besides the best one */
    best_by best_by;
    uint64_t lookahead_steps; /* steps published ahead of the version */
    bool tensorboard;         /* event files beside metrics.jsonl */
} train_config;

typedef struct eval_config {
    text_list files; /* gold rows; "" = none */
    corpus_format format;
    char *input;             /* "" = corpus.input */
    char *gold;              /* "" = corpus.gold */
    answer_with answer_with; /* auto: as the preset trains */
    uint64_t max_new_tokens;
    uint64_t batch;
    uint64_t beams; /* 1: greedy */
    decode_dtype dtype;
    double length_penalty;  /* of beams: score = log-probability / length ^ this */
    uint64_t rows_max;      /* 0: all */
    bool teacher;           /* also ask the teacher on the same rows */
    control_preset control; /* also train and score a control with the same labels */
    uint64_t control_steps; /* 0: train.steps */
    uint64_t show;          /* examples shown at the end of a run */
} eval_config;

typedef struct launch_config {
    uint64_t teachers, students, servers; /* processes on this machine */
    uint64_t restarts_max;                /* per child within restart_window_s */
    uint64_t restart_window_s;
} launch_config;

typedef struct net_config {
    char *coordinator;      /* endpoint workers connect to; "" = the launcher chooses */
    char *coordinator_bind; /* endpoint the coordinator binds; "" = the same */
    char *server_bind;      /* endpoint a shard binds; "tcp://127.0.0.1:*" takes any free port */
    char *server_advertise; /* endpoint told to students, {shard} replaced; "" = as bound */
    char *http;             /* address:port of stats; "" = the launcher chooses; "off" */
    char *http_key_file;    /* keys that may read it, one a line; needed beyond loopback */
    char *keys;             /* folder of keys by role; this or the next is needed beyond loopback */
    char *curve_key_file;   /* secret file of one key pair for all */
    net_wire wire;
    bool shared_memory; /* gradients and parameters between processes of one machine */
    uint64_t spin_us;   /* a waiter looks again for so long before it blocks */
    uint64_t heartbeat_ms;
    uint64_t dead_after_ms; /* a silent worker is dead */
    uint64_t request_timeout_ms;
    char *alive_file; /* a worker's sign of life for `retort probe`; "": none */
} net_config;

typedef struct config {
    char *name;
    char *run_dir; /* "" = runs/<name> */
    uint64_t seed;
    uint64_t threads; /* per student or teacher process */
    task_config task;
    corpus_config corpus;
    teacher_config teacher;
    prompt_config prompt;
    quality_config quality;
    escalate_config escalate;
    label_config label;
    cache_config cache;
    limits_config limits;
    queue_config queue;
    tokenizer_config tokenizer;
    student_config student;
    train_config train;
    eval_config eval;
    launch_config launch;
    net_config net;
    export_dtype export_dtype;
} config;

/* Load, override, fill defaults, expand, check. `sets` is "key.path=value" texts ending with NULL,
 * or NULL. Returns new; freed with config_free(). */
RT_MUST_USE rt_status config_load(const char *path, const char *const *sets, config **out,
                                  rt_error *err);
/* The same from text; `name` is used in messages. */
RT_MUST_USE rt_status config_parse(const char *name, const char *yaml, size_t n_yaml,
                                   const char *const *sets, config **out, rt_error *err);
void config_free(config *c);
/* What labels needs a corpus: RT_INVALID when corpus.files is empty. (Training from an existing
 * dataset does without.) */
RT_MUST_USE rt_status config_check_corpus(const config *c, rt_error *err);

/* The config of the second teacher, as escalate.config names it: *base with the sections of that
 * file in the place of its own. The file holds `teacher`, and may hold `prompt`, `quality` and, in
 * `limits`, prices; what it leaves out of a section, or of the prices, has its default. RT_INVALID for
 * anything else. Returns new; config_free(). */
RT_MUST_USE rt_status config_load_second(const config *base, config **out, rt_error *err);

/* Resolved settings as YAML in schema order; secrets are left out ("file:..." and "${...}" stay as
 * written). What it prints loads again to an equal config. */
RT_MUST_USE rt_status config_print(const config *c, rt_buf *out, rt_error *err);
/* Markdown reference of every setting: docs/config.md. */
RT_MUST_USE rt_status config_reference(rt_buf *out, rt_error *err);
/* Hash over the settings that decide the student (those marked in docs/config.md: seed, task,
 * corpus, teacher, prompt, shard size, tokenizer, student, train), not over names of machines or
 * numbers of workers. A run directory refuses to go on with another one. */
RT_MUST_USE rt_status config_fingerprint(const config *c, char out[33], rt_error *err);
/* Whether there is a limit or a price that teachers share through the coordinator. */
bool config_has_limits(const config *c);
/* The password of the queue as it is now; `config` is a struct config. Of the form that
 * common/queue/login.h wants. */
RT_MUST_USE rt_status config_queue_password(const void *config, rt_buf *out, rt_error *err);
/* Value of a secret setting (queue.password): the first line of the file, or the environment
 * variable; empty when nothing is written. No message holds it. */
RT_MUST_USE rt_status config_secret(const char *setting, const char *written, rt_buf *out,
                                    rt_error *err);

#endif
