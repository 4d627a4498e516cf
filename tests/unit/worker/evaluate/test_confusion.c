/* What was taken for what: a matrix of few labels, the commonest pairs of many. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "worker/evaluate/confusion.h"

static confusion *new_confusion(const char *const *names, size_t n)
{
    confusion *c = NULL;
    cr_assert_eq(confusion_new(names, n, &c, NULL), RT_OK);
    return c;
}

static void add(confusion *c, const char *gold, const char *label, int times)
{
    for (int i = 0; i < times; i++) cr_assert_eq(confusion_add(c, gold, label, NULL), RT_OK);
}

static json_int_t cell(const json_t *root, size_t g, size_t l)
{
    return json_integer_value(
        json_array_get(json_array_get(json_object_get(root, "matrix"), g), l));
}

static json_int_t sum_of_matrix(const json_t *root)
{
    json_int_t sum = 0;
    size_t n = json_array_size(json_object_get(root, "labels"));
    for (size_t g = 0; g < n; g++)
        for (size_t l = 0; l <= n; l++) sum += cell(root, g, l);
    return sum;
}

Test(confusion, few_labels_make_a_matrix_whose_sum_is_the_number_of_answers)
{
    static const char *const names[] = {"yes", "no", "perhaps"};
    confusion *c = new_confusion(names, 3);
    add(c, "yes", "yes", 5);
    add(c, "yes", "no", 2);
    add(c, "no", NULL, 1);
    json_t *root = confusion_to_json(c);
    cr_expect_eq(json_array_size(json_object_get(root, "labels")), 3, "the unseen one has a row");
    cr_expect_eq(cell(root, 0, 0), 5);
    cr_expect_eq(cell(root, 0, 1), 2);
    cr_expect_eq(cell(root, 1, 3), 1, "the last column: no answer");
    cr_expect_eq(sum_of_matrix(root), 8);
    cr_expect_eq(json_integer_value(json_object_get(root, "n")), 8);
    cr_expect_eq(json_integer_value(json_object_get(root, "unreadable")), 1);
    json_decref(root);
    confusion_free(c);
}

Test(confusion, many_labels_make_pairs_most_frequent_first)
{
    char text[16];
    confusion *c = new_confusion(NULL, 0);
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "%d", i);
        add(c, text, "x", i + 1);
        add(c, text, text, 3);
    }
    json_t *root = confusion_to_json(c), *pairs = json_object_get(root, "pairs");
    cr_expect(json_is_null(json_object_get(root, "matrix")));
    cr_assert_eq(json_array_size(pairs), CONFUSION_SHOWN);
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(pairs, 0), "gold")), "29");
    cr_expect_eq(json_integer_value(json_object_get(json_array_get(pairs, 0), "n")), 30);
    cr_expect_eq(json_integer_value(json_object_get(root, "pairs_more")), 55, "1 to 10");
    json_decref(root);
    confusion_free(c);
}

Test(confusion, memory_is_bounded_and_nothing_is_lost)
{
    char text[16];
    confusion *c = new_confusion(NULL, 0);
    json_int_t n = CONFUSION_PAIRS_MAX + 500, sum = 0;
    for (int i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%d", i);
        add(c, text, "x", 1);
    }
    json_t *root = confusion_to_json(c);
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(root, "pairs"), i, pair)
    {
        sum += json_integer_value(json_object_get(pair, "n"));
    }
    cr_expect_eq(sum + json_integer_value(json_object_get(root, "pairs_more")), n);
    json_decref(root);
    confusion_free(c);
}
