/* Keys and addresses: who may ask, and from where. */
#include <criterion/criterion.h>
#include <string.h>

#include "worker/serve/api_keys.h"
#include "worker/serve/listen_address.h"

static rt_status parse(const char *text, api_keys **out)
{
    return api_keys_parse(text, strlen(text), out, NULL);
}

Test(api_keys, allows_what_is_in_the_file_and_nothing_else)
{
    api_keys *keys = NULL;
    cr_assert_eq(parse("# ours\nalpha-1\r\n\nbeta\n", &keys), RT_OK);
    cr_expect(api_keys_allow(keys, "Bearer alpha-1"));
    cr_expect(api_keys_allow(keys, "bearer   beta"));
    static const char *const wrong[] = {"Bearer",          "Bearer ",      "Bearer alpha",
                                        "Bearer alpha-12", "alpha-1",      "Basic beta",
                                        "Bearer # ours",   "Bearer beta ", ""};
    for (size_t i = 0; i < RT_COUNT(wrong); i++) cr_expect(!api_keys_allow(keys, wrong[i]));
    cr_expect(!api_keys_allow(keys, NULL));
    api_keys_free(keys);
}

Test(api_keys, refuses_a_file_that_would_lock_everyone_out_or_surprise)
{
    api_keys *keys = NULL;
    cr_expect_eq(parse("", &keys), RT_INVALID);
    cr_expect_eq(parse("# nothing\n\n", &keys), RT_INVALID);
    cr_expect_eq(parse("two words\n", &keys), RT_INVALID);
    cr_expect_eq(parse("key \n", &keys), RT_INVALID);
    cr_expect_eq(api_keys_load("/nonexistent/keys", &keys, NULL), RT_NOTFOUND);
    cr_expect_null(keys);
}

Test(listen_address, knows_what_is_loopback)
{
    static const struct {
        const char *text;
        bool is_loopback, is_ipv6;
    } cases[] = {{"127.0.0.1", true, false}, {"127.9.9.9", true, false}, {"localhost", true, false},
                 {"0.0.0.0", false, false},  {"10.0.0.1", false, false}, {"::1", true, true},
                 {"[::1]", true, true},      {"::", false, true}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        listen_address a;
        cr_assert_eq(listen_address_parse(cases[i].text, 80, &a, NULL), RT_OK);
        cr_expect_eq(a.is_loopback, cases[i].is_loopback, "%s", cases[i].text);
        cr_expect_eq(a.is_ipv6, cases[i].is_ipv6, "%s", cases[i].text);
    }
    static const char *const wrong[] = {"",
                                        "example.org",
                                        "127.0.0.1:80",
                                        "[127.0.0.1]",
                                        "[",
                                        "1",
                                        "127.0.0.1 and very much more text than any address has, "
                                        "so that it would be cut to something that is one"};
    for (size_t i = 0; i < RT_COUNT(wrong); i++) {
        listen_address a;
        cr_expect_eq(listen_address_parse(wrong[i], 80, &a, NULL), RT_INVALID, "%s", wrong[i]);
    }
}
