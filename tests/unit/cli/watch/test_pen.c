#include <criterion/criterion.h>

#include "cli/watch/pen.h"

static rt_buf out;

static pen pen_of(size_t width, bool colour)
{
    rt_buf_clear(&out);
    return (pen){.out = &out, .width = width, .colour = colour};
}

static void expect(const pen *p, const char *text)
{
    cr_assert_eq(p->status, RT_OK);
    cr_expect_str_eq(out.data, text);
    rt_buf_free(&out);
}

Test(pen, what_does_not_fit_is_cut_with_an_ellipsis)
{
    pen p = pen_of(8, false);
    pen_text(&p, PEN_PLAIN, "loss ");
    pen_text(&p, PEN_PLAIN, "1.234");
    pen_text(&p, PEN_PLAIN, "more");
    cr_expect_eq(p.column, 8);
    expect(&p, "loss 1.…");
}

Test(pen, what_just_fits_is_whole)
{
    pen p = pen_of(4, false);
    pen_text(&p, PEN_PLAIN, "loss");
    expect(&p, "loss");
}

Test(pen, wide_characters_take_two_columns)
{
    pen p = pen_of(7, false);
    pen_text(&p, PEN_PLAIN, "日本語の文");
    cr_expect_eq(p.column, 7);
    expect(&p, "日本語…");
}

Test(pen, a_wide_character_is_never_cut_in_half)
{
    pen p = pen_of(6, false);
    pen_text(&p, PEN_PLAIN, "日本語の文");
    cr_expect_eq(p.column, 5);
    expect(&p, "日本…");
}

Test(pen, colours_take_no_columns_and_end_where_the_text_ends)
{
    pen p = pen_of(4, true);
    pen_text(&p, PEN_GOOD, "alive!");
    cr_expect_eq(p.column, 4);
    expect(&p, "\033[32mali…\033[0m");
}

Test(pen, cells_are_filled_left_or_right)
{
    pen p = pen_of(20, false);
    pen_cell(&p, PEN_PLAIN, "日本", 6, false);
    pen_cell(&p, PEN_PLAIN, "7", 3, true);
    pen_cell(&p, PEN_PLAIN, "too long", 5, true);
    pen_text(&p, PEN_PLAIN, "|");
    expect(&p, "日本    7too …|");
}

Test(pen, one_column_holds_an_ellipsis_and_none_holds_nothing)
{
    pen p = pen_of(1, false);
    pen_text(&p, PEN_PLAIN, "日");
    pen_cell(&p, PEN_PLAIN, "x", 4, true);
    pen_to(&p, 9);
    expect(&p, "…");
    p = pen_of(0, false);
    pen_text(&p, PEN_PLAIN, "x");
    pen_end_line(&p);
    expect(&p, "\n");
}
