#include "cli/init_text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/nearest.h"

const char *const init_tasks[] = {"class", "choice", "number", "text", NULL};
const char *const init_teachers[] = {"recorded", "native", "openai", NULL};

/* What belongs to one kind of label. */
typedef struct task_text {
    answer_kind kind;
    const char *task;        /* lines of the section, behind name and answer */
    const char *input;       /* corpus.input */
    const char *rows;        /* a row that it reads */
    const char *instruction; /* of a prompt without worked examples, and above them */
    const char *exemplar;    /* exemplar_template */
    const char *question;    /* template */
    const char *lines;       /* of the file of worked examples */
} task_text;

static const task_text texts[] = {
    {ANSWER_CLASS,
     "  classes: [positive, neutral, negative]   # the allowed labels: put yours here\n"
     "  markers: [\"Answer:\"]       # what stands before the label in the teacher's text\n",
     "{input}", "{\"input\": \"The room was clean and quiet.\"}",
     "Say whether the text is positive, neutral or negative. First explain in a sentence or two, then "
     "write \\\"Answer:\\\" and the one word.",
     "Text: {input}\\n{rationale} Answer: {label}", "Text: {input}\\n",
     "{\"input\":\"The room was clean, quiet and cheaper than we had expected.\",\"rationale\":"
     "\"The guest praises the room and its price and complains about nothing.\",\"label\":"
     "\"positive\"}\n"
     "{\"input\":\"We waited an hour for cold soup, and nobody said sorry.\",\"rationale\":"
     "\"A long wait, cold food and no apology are three complaints.\",\"label\":\"negative\"}\n"
     "{\"input\":\"The museum opens at nine and closes at five.\",\"rationale\":"
     "\"The text states opening hours and judges nothing.\",\"label\":\"neutral\"}\n"},
    {ANSWER_CHOICE,
     "  markers: [\"So the answer is\"]   # what stands before the label in the teacher's text\n",
     "{question}\\nAnswer Choices:\\n{choices}",
     "{\"question\": \"Where do fish live?\", \"choices\": [\"trees\", \"water\"]}",
     "Answer the question. First explain in a sentence or two, then write \\\"So the answer is\\\" and "
     "the choice with its letter.",
     "Q: {input}\\nA: {rationale} So the answer is {label}.", "Q: {input}\\nA:",
     "{\"input\":\"What do people use to absorb extra ink from a pen?\\nAnswer Choices:\\n(a) shirt "
     "pocket\\n(b) blotter\\n(c) inkwell\",\"rationale\":\"It must soak up ink. A blotter is made of "
     "paper that does just that.\",\"label\":\"(b) blotter\"}\n"
     "{\"input\":\"Where would you put a coat that you do not wear now?\\nAnswer Choices:\\n(a) oven\\n"
     "(b) swimming pool\\n(c) closet\",\"rationale\":\"Clothes are kept dry and out of the way. Of the "
     "three, only a closet is for clothes.\",\"label\":\"(c) closet\"}\n"},
    {ANSWER_NUMBER,
     "  markers: [\"The answer is\"]   # what stands before the label in the teacher's text\n",
     "{input}", "{\"input\": \"Ann has 3 keys and finds 4. How many now?\"}",
     "Solve the problem. Write the steps first, then \\\"The answer is\\\" and the number.",
     "Q: {input}\\nA: {rationale} The answer is {label}.", "Q: {input}\\nA:",
     "{\"input\":\"There are 15 trees in the grove. After more were planted there are 21. How many "
     "were planted?\",\"rationale\":\"There were 15 trees and there are 21 now. 21 - 15 = 6 were "
     "planted.\",\"label\":\"6\"}\n"
     "{\"input\":\"A box holds 12 eggs. How many eggs are in 4 boxes when 3 are broken and thrown "
     "away?\",\"rationale\":\"4 boxes hold 4 * 12 = 48 eggs. Without the 3 broken ones 48 - 3 = 45 are "
     "left.\",\"label\":\"45\"}\n"},
    {ANSWER_TEXT,
     "  markers: [\"Answer:\"]       # what stands before the label in the teacher's text\n",
     "{input}", "{\"input\": \"Which planet is nearest to the sun?\"}",
     "Answer the question. First explain in a sentence or two, then write \\\"Answer:\\\" and the answer "
     "on one line.",
     "Q: {input}\\n{rationale} Answer: {label}", "Q: {input}\\n",
     "{\"input\":\"Which planet is nearest to the sun?\",\"rationale\":\"From the sun outwards the "
     "planets are Mercury, Venus, Earth and so on, so Mercury comes first.\",\"label\":\"Mercury\"}\n"
     "{\"input\":\"What do bees collect to make honey?\",\"rationale\":\"Bees visit flowers, drink their "
     "nectar and thicken it in the hive; that is honey.\",\"label\":\"nectar\"}\n"},
};

static const task_text *find_text(answer_kind kind)
{
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        if (texts[i].kind == kind) return &texts[i];
    return NULL;
}

static rt_status find_name(const char *what, const char *name, const char *const *names,
                           size_t *i_name, rt_error *err)
{
    rt_buf all = {0};
    rt_status st = RT_OK;
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) {
            *i_name = i;
            goto out;
        }
        if (st == RT_OK) st = rt_buf_printf(&all, err, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    const char *nearest = name_nearest(name, names);
    if (st == RT_OK)
        st = rt_fail(err, RT_INVALID, "%s: found '%.100s', expected one of %s%s%s%s", what, name,
                     all.data, nearest != NULL ? "; did you mean " : "",
                     nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
out:
    rt_buf_free(&all);
    return st;
}

rt_status init_find_task(const char *name, answer_kind *out, rt_error *err)
{
    size_t i = 0;
    rt_status st = find_name("--task", name, init_tasks, &i, err);
    if (st == RT_OK) *out = texts[i].kind;
    return st;
}

rt_status init_find_teacher(const char *name, const char **out, rt_error *err)
{
    size_t i = 0;
    rt_status st = find_name("--teacher", name, init_teachers, &i, err);
    if (st == RT_OK) *out = init_teachers[i];
    return st;
}

bool init_has_exemplars(const init_choice *choice)
{
    return strcmp(choice->teacher, "recorded") != 0;
}

/* `before`, the text quoted as JSON does, which YAML reads alike, `after`. */
static rt_status add_quoted(rt_buf *out, const char *before, const char *text, const char *after,
                            rt_error *err)
{
    json_t *value = json_string(text);
    char *quoted = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    rt_status st = quoted == NULL ? rt_fail(err, RT_INVALID, "'%.100s' is not valid UTF-8", text)
                                  : rt_buf_printf(out, err, "%s%s%s\n", before, quoted, after);
    free(quoted);
    json_decref(value);
    return st;
}

static rt_status add_task(rt_buf *out, const init_choice *choice, const task_text *t, rt_error *err)
{
    rt_status st = rt_buf_printf(
        out, err,
        "# Settings of a run: docs/config.md and `retort config reference` explain all of them.\n"
        "# What is marked (!) decides the student: a run folder refuses to go on when it changes.\n");
    if (st == RT_OK) st = add_quoted(out, "name: ", choice->name, "", err);
    if (st == RT_OK)
        st = rt_buf_printf(out, err,
                           "seed: 1                      # (!)\n\n"
                           "task:                        # (!) what is asked\n");
    if (st == RT_OK) st = add_quoted(out, "  name: ", choice->name, "", err);
    if (st == RT_OK)
        st = rt_buf_printf(out, err, "  answer: %s\n%s", init_tasks[t - texts], t->task);
    if (st == RT_OK && init_has_exemplars(choice))
        st = rt_buf_printf(out, err,
                           "  stop_marks: [\"\\n\\n%s\"]      # the teacher runs on into a next "
                           "question: cut there\n",
                           t->kind == ANSWER_CLASS ? "Text:" : "Q:");
    if (st == RT_OK)
        st = rt_buf_printf(out, err, "\ncorpus:                      # (!) what is labelled\n");
    if (st == RT_OK)
        st = add_quoted(out, "  files: [", choice->corpus,
                        "]   # paths and globs: .jsonl .csv .tsv .txt, each also .gz .zst", err);
    if (st == RT_OK)
        st = rt_buf_printf(
            out, err,
            "  # A row is %s\n"
            "  input: \"%s\"\n"
            "  # gold: \"{answer}\"         # the true answer where a row has one: scores the "
            "teacher, trains nobody\n",
            t->rows, t->input);
    return st;
}

static const char *model_of(const init_choice *choice)
{
    if (choice->model[0] != '\0') return choice->model;
    return strcmp(choice->teacher, "native") == 0 ? "models/teacher" : "gpt-4o-mini";
}

static rt_status add_teacher(rt_buf *out, const init_choice *choice, const task_text *t,
                             rt_error *err)
{
    rt_status st = rt_buf_printf(out, err,
                                 "\nteacher:                     # (!) where labels come from\n"
                                 "  backend: %s\n",
                                 choice->teacher);
    if (st != RT_OK) return st;
    if (strcmp(choice->teacher, "recorded") == 0)
        return rt_buf_printf(
            out, err,
            "  files: [%s]     # rows like the corpus', with what the teacher wrote as "
            "\"teacher_raw\"\n"
            "  match: input               # a row's text is found by the rendered input, or by id\n"
            "  # Over the fields of these files; renders as corpus.input does:\n"
            "  match_field: \"%s\"\n"
            "  text_field: \"{teacher_raw}\"\n",
            INIT_RECORDED_FILE, t->input);
    if (strcmp(choice->teacher, "openai") == 0) {
        st = rt_buf_add_text(
            out,
            "  base_url: https://api.openai.com/v1   # or your own server: "
            "http://127.0.0.1:8000/v1\n"
            "  api_key: ${OPENAI_API_KEY}   # or file:PATH; the key itself never stands here\n",
            err);
        if (st == RT_OK) st = add_quoted(out, "  model: ", model_of(choice), "", err);
    } else {
        st = add_quoted(out, "  model: ", model_of(choice),
                        "   # folder with config.json, model.safetensors, tokenizer.model", err);
    }
    if (st == RT_OK)
        st = rt_buf_add_text(
            out,
            "  temperature: 0             # greedy; a failed text is asked for again "
            "warmer\n"
            "  max_new_tokens: 256        # rationale and label must fit\n"
            "  attempts_max: 2            # then the row is rejected with its reason\n",
            err);
    return st;
}

static rt_status add_prompt(rt_buf *out, const init_choice *choice, const task_text *t,
                            rt_error *err)
{
    if (!init_has_exemplars(choice)) return RT_OK;
    return rt_buf_printf(
        out, err,
        "\nprompt:                      # (!) how it is asked; `retort run --dry-run` shows it\n"
        "  instruction: \"%s\"\n"
        "  exemplars: %s    # worked examples; replace them by yours, three to eight\n"
        "  exemplar_template: \"%s\"\n"
        "  template: \"%s\"\n",
        t->instruction, INIT_EXEMPLARS_FILE, t->exemplar, t->question);
}

static rt_status add_label(rt_buf *out, const init_choice *choice, rt_error *err)
{
    rt_status st = rt_buf_add_text(
        out,
        "\nlabel:\n"
        "  shard_size: 50             # (!) rows that a teacher takes at once\n"
        "  rejected_share_max: 0.2    # stop when more of the rows come without a usable label\n",
        err);
    if (st == RT_OK && strcmp(choice->teacher, "openai") == 0)
        st = rt_buf_add_text(
            out,
            "\n# What may be sent and spent, all teachers together. Prices are per million tokens.\n"
            "# limits: {requests_per_minute: 500, price_input: 0.15, price_output: 0.6, budget: 5}\n",
            err);
    return st;
}

static rt_status add_student(rt_buf *out, rt_error *err)
{
    return rt_buf_add_text(
        out,
        "\ntokenizer:                   # (!) trained on your corpus and the rationales\n"
        "  vocab_size: 2000           # smaller for a small corpus\n"
        "\n"
        "student:                     # (!) a small one, for a start\n"
        "  d_model: 128\n"
        "  n_layers: 4\n"
        "  n_heads: 4\n"
        "  d_ff: 384\n"
        "  seq_len_max: 512           # the longest row in tokens, rationale included\n"
        "\n"
        "train:                       # (!)\n"
        "  preset: step-by-step       # label and rationale as two tasks; or rationale-first, "
        "label-only\n"
        "  epochs: 3                  # or steps: N, to train while rows are still labelled\n"
        "  records_per_step: 32\n"
        "  micro_batch_tokens: 2048\n"
        "  lr: 0.001\n"
        "  eval_every: 200            # steps between validations and checkpoints\n"
        "\n"
        "# eval:                      # rows with true answers that the student is scored on\n"
        "#   files: [test.jsonl]\n"
        "#   gold: \"{answer}\"\n"
        "\n"
        "launch:                      # processes on this machine\n"
        "  teachers: 1\n"
        "  students: 1\n",
        err);
}

rt_status init_config(const init_choice *choice, rt_buf *out, rt_error *err)
{
    const task_text *t = find_text(choice->task);
    if (t == NULL) return rt_fail(err, RT_UNSUPPORTED, "no config for this kind of task");
    rt_status st = add_task(out, choice, t, err);
    if (st == RT_OK) st = add_teacher(out, choice, t, err);
    if (st == RT_OK) st = add_prompt(out, choice, t, err);
    if (st == RT_OK) st = add_label(out, choice, err);
    return st == RT_OK ? add_student(out, err) : st;
}

rt_status init_exemplars(const init_choice *choice, rt_buf *out, rt_error *err)
{
    const task_text *t = find_text(choice->task);
    if (t == NULL) return rt_fail(err, RT_UNSUPPORTED, "no worked examples for this kind of task");
    return rt_buf_add_text(out, t->lines, err);
}
