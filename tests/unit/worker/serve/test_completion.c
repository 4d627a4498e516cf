/* A request from its JSON to the bytes of its answer, decoded by a real tiny student. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/nn/generate.h"
#include "tests/unit/worker/serve/served_tiny.h"
#include "worker/serve/completion.h"

#define ASK(content, more) \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"" content "\"}],\"max_tokens\":20" more "}"

static tiny_server t;

static void open_student(void)
{
    t = served_tiny_open(true);
}

static void open_plain(void)
{
    t = served_tiny_open(false);
}

static void close_all(void)
{
    served_tiny_close(&t);
}

TestSuite(completion, .init = open_student, .fini = close_all);
TestSuite(plain_model, .init = open_plain, .fini = close_all);

static bool begin(serve_kind kind, const char *body, completion **out, api_error *why)
{
    serve_limits limits = {.max_tokens = 40};
    serve_request ask = {0};
    cr_assert(serve_request_parse(kind, body, strlen(body), &limits, &ask, why), "%s",
              why->message);
    bool ok = completion_new(t.m, &ask, "1", 5, 9, out, why);
    if (!ok) serve_request_free(&ask);
    return ok;
}

/* All decodings in slots, a token each at a time. */
static void decode(completion *c, rt_buf *out)
{
    decode_slots *slots = NULL;
    decoded_token tokens[64];
    size_t n_all = completion_n_decodings(c), owner[64];
    cr_assert_leq(n_all, 64);
    cr_assert_eq(decode_slots_new(t.m->model, n_all, &slots, NULL), RT_OK);
    for (size_t i = 0; i < n_all; i++) {
        decoding_request ask;
        uint32_t at;
        completion_decoding(c, i, &ask);
        cr_assert_eq(decode_slots_add(slots, &ask.prompt, &ask.options, ask.n_top, &at, NULL),
                     RT_OK);
        owner[at] = i;
    }
    while (!completion_is_done(c)) {
        size_t n = 0;
        cr_assert_eq(decode_slots_step(slots, tokens, &n, NULL), RT_OK);
        for (size_t i = 0; i < n; i++) {
            bool ends = false;
            cr_assert_eq(completion_take(c, owner[tokens[i].i_slot], &tokens[i], &ends, out, NULL),
                         RT_OK);
            if (ends) decode_slots_release(slots, tokens[i].i_slot);
        }
    }
    cr_assert_eq(completion_finish(c, out, NULL), RT_OK);
    decode_slots_free(slots);
}

static json_t *answer(serve_kind kind, const char *body)
{
    completion *c = NULL;
    api_error why = {0};
    rt_buf out = {0};
    cr_assert(begin(kind, body, &c, &why), "%s", why.message);
    decode(c, &out);
    json_t *root = json_loads(out.data, 0, NULL);
    cr_assert_not_null(root, "%s", out.data);
    rt_buf_free(&out);
    completion_free(c);
    return root;
}

static const json_t *choice(const json_t *root, size_t i)
{
    return json_array_get(json_object_get(root, "choices"), i);
}

static const char *message(const json_t *root, const char *key)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(choice(root, 0), "message"), key));
    return text != NULL ? text : "(none)";
}

Test(completion, a_chat_has_the_fields_that_clients_read)
{
    json_t *root = answer(SERVE_CHAT, ASK("a", ""));
    const char *finish = json_string_value(json_object_get(choice(root, 0), "finish_reason"));
    const json_t *usage = json_object_get(root, "usage");
    cr_expect_str_eq(json_string_value(json_object_get(root, "id")), "chatcmpl-1");
    cr_expect_str_eq(json_string_value(json_object_get(root, "object")), "chat.completion");
    cr_expect_str_eq(json_string_value(json_object_get(root, "model")), "tiny");
    cr_expect_eq(json_integer_value(json_object_get(root, "created")), 5);
    cr_expect_str_eq(message(root, "role"), "assistant");
    cr_expect_str_eq(message(root, "content"), "yes");
    cr_expect_str_eq(finish, "stop");
    cr_expect(json_is_null(json_object_get(choice(root, 0), "logprobs")));
    cr_expect_gt(json_integer_value(json_object_get(usage, "prompt_tokens")), 1);
    cr_expect_eq(json_integer_value(json_object_get(usage, "total_tokens")),
                 json_integer_value(json_object_get(usage, "prompt_tokens")) +
                     json_integer_value(json_object_get(usage, "completion_tokens")));
    json_decref(root);
}

Test(completion, gives_the_part_that_was_asked_for)
{
    static const char *const cases[][3] = {
        {ASK("b", ",\"retort\":{\"answer\":\"label\"}"), "no", "(none)"},
        {ASK("b", ",\"retort\":{\"answer\":\"rationale\"}"), "not at all", "(none)"},
        {ASK("b", ",\"retort\":{\"answer\":\"both\"}"), "not at all # no", "(none)"},
        {ASK("a", ",\"retort\":{\"split_reasoning\":true}"), "yes", "it is so"},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        json_t *root = answer(SERVE_CHAT, cases[i][0]);
        cr_expect_str_eq(message(root, "content"), cases[i][1]);
        cr_expect_str_eq(message(root, "reasoning_content"), cases[i][2]);
        json_decref(root);
    }
}

Test(completion, a_label_that_cannot_be_read_is_null_with_its_reason)
{
    json_t *root =
        answer(SERVE_CHAT, ASK("a", ",\"retort\":{\"answer\":\"label\"},\"stop\":\"e\""));
    const json_t *own = json_object_get(choice(root, 0), "retort");
    cr_expect_str_eq(message(root, "content"), "(none)");
    cr_expect_str_eq(json_string_value(json_object_get(own, "problem")), "bad_label");
    json_decref(root);
}

/* Sum of the log-probabilities, and the text that the bytes make. */
static double sum_entries(const json_t *content, rt_buf *text, size_t n_top)
{
    double sum = 0;
    size_t i, k;
    const json_t *one, *byte;
    json_array_foreach(content, i, one)
    {
        sum += json_real_value(json_object_get(one, "logprob"));
        json_array_foreach(json_object_get(one, "bytes"), k, byte)
        {
            char c = (char)json_integer_value(byte);
            cr_assert_eq(rt_buf_add(text, &c, 1, NULL), RT_OK);
        }
        cr_expect_eq(json_array_size(json_object_get(one, "top_logprobs")), n_top);
    }
    return sum;
}

Test(completion, logprobs_are_those_of_generate_and_their_bytes_the_text)
{
    json_t *root = answer(SERVE_CHAT, ASK("a", ",\"logprobs\":true,\"top_logprobs\":3"));
    const json_t *content =
        json_object_get(json_object_get(choice(root, 0), "logprobs"), "content");
    rt_buf text = {0};
    id_list ids = {0};
    generated alone = {0};
    generate_options greedy = {.max_new_tokens = 20, .top_p = 1};
    double sum = sum_entries(content, &text, 3);
    cr_assert_eq(served_model_encode(t.m, "predict: a\n", 11, &ids, NULL), RT_OK);
    generate_prompt prompt = {.ids = ids.ids, .n_ids = ids.n};
    cr_assert_eq(generate(t.m->model, &prompt, 1, &greedy, &alone, NULL), RT_OK);
    cr_expect_float_eq(sum, alone.sum_logprob, 1e-6);
    cr_expect_eq(json_array_size(content), alone.n_ids + 1); /* and the end mark */
    cr_expect_str_eq(text.data, message(root, "content"));
    generated_free(&alone, 1);
    id_list_free(&ids);
    rt_buf_free(&text);
    json_decref(root);
}

Test(completion, prompts_of_completions_are_read_as_they_are)
{
    json_t *root =
        answer(SERVE_COMPLETIONS, "{\"prompt\":[\"predict: a\\n\",\"explain: b\\n\"],\"n\":2,"
                                  "\"temperature\":0,\"logprobs\":2,\"max_tokens\":20}");
    static const char *const texts[] = {"yes", "yes", "not at all", "not at all"};
    cr_assert_eq(json_array_size(json_object_get(root, "choices")), 4);
    cr_expect_str_eq(json_string_value(json_object_get(root, "object")), "text_completion");
    for (size_t i = 0; i < 4; i++) {
        const json_t *one = choice(root, i), *logprobs = json_object_get(one, "logprobs");
        size_t n = json_array_size(json_object_get(logprobs, "tokens"));
        cr_expect_eq(json_integer_value(json_object_get(one, "index")), (json_int_t)i);
        cr_expect_str_eq(json_string_value(json_object_get(one, "text")), texts[i]);
        cr_expect_gt(n, 0);
        cr_expect_eq(json_array_size(json_object_get(logprobs, "token_logprobs")), n);
        cr_expect_eq(json_array_size(json_object_get(logprobs, "top_logprobs")), n);
        const json_t *offsets = json_object_get(logprobs, "text_offset");
        cr_expect_eq(json_integer_value(json_array_get(offsets, n - 1)),
                     (json_int_t)strlen(texts[i]));
    }
    json_decref(root);
}

/* The pieces of a stream, joined by choice. */
typedef struct joined {
    rt_buf content, reasoning;
    size_t n_entries, n_finished, n_roles;
} joined;

static json_t *next_event(char **at, bool *done)
{
    char *end = strstr(*at, "\n\n");
    cr_assert_not_null(end);
    cr_assert_eq(strncmp(*at, "data: ", 6), 0);
    *end = '\0';
    *done = strcmp(*at + 6, "[DONE]") == 0;
    json_t *root = *done ? NULL : json_loads(*at + 6, 0, NULL);
    cr_assert(*done || root != NULL, "%s", *at);
    *at = end + 2;
    return root;
}

static void join(const json_t *root, joined *out)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(root, "choices"), i, one)
    {
        joined *j = &out[json_integer_value(json_object_get(one, "index"))];
        const json_t *delta = json_object_get(one, "delta");
        const char *content = json_string_value(json_object_get(delta, "content"));
        const char *reasoning = json_string_value(json_object_get(delta, "reasoning_content"));
        cr_expect_eq(j->n_finished, 0);
        j->n_roles += json_object_get(delta, "role") != NULL;
        j->n_finished += json_is_string(json_object_get(one, "finish_reason"));
        j->n_entries +=
            json_array_size(json_object_get(json_object_get(one, "logprobs"), "content"));
        cr_assert_eq(rt_buf_add_text(&j->content, content != NULL ? content : "", NULL), RT_OK);
        cr_assert_eq(rt_buf_add_text(&j->reasoning, reasoning != NULL ? reasoning : "", NULL),
                     RT_OK);
    }
}

static void stream(const char *body, joined *out, size_t *n_events, json_t **usage)
{
    completion *c = NULL;
    api_error why = {0};
    rt_buf bytes = {0};
    bool done = false;
    cr_assert(begin(SERVE_CHAT, body, &c, &why), "%s", why.message);
    cr_expect(completion_is_stream(c));
    decode(c, &bytes);
    *n_events = 0;
    for (char *at = bytes.data; !done;) {
        json_t *root = next_event(&at, &done);
        if (done) cr_expect_eq(*at, '\0');
        if (root == NULL) continue;
        (*n_events)++;
        join(root, out);
        if (json_is_object(json_object_get(root, "usage")))
            *usage = json_incref(json_object_get(root, "usage"));
        json_decref(root);
    }
    rt_buf_free(&bytes);
    completion_free(c);
}

static void joined_free(joined *j)
{
    rt_buf_free(&j->content);
    rt_buf_free(&j->reasoning);
}

Test(completion, a_stream_joins_to_the_whole_answer)
{
    joined j[2] = {{.n_roles = 0}};
    size_t n_events;
    json_t *usage = NULL;
    stream(ASK("b", ",\"stream\":true,\"n\":2,\"logprobs\":true,"
                    "\"stream_options\":{\"include_usage\":true}"),
           j, &n_events, &usage);
    for (size_t i = 0; i < 2; i++) {
        cr_expect_str_eq(j[i].content.data, "no");
        cr_expect_eq(j[i].n_roles, 1);
        cr_expect_eq(j[i].n_finished, 1);
        cr_expect_geq(j[i].n_entries, 2);
        joined_free(&j[i]);
    }
    cr_assert_not_null(usage);
    cr_expect_gt(n_events, 5);
    json_decref(usage);
}

Test(completion, a_stream_of_parts_sends_them_when_they_are_known)
{
    joined j[1] = {{.n_roles = 0}};
    size_t n_events;
    json_t *usage = NULL;
    stream(ASK("a", ",\"stream\":true,\"retort\":{\"split_reasoning\":true}"), j, &n_events,
           &usage);
    cr_expect_str_eq(j[0].content.data, "yes");
    cr_expect_str_eq(j[0].reasoning.data, "it is so");
    cr_expect_eq(n_events, 2);
    cr_expect_null(usage);
    joined_free(&j[0]);
}

Test(completion, refuses_another_model_a_long_prompt_and_a_chat_without_input)
{
    static const struct {
        const char *body, *code;
        unsigned status;
    } cases[] = {
        {ASK("a", ",\"model\":\"other\""), "model_not_found", 404},
        {ASK("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""),
         "context_length_exceeded", 400},
        {"{\"messages\":[{\"role\":\"system\",\"content\":\"a\"}]}", "bad_request", 400},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        completion *c = NULL;
        api_error why = {0};
        cr_expect(!begin(SERVE_CHAT, cases[i].body, &c, &why), "case %zu", i);
        cr_expect_str_eq(api_error_code(&why), cases[i].code);
        cr_expect_eq(api_error_status(&why), cases[i].status);
        cr_expect_null(c);
    }
}

Test(plain_model, reads_all_contents_in_a_row_and_has_no_parts)
{
    json_t *root = answer(SERVE_CHAT, "{\"messages\":[{\"role\":\"system\",\"content\":"
                                      "\"predict: \"},{\"role\":\"user\",\"content\":\"a\\n\"}],"
                                      "\"temperature\":0,\"max_tokens\":20}");
    completion *c = NULL;
    api_error why = {0};
    cr_expect_str_eq(message(root, "content"), "yes");
    cr_expect(!begin(SERVE_CHAT, ASK("a", ",\"retort\":{\"answer\":\"label\"}"), &c, &why));
    cr_expect_str_eq(why.param, "retort.answer");
    json_decref(root);
}
