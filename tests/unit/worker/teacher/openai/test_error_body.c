#include <criterion/criterion.h>
#include <string.h>

#include "worker/teacher/openai/error_body.h"

static openai_error read_text(const char *text)
{
    return openai_error_read(text, strlen(text));
}

Test(error_body, is_read_in_all_its_forms)
{
    openai_error e = read_text("{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":\"p\","
                               "\"code\":\"c\"}}");
    cr_expect_str_eq(e.message, "m");
    cr_expect_str_eq(e.type, "t");
    cr_expect_str_eq(e.param, "p");
    cr_expect_str_eq(e.code, "c");
    cr_expect_eq(e.status, 0);
    cr_expect(openai_error_is(&e, "C"));
    cr_expect(openai_error_is(&e, "T"));
    e = read_text("{\"error\":{\"message\":null,\"code\":503}}");
    cr_expect_eq(e.status, 503);
    cr_expect_str_eq(e.message, "");
    cr_expect_str_eq(read_text("{\"error\":\"text\"}").message, "text");
    cr_expect_str_eq(read_text("{\"detail\":\"why\"}").message, "why");
    cr_expect_str_eq(read_text("{\"detail\":[{\"msg\":1}]}").message, "[{\"msg\":1}]");
    cr_expect_str_eq(read_text("{\"object\":\"error\",\"message\":\"m\"}").message, "m");
    cr_expect_str_eq(read_text("\"bare\"").message, "bare");
    cr_expect_str_eq(read_text("<h1>Bad\nGateway").message, "<h1>Bad Gateway");
    cr_expect_str_eq(openai_error_read(NULL, 0).message, "");
}

Test(error_body, a_long_message_is_cut_between_characters)
{
    char text[4000] = "\"";
    while (strlen(text) < 3000) strcat(text, "\xe2\x82\xac");
    strcat(text, "\"");
    openai_error e = read_text(text);
    cr_expect_lt(strlen(e.message), sizeof e.message);
    cr_expect_eq(strlen(e.message) % 3, 0);
    cr_expect(openai_error_says(&e, "\xe2\x82\xac"));
}
