#include <criterion/criterion.h>
#include <string.h>

#include "worker/teacher/openai/request.h"

static openai_shape plain(void)
{
    return (openai_shape){.chat = true,
                          .model = "m-1",
                          .instruction = "Be brief.",
                          .separator = "\n\n",
                          .instruction_role = "system",
                          .max_tokens_field = "max_tokens",
                          .max_tokens = 64,
                          .think_text = "Think.",
                          .extract_text = "So:"};
}

static openai_question ask(const char *prompt)
{
    return (openai_question){
        .prompt = prompt, .n_prompt = strlen(prompt), .n = 1, .top_p = 1, .seed = 9};
}

static void expect_body(const openai_shape *shape, const openai_question *q, const char *expected)
{
    rt_buf out = {0};
    rt_error err = {0};
    cr_assert_eq(openai_request_body(shape, q, &out, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(out.data, expected);
    rt_buf_free(&out);
}

Test(openai_request, a_chat_has_instruction_and_question_as_messages)
{
    openai_shape s = plain();
    openai_question q = ask("Be brief.\n\nWhat?");
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
                "{\"role\":\"user\",\"content\":\"What?\"}],\"max_tokens\":64,\"temperature\":0.0,"
                "\"seed\":9}");
    s.instruction_role = "developer";
    s.max_tokens_field = "max_completion_tokens";
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"messages\":[{\"role\":\"developer\",\"content\":\"Be "
                "brief.\"},{\"role\":\"user\",\"content\":\"What?\"}],\"max_completion_tokens\":64,"
                "\"temperature\":0.0,\"seed\":9}");
    s.instruction_role = "user";
    expect_body(
        &s, &q,
        "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"Be "
        "brief.\\n\\nWhat?\"}],\"max_completion_tokens\":64,\"temperature\":0.0,\"seed\":9}");
}

Test(openai_request, a_prompt_that_does_not_begin_with_the_instruction_is_one_message)
{
    openai_shape s = plain();
    openai_question q = ask("Be brief. What?");
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"Be brief. "
                "What?\"}],\"max_tokens\":64,\"temperature\":0.0,\"seed\":9}");
}

Test(openai_request, a_plain_completion_has_one_prompt)
{
    openai_shape s = plain();
    openai_question q = ask("Be brief.\n\nWhat?");
    s.chat = false;
    s.max_tokens_field = "max_completion_tokens"; /* of chats only */
    s.logprobs = true;
    s.top_logprobs = 2;
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"prompt\":\"Be brief.\\n\\nWhat?\",\"max_tokens\":64,"
                "\"temperature\":0.0,\"seed\":9,\"logprobs\":2}");
}

Test(openai_request, sends_what_is_set_and_leaves_out_what_is_not)
{
    static const char *const stop[] = {"\n\nQ:", "\xff"};
    openai_shape s = plain();
    openai_question q = ask("What?");
    s.instruction = "";
    s.stop = stop;
    s.n_stop = 2;
    s.logprobs = true;
    s.top_logprobs = 5;
    q.n = 3;
    q.temperature = 0.7;
    q.top_k = 40;
    q.top_p = 0.95;
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"What?\"}],"
                "\"max_tokens\":64,\"n\":3,\"temperature\":0.7,\"top_p\":0.95,\"top_k\":40,"
                "\"stop\":[\"\\n\\nQ:\",\"\xef\xbf\xbd\"],\"seed\":9,\"logprobs\":true,"
                "\"top_logprobs\":5}");
}

Test(openai_request, extra_fields_come_last_and_null_takes_one_out)
{
    openai_shape s = plain();
    openai_question q = ask("What?");
    json_t *extra = json_loads("{\"seed\": null, \"temperature\": 0.5, \"chat_template_kwargs\": "
                               "{\"enable_thinking\": false}}",
                               0, NULL);
    s.instruction = "";
    s.extra = extra;
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"What?\"}],"
                "\"max_tokens\":64,\"temperature\":0.5,\"chat_template_kwargs\":{\"enable_"
                "thinking\":false}}");
    json_decref(extra);
}

Test(openai_request, a_schema_is_sent_as_the_format_of_the_answer_and_not_of_a_thought)
{
    openai_shape s = plain();
    openai_question q = ask("What?");
    json_t *schema = json_loads("{\"type\": \"object\"}", 0, NULL);
    s.instruction = "";
    s.schema = schema;
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"What?\"}],"
                "\"max_tokens\":64,\"temperature\":0.0,\"seed\":9,\"response_format\":{\"type\":"
                "\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":{\"type\":"
                "\"object\"},\"strict\":true}}}");
    q.stage = OPENAI_THINK;
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"What?\\n"
                "Think.\"}],\"max_tokens\":64,\"temperature\":0.0,\"seed\":9}");
    json_decref(schema);
}

Test(openai_request, the_second_of_two_steps_holds_the_thought)
{
    openai_shape s = plain();
    openai_question q = ask("Be brief.\n\nWhat?\n");
    q.stage = OPENAI_EXTRACT;
    q.thought = "This.";
    q.n_thought = 5;
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
                "{\"role\":\"user\",\"content\":\"What?\\nThink.\"},{\"role\":\"assistant\","
                "\"content\":\"This.\"},{\"role\":\"user\",\"content\":\"So:\"}],\"max_tokens\":64,"
                "\"temperature\":0.0,\"seed\":9}");
    s.chat = false;
    expect_body(&s, &q,
                "{\"model\":\"m-1\",\"prompt\":\"Be brief.\\n\\nWhat?\\nThink. This.\\nSo:\","
                "\"max_tokens\":64,\"temperature\":0.0,\"seed\":9}");
}

Test(openai_request, the_url_keeps_the_query_of_the_base)
{
    static const struct {
        const char *base, *url;
        bool chat;
    } cases[] = {
        {"http://h:1/v1", "http://h:1/v1/chat/completions", true},
        {"http://h:1/v1/", "http://h:1/v1/completions", false},
        {"https://h/d?api-version=2", "https://h/d/chat/completions?api-version=2", true},
    };
    rt_buf out = {0};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        cr_assert_eq(openai_request_url(cases[i].base, cases[i].chat, &out, NULL), RT_OK);
        cr_expect_str_eq(out.data, cases[i].url);
    }
    cr_assert_eq(openai_route_url("https://h/d/?v=2", "/models", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "https://h/d/models?v=2");
    rt_buf_free(&out);
}
