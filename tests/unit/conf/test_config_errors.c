/* Each class of error, with the whole beginning of its message: file, line, setting, what was
 * found, what was expected. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/config.h"
#include "common/conf/document.h"

#define SMALLEST                   \
    "corpus: {files: [q.jsonl]}\n" \
    "teacher: {files: [a.jsonl], match_field: \"{input}\"}\n"

#define OPENAI                     \
    "corpus: {files: [q.jsonl]}\n" \
    "teacher: {backend: openai, base_url: \"http://h/v1\", model: m}\n"

typedef struct error_case {
    char yaml[400]; /* values, not pointers: Criterion runs each case in a process of its own */
    char set[160];
    char begins[200];
    char contains[120];
} error_case;

static void expect_error(const error_case *k)
{
    const char *sets[] = {k->set[0] != '\0' ? k->set : NULL, NULL};
    rt_error err = {0};
    config *c = NULL;
    rt_status st = config_parse("t.yaml", k->yaml, strlen(k->yaml), sets, &c, &err);
    cr_expect_eq(st, RT_INVALID, "%s%s: got %s", k->yaml, k->set, rt_status_name(st));
    cr_expect_null(c, "written on failure");
    cr_expect_eq(strncmp(err.text, k->begins, strlen(k->begins)), 0, "%s%s\nsays   %s\nnot... %s",
                 k->yaml, k->set, err.text, k->begins);
    cr_expect_not_null(strstr(err.text, k->contains), "'%s' lacks '%s'", err.text, k->contains);
    if (st == RT_OK) config_free(c);
}

static error_case bad_settings[] = {
    /* names */
    {SMALLEST "\ntrian:\n  steps: 3\n", "", "t.yaml:4: trian: unknown setting",
     "did you mean train?"},
    {SMALLEST "train:\n  stepz: 3\n", "", "t.yaml:4: train.stepz: unknown setting",
     "did you mean train.steps?"},
    {SMALLEST "steps: 3\n", "", "t.yaml:3: steps: unknown setting", "did you mean train.steps?"},
    {SMALLEST "train: {zzzzzz: 3}\n", "", "t.yaml:3: train.zzzzzz: unknown setting",
     "known here: preset, mode, compute, alpha"},
    {"name: a\nseed: 1\nname: b\n", "", "t.yaml:3: name: given twice, first on line 1", ""},
    {SMALLEST "train: {steps: 1}\n\ntrain: {lr: 1}\n", "",
     "t.yaml:5: train: given twice, first on line 3", ""},
    {SMALLEST "train:\n  lr: 0.1\n  lr: 0.1\n", "",
     "t.yaml:5: train.lr: given twice, first on line 4", ""},
    {"[a]: 3\n", "", "t.yaml:1: found a list where the name of a setting was expected", ""},
    /* limits */
    {SMALLEST, "limits.currency=US$", "--set limits.currency: found 'US$', expected 1 to 8", ""},
    {SMALLEST, "limits.budget=5", "--set limits.budget: found 5 without a price", "price_input"},
    {SMALLEST "limits: {tokens_per_minute: 100}\n", "",
     "t.yaml:3: limits.tokens_per_minute: found 100, expected more than", "(128)"},
    {SMALLEST "quality:\n  note_if: [repeets]\n", "",
     "t.yaml:4: quality.note_if: found 'repeets', expected a list of: no_rationale, too_short",
     "did you mean repeats?"},
    {SMALLEST "quality: {reject_if: [wrong_label]}\n", "",
     "t.yaml:3: quality.reject_if: found wrong_label, which needs the true answers", ""},
    {SMALLEST "quality: {words_min: 9, words_max: 8}\n", "",
     "t.yaml:3: quality.words_max: found 8, expected at least quality.words_min (9)", ""},
    {SMALLEST "escalate: {config: x, when_rejected: false}\n", "",
     "t.yaml:3: escalate.when_rejected: found false", ""},
    {SMALLEST "escalate: {config: x, when_confidence_below: 0.5}\n", "",
     "t.yaml:3: escalate.when_confidence_below: found 0.5, but quality.samples is 1", ""},
    /* types */
    {SMALLEST "seed: abc\n", "",
     "t.yaml:3: seed: found 'abc', expected a whole number from 0 to 9007199254740991", ""},
    {SMALLEST "seed: 1.5\n", "", "t.yaml:3: seed: found '1.5', expected a whole number", ""},
    {SMALLEST "seed: -1\n", "", "t.yaml:3: seed: found '-1', expected a whole number", ""},
    {SMALLEST "seed: [1]\n", "", "t.yaml:3: seed: found a list, expected a whole number", ""},
    {SMALLEST "seed: {a: 1}\n", "", "t.yaml:3: seed: found a mapping, expected", ""},
    {SMALLEST "seed:\n", "", "t.yaml:3: seed: found no value, expected one", ""},
    {SMALLEST "name: ~\n", "", "t.yaml:3: name: found no value, expected one", "empty text"},
    {SMALLEST "train: 3\n", "", "t.yaml:3: train: found a text, expected settings below it", ""},
    {SMALLEST "train: {lr: fast}\n", "", "t.yaml:3: train.lr: found 'fast', expected a number",
     "from 1e-12 to 10"},
    {SMALLEST "train: {lr: .nan}\n", "", "t.yaml:3: train.lr: found '.nan', expected", ""},
    {SMALLEST "train: {lr: nan}\n", "", "t.yaml:3: train.lr: found 'nan', expected", ""},
    {SMALLEST "tokenizer: {lowercase: yes}\n", "",
     "t.yaml:3: tokenizer.lowercase: found 'yes', expected true or false", ""},
    {SMALLEST "task: {answer: nummer}\n", "",
     "t.yaml:3: task.answer: found 'nummer', expected choice, number, equation, text, class",
     "did you mean number?"},
    {SMALLEST "task:\n  markers: So\n", "",
     "t.yaml:4: task.markers: found the text 'So', expected a list of texts", "[\"a\", \"b\"]"},
    {SMALLEST "task:\n  markers: [a, [b]]\n", "", "t.yaml:4: task.markers: found a list", ""},
    {SMALLEST "task:\n  markers: [a, \"\"]\n", "", "t.yaml:4: task.markers: item 2 is empty", ""},
    /* ranges */
    {SMALLEST "threads: 0\n", "",
     "t.yaml:3: threads: found '0', expected a whole number from 1 to 256", ""},
    {SMALLEST "threads: 257\n", "", "t.yaml:3: threads: found '257', expected", ""},
    {SMALLEST "seed: 99999999999999999999\n", "",
     "t.yaml:3: seed: found '99999999999999999999', expected", ""},
    {SMALLEST "train:\n  alpha: 1.01\n", "",
     "t.yaml:4: train.alpha: found '1.01', expected a number from 0 to 1", ""},
    /* shape of the file */
    {"", "", "t.yaml: the file is empty", "name: my-run"},
    {"# nothing\n", "", "t.yaml: the file is empty", ""},
    {"---\n", "", "t.yaml:", "the file is empty"},
    {"just a text\n", "", "t.yaml:1: found a text, expected settings", ""},
    {"- a\n", "", "t.yaml:1: found a list, expected settings", ""},
    {SMALLEST "train:\n\tsteps: 3\n", "", "t.yaml:4: not YAML", "tab, use spaces"},
    {SMALLEST "name: \"open\n", "", "t.yaml:", "not YAML"},
    {SMALLEST "---\nname: b\n", "", "t.yaml:3: found a second document", ""},
    {SMALLEST "name: &a b\nrun_dir: *a\n", "", "t.yaml:4: found an alias", "not allowed"},
    {SMALLEST "name: !!str b\n", "", "t.yaml:3: name: found a tag", ""},
    {SMALLEST "name: \"a\\0b\"\n", "", "t.yaml:3: name: found a NUL character", ""},
    {SMALLEST "name: a\n# \xff\n", "", "t.yaml:4: found the byte 0xff, expected UTF-8", ""},
    {SMALLEST "# \xed\xa0\x80\n", "", "t.yaml:3: found the byte 0xed, expected UTF-8", ""},
    {"a: {a: {a: {a: 1}}}\n", "", "t.yaml:1: a: unknown setting", ""},
    /* --set */
    {SMALLEST, "train.stepz=3", "--set train.stepz: unknown setting; did you mean train.steps?",
     ""},
    {SMALLEST, "trian.steps=3", "--set trian: unknown setting; did you mean train?", ""},
    {SMALLEST, "train=3", "--set train: a section, expected a setting in it: train.KEY", ""},
    {SMALLEST, "train.steps", "--set train.steps: expected KEY=VALUE", ""},
    {SMALLEST, "=3", "--set : expected KEY=VALUE", ""},
    {SMALLEST "seed: 1\n", "seed=x", "--set seed: found 'x', expected a whole number", ""},
    {SMALLEST, "corpus.files=a", "--set corpus.files: found 'a', expected a list of texts", ""},
    {SMALLEST, "corpus.files=[a", "--set corpus.files: found '[a', expected a list", ""},
    {SMALLEST, "corpus.files=[]", "--set corpus.files: found none, expected at least one", ""},
    {SMALLEST, "name=\xff", "--set name: byte 1 of the value is not UTF-8", ""},
    /* environment and secrets */
    {SMALLEST "name: ${RT_TEST_UNSET}\n", "",
     "t.yaml:3: name: the environment variable RT_TEST_UNSET is not set", "$${"},
    {SMALLEST "run_dir: \"${a b}\"\n", "", "t.yaml:3: run_dir: found ${ without", "${NAME}"},
    {SMALLEST "queue:\n  password: hunter2\n", "",
     "t.yaml:4: queue.password: expected file:PATH or ${NAME}", "not the secret itself"},
};

ParameterizedTestParameters(config_errors, names_line_and_setting)
{
    return cr_make_param_array(error_case, bad_settings, RT_COUNT(bad_settings));
}
ParameterizedTest(error_case *k, config_errors, names_line_and_setting)
{
    unsetenv("RT_TEST_UNSET");
    expect_error(k);
}

ParameterizedTestParameters(config_errors, refuses_settings_that_do_not_fit_together)
{
    static error_case cases[] = {
        {"corpus: {files: [q]}\n", "", "t.yaml: teacher.files: found none", "recorded"},
        {"corpus: {files: [q]}\nteacher: {files: [a]}\n", "", "t.yaml: teacher.match_field: found",
         "input"},
        {"teacher: {files: [a], match_field: x}\n", "", "t.yaml: corpus.files: found none", ""},
        {SMALLEST, "teacher.backend=native", "t.yaml: teacher.model: found nothing", "native"},
        {OPENAI, "teacher.model=", "--set teacher.model: found nothing", "openai"},
        {OPENAI, "teacher.base_url=", "--set teacher.base_url: found ''", "http://HOST:PORT"},
        {OPENAI, "teacher.base_url=http://u:secret@h/v1", "--set teacher.base_url: found a user",
         "teacher.api_key"},
        {OPENAI, "teacher.proxy=h:80", "--set teacher.proxy: found 'h:80', expected http", ""},
        {OPENAI, "teacher.api_key=sk-1", "--set teacher.api_key: expected file:PATH", ""},
        {OPENAI, "teacher.api_key_header=a b", "--set teacher.api_key_header: expected the name",
         ""},
        {OPENAI, "teacher.top_logprobs=3", "--set teacher.top_logprobs: found 3", "logprobs: true"},
        {OPENAI "prompt: {kind: reasoning}\n", "teacher.two_step=true",
         "--set teacher.two_step: found true", "thinks by itself"},
        {SMALLEST, "teacher.match=id", "t.yaml: corpus.source_id: found nothing", ""},
        {SMALLEST "task: {answer: number}\n", "", "t.yaml: task.markers: found none", ""},
        {SMALLEST "task: {answer: class, markers: [x]}\n", "", "t.yaml: task.classes: found none",
         ""},
        {SMALLEST "student:\n  d_head: 33\n", "", "t.yaml:4: student.d_head: a head is 33 wide",
         "even"},
        {SMALLEST "student:\n  ff_act: relu\n", "", "t.yaml:4: student.ff_act", "swiglu for llama"},
        {SMALLEST "student:\n  arch: t5\n  n_kv_heads: 4\n", "", "t.yaml:5: student.n_kv_heads",
         "every head"},
        {SMALLEST "student:\n  arch: t5\n  ff_act: swiglu\n", "", "t.yaml:5: student.ff_act",
         "gated-gelu"},
        {SMALLEST "student:\n  arch: t5\n  rel_buckets: 30\n", "",
         "t.yaml:5: student.rel_buckets: found 30", "multiple of 4"},
        {SMALLEST "student:\n  arch: t5\n  rel_distance_max: 16\n", "",
         "t.yaml:5: student.rel_distance_max: found 16", "(32)"},
        {SMALLEST "student:\n  d_model: 100\n", "", "t.yaml:4: student.d_model: found 100", "(8)"},
        {SMALLEST "student:\n  n_kv_heads: 3\n", "", "t.yaml:4: student.n_kv_heads: found 3",
         "divisor"},
        {SMALLEST "train: {steps: 10, warmup_steps: 11}\n", "",
         "t.yaml:3: train.warmup_steps: found 11, expected at most train.steps (10)", ""},
        {SMALLEST "train: {epochs: 0}\n", "", "t.yaml:3: train.epochs: found 0", ""},
        {SMALLEST "train: {micro_batch_tokens: 64}\n", "",
         "t.yaml:3: train.micro_batch_tokens: found 64, expected at least", "(512)"},
        {SMALLEST, "name=Run", "--set name: found 'Run', expected small letters", ""},
        {SMALLEST, "name=../x", "--set name: found '../x', expected small letters", ""},
        {SMALLEST, "name=", "--set name: found '', expected small letters", ""},
        {SMALLEST, "net.coordinator=localhost:5", "--set net.coordinator: found 'localhost:5'",
         "tcp://HOST:PORT"},
        {SMALLEST, "net.coordinator=tcp://127.0.0.1:70000", "--set net.coordinator: found", ""},
        {SMALLEST, "net.coordinator=tcp://127.0.0.1:*", "--set net.coordinator: found", ""},
        {SMALLEST, "net.coordinator_bind=tcp://*:5555",
         "--set net.coordinator_bind: 'tcp://*:5555' is beyond loopback", "net.keys"},
        {SMALLEST "net: {keys: k}\n", "net.curve_key_file=f", "t.yaml:3: net.keys: found it beside",
         ""},
        {SMALLEST, "net.server_bind=tcp://0.0.0.0:*", "--set net.server_bind: 'tcp://0.0.0.0:*' is",
         "CURVE"},
        {SMALLEST, "net.server_bind=tcp://127.0.0.1.evil.org:1",
         "--set net.server_bind:", "beyond"},
        {SMALLEST, "net.http=80", "--set net.http: found '80', expected ADDRESS:PORT or off", ""},
        {SMALLEST, "net.http=0.0.0.0:80", "--set net.http: '0.0.0.0:80' is beyond loopback",
         "net.http_key_file"},
        {SMALLEST, "net.dead_after_ms=400", "--set net.dead_after_ms: found 400", "(500)"},
        {SMALLEST, "queue.url=http://x:1", "--set queue.url: found 'http://x:1'", "redis://"},
        {SMALLEST, "queue.url=redis://redis:6379",
         "--set queue.url: 'redis://redis:6379' is beyond", "queue.password"},
    };
    return cr_make_param_array(error_case, cases, RT_COUNT(cases));
}
ParameterizedTest(error_case *k, config_errors, refuses_settings_that_do_not_fit_together)
{
    expect_error(k);
}

Test(config_errors, accepts_what_is_just_inside_the_rules)
{
    const char *sets[] = {"net.coordinator=tcp://127.0.0.1:5555",
                          "net.coordinator_bind=tcp://[::1]:*",
                          "net.server_bind=ipc:///tmp/shard",
                          "net.server_advertise=tcp://localhost:7000",
                          "net.http=127.0.0.1:8080",
                          "queue.url=redis://localhost:6379",
                          "train.steps=10",
                          "train.warmup_steps=10",
                          "student.n_kv_heads=2",
                          "train.alpha=1",
                          "threads=256",
                          NULL};
    rt_error err = {0};
    config *c = NULL;
    cr_expect_eq(config_parse("t.yaml", SMALLEST, strlen(SMALLEST), sets, &c, &err), RT_OK, "%s",
                 err.text);
    config_free(c);
    c = NULL;
    const char *far[] = {"net.coordinator=tcp://retort-0.pod:5555",
                         "net.server_bind=tcp://*:*",
                         "net.server_advertise=tcp://server-{shard}.pods:7000",
                         "net.keys=/run/keys",
                         "net.http=0.0.0.0:8080",
                         "net.http_key_file=/run/http",
                         "queue.url=redis://redis:6379",
                         "queue.password=file:/run/redis",
                         NULL};
    cr_expect_eq(config_parse("t.yaml", SMALLEST, strlen(SMALLEST), far, &c, &err), RT_OK, "%s",
                 err.text);
    config_free(c);
}

Test(config_errors, shows_no_secret_in_a_message)
{
    const char *sets[][2] = {{"queue.password=hunter2", NULL},
                             {"queue.url=redis://:hunter2@redis:6379", NULL},
                             {"queue.url=redis://me:hunter2@redis", NULL}};
    for (size_t i = 0; i < RT_COUNT(sets); i++) {
        rt_error err = {0};
        config *c = NULL;
        cr_expect_eq(config_parse("t.yaml", SMALLEST, strlen(SMALLEST), sets[i], &c, &err),
                     RT_INVALID);
        cr_expect_null(strstr(err.text, "hunter2"), "%s", err.text);
    }
}

Test(config_errors, refuses_a_nesting_bomb_and_a_huge_file_at_once)
{
    size_t n = 500000;
    char *text = malloc(n);
    rt_error err = {0};
    config *c = NULL;
    const char fill[] = {'[', '{', '-', ' '};
    for (size_t i = 0; i < sizeof fill; i++) {
        memset(text, fill[i], n);
        cr_expect_eq(config_parse("t.yaml", text, n, NULL, &c, &err), RT_INVALID);
        cr_expect_null(c);
    }
    free(text);
    n = DOCUMENT_BYTES_MAX + 1;
    text = malloc(n);
    memset(text, '#', n);
    cr_expect_eq(config_parse("t.yaml", text, n, NULL, &c, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "at most 1048576"), "%s", err.text);
    free(text);
}

Test(config_errors, survives_a_file_cut_at_every_byte)
{
    const char whole[] =
        SMALLEST "task: {answer: class, classes: [\"\xc3\xa4\", b], markers: [x]}\n"
                 "prompt:\n  instruction: |\n    a\n    b\n";
    for (size_t n = 0; n < sizeof whole; n++) {
        rt_error err = {0};
        config *c = NULL;
        rt_status st = config_parse("t.yaml", whole, n, NULL, &c, &err);
        cr_expect(st == RT_OK || (st == RT_INVALID && err.text[0] != '\0' && c == NULL),
                  "at %zu: %s", n, rt_status_name(st));
        config_free(c);
    }
}
