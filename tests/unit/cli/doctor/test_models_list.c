#include <criterion/criterion.h>
#include <string.h>

#include "cli/doctor/server_reply.h"

static models_list read(const char *json, const char *model)
{
    return models_list_read(json, strlen(json), model);
}

Test(models_list, the_forms_of_known_servers_are_read)
{
    static const struct {
        const char *json, *model;
    } cases[] = {
        {"{\"object\":\"list\",\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}", "b"},
        {"[{\"id\":\"a\"},{\"id\":\"b\"}]", "b"},
        {"{\"models\":[{\"name\":\"b:latest\"}]}", "b"},
        {"{\"data\":[{\"id\":\"models/b\"}]}", "b"},
        {"{\"data\":[{\"id\":\"models/b\"}]}", "models/b"},
        {"[\"a\",\"b\"]", "b"},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        models_list list = read(cases[i].json, cases[i].model);
        cr_expect(list.is_list && list.listed, "%s", cases[i].json);
        cr_expect_not(read(cases[i].json, "c").listed, "%s", cases[i].json);
        cr_expect_not(read(cases[i].json, "b2").listed, "%s", cases[i].json);
    }
    cr_expect_not(read("[\"b:other\",\"bc\"]", "b").listed);
}

Test(models_list, the_length_is_read_under_each_of_its_names)
{
    static const char *const cases[] = {
        "{\"data\":[{\"id\":\"x\",\"context_length\":1},{\"id\":\"b\",\"context_length\":4096}]}",
        "{\"data\":[{\"id\":\"b\",\"max_model_len\":4096}]}",
        "{\"data\":[{\"id\":\"b\",\"context_window\":4096}]}",
        "{\"data\":[{\"id\":\"b\",\"meta\":{\"n_ctx\":4096}}]}",
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) cr_expect_eq(read(cases[i], "b").context, 4096);
    cr_expect_eq(read("{\"data\":[{\"id\":\"b\",\"context_length\":-1}]}", "b").context, 0);
}

Test(models_list, what_is_no_list_is_none)
{
    static const char *const cases[] = {"", "{}", "7", "{\"data\":7}", "[1,2]", "<html>"};
    for (size_t i = 0; i < RT_COUNT(cases); i++) cr_expect_not(read(cases[i], "b").is_list);
    cr_expect(read("[]", "b").is_list);
    cr_expect_eq(read("[]", "b").n, 0);
}

Test(models_list, names_like_the_model_are_shown_first_and_none_twice)
{
    models_list list = read("[{\"id\":\"a1\"},{\"id\":\"a2\"},{\"id\":\"a3\"},{\"id\":\"a4\"},"
                            "{\"id\":\"a5\"},{\"id\":\"a6\"},{\"id\":\"org/llama-3-8b\"},"
                            "{\"id\":\"a1\"}]",
                            "llama-3-8B");
    cr_expect_eq(list.n, 8);
    cr_assert_eq(list.n_shown, MODELS_SHOWN_MAX);
    cr_expect_str_eq(list.names[0], "org/llama-3-8b");
    cr_expect_str_eq(list.names[1], "a1");
    cr_expect_str_eq(list.names[4], "a4");
}

static bool has(const char *base, const char *wanted)
{
    char urls[BASE_URLS_MAX][BASE_URL_BYTES];
    size_t n = base_url_candidates(base, urls);
    for (size_t i = 0; i < n; i++)
        if (strcmp(urls[i], wanted) == 0) return true;
    return false;
}

Test(models_list, other_base_urls_are_those_that_people_mean)
{
    cr_expect(has("http://h:8000", "http://h:8000/v1"));
    cr_expect(has("http://h:8000/", "http://h:8000/v1"));
    cr_expect(has("http://h/v1/chat/completions", "http://h/v1"));
    cr_expect(has("http://h/v1/models/", "http://h/v1"));
    cr_expect(has("http://h/v1/v1", "http://h/v1"));
    cr_expect(has("https://h/api", "https://h/api/v1"));
    cr_expect(has("https://h/v1", "https://h/api/v1"));
    cr_expect(has("https://h/v2", "https://h/v1"));
    cr_expect_not(has("http://h/v1", "http://h/v1"), "that one was tried");
    cr_expect_not(has("http://h/v1/", "http://h/v1"), "that one was tried");
    cr_expect_not(has("h", "h/v1"));
}

/* The key goes along: never to another host. */
Test(models_list, other_base_urls_are_of_the_same_server)
{
    static const char *const bases[] = {"http://h:8000", "https://h/a/b?c=https://evil/",
                                        "https://h?x", "http://[::1]:5/v1"};
    char urls[BASE_URLS_MAX][BASE_URL_BYTES];
    for (size_t i = 0; i < RT_COUNT(bases); i++) {
        size_t n_scheme = (size_t)(strstr(bases[i], "://") + 3 - bases[i]);
        size_t n_origin = n_scheme + strcspn(bases[i] + n_scheme, "/?");
        size_t n = base_url_candidates(bases[i], urls);
        cr_expect_gt(n, 0);
        for (size_t j = 0; j < n; j++) {
            cr_expect_eq(strncmp(urls[j], bases[i], n_origin), 0, "%s", urls[j]);
            cr_expect_eq(urls[j][n_origin], '/', "%s", urls[j]);
        }
    }
}
