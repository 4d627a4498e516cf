#include <criterion/criterion.h>
#include <string.h>

#include "cli/pages/completion.h"
#include "cli/pages/man.h"

static const option_def pour_options[] = {
    {"--output", "FILE", "file to write: [x], it's new", NULL},
    {"--dtype", "DTYPE", "f32 or f16", "f32", "f32 f16"},
    {"--quiet", NULL, "say nothing", NULL},
    {0},
};
static const command pour = {.name = "pour",
                             .summary = "fill a cup, if it's empty",
                             .synopsis = "hot [--output FILE]\ncold\n",
                             .description = "Pours. See `retort run`.\n"
                                            ".dots and 'quotes' begin lines.\n"
                                            "\n"
                                            "hot    with steam\n"
                                            "cold   without\n",
                             .options = pour_options,
                             .examples = "retort pour hot --output a\\b\n",
                             .words = "hot cold"};
static const command bare = {
    .name = "bare", .summary = "no options", .synopsis = "", .description = "Nothing.\n"};
static const command *const table[] = {&pour, &bare};

static rt_buf out;

static void expect_in(const char *wanted)
{
    cr_expect_not_null(strstr(out.data, wanted), "%s is missing in\n%s", wanted, out.data);
}

static void expect_not_in(const char *unwanted)
{
    cr_expect_null(strstr(out.data, unwanted), "%s is in\n%s", unwanted, out.data);
}

Test(pages, bash_knows_commands_options_words_and_values)
{
    cr_assert_eq(completion_bash(table, 2, &out, NULL), RT_OK);
    expect_in("'pour bare --help --version'");
    expect_in("pour) options='--output --dtype --quiet --config ");
    expect_in("words='hot cold'");
    expect_in("pour:--output) kind=file ;;");
    expect_in("pour:--dtype) kind=choice choices='f32 f16' ;;");
    expect_in("bare:--set) kind=setting ;;");
    expect_in("bare:--log-level) kind=choice choices='debug info warn error' ;;");
    expect_in(" train.steps= ");
    expect_not_in("--quiet)");
    rt_buf_free(&out);
}

Test(pages, zsh_gets_its_special_characters_escaped)
{
    cr_assert_eq(completion_zsh(table, 2, &out, NULL), RT_OK);
    expect_in("'pour:fill a cup, if it'\\''s empty'");
    expect_in("'--output=[file to write\\: \\[x\\], it'\\''s new]:FILE:_files'");
    expect_in("'--dtype=[f32 or f16]:DTYPE:(f32 f16)'");
    expect_in("'--quiet[say nothing]'");
    expect_in("'*--set=[");
    expect_in("'1:what:(hot cold)'");
    rt_buf_free(&out);
}

Test(pages, fish_gets_its_quotes_escaped)
{
    cr_assert_eq(completion_fish(table, 2, &out, NULL), RT_OK);
    expect_in("-a pour -d 'fill a cup, if it\\'s empty'");
    expect_in(
        "'__fish_seen_subcommand_from pour' -l output -r -F -d 'file to write: [x], it\\'s new'");
    expect_in("-l dtype -x -a 'f32 f16'");
    rt_buf_free(&out);
}

Test(pages, a_manual_page_shows_text_as_it_stands)
{
    cr_assert_eq(man_of_command(&pour, &out, NULL), RT_OK);
    expect_in(".TH RETORT-POUR 1 ");
    expect_in("retort\\-pour \\- fill a cup, if it's empty\n");
    expect_in("\\fBretort pour\\fR hot [\\-\\-output FILE]\n");
    expect_in("\\fBretort pour\\fR cold\n");
    expect_in("\nPours. See \\fBretort run\\fR.\n\\&.dots and 'quotes' begin lines.\n");
    expect_in(".nf\nhot    with steam\ncold   without\n.fi\n");
    expect_in(".TP\n.B \\-\\-output \\fIFILE\\fR\nfile to write: [x], it's new\n");
    expect_in("f32 or f16 (default f32)\n");
    expect_in("retort pour hot \\-\\-output a\\eb\n");
    rt_buf_free(&out);
}

Test(pages, a_quote_at_the_start_of_a_line_is_no_command_of_roff)
{
    cr_assert_eq(man_text("'a\n.b\n`c", 8, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "\\&'a\n\\&.b\n\\fBc\\fR");
    rt_buf_free(&out);
}

Test(pages, the_programs_page_lists_the_commands)
{
    cr_assert_eq(man_of_program(table, 2, &out, NULL), RT_OK);
    expect_in(".TH RETORT 1 ");
    expect_in(".TP\n.B pour\nfill a cup, if it's empty\n.TP\n.B bare\nno options\n");
    rt_buf_free(&out);
}
