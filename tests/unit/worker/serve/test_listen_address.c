#include "worker/serve/listen_address.h"

#include <criterion/criterion.h>

#include "common/base/bytes.h"

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
