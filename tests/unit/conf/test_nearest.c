#include <criterion/criterion.h>

#include "common/conf/nearest.h"

static const char *const names[] = {"steps", "epochs", "lr", "micro_batches", "alpha", NULL};

Test(name_nearest, finds_a_slip_of_the_keys)
{
    cr_expect_str_eq(name_nearest("stesp", names), "steps");
    cr_expect_str_eq(name_nearest("step", names), "steps");
    cr_expect_str_eq(name_nearest("Epochs", names), "epochs");
    cr_expect_str_eq(name_nearest("micro_batch", names), "micro_batches");
}

Test(name_nearest, offers_nothing_far_fetched)
{
    cr_expect_null(name_nearest("x", names));
    cr_expect_null(name_nearest("", names));
    cr_expect_null(name_nearest("learning_rate", names));
    cr_expect_null(name_nearest("lx", names));
    char longer[300];
    for (unsigned i = 0; i < sizeof longer; i++) longer[i] = 'a';
    longer[sizeof longer - 1] = '\0';
    cr_expect_null(name_nearest(longer, names));
}
