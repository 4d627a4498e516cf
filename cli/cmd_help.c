#include <stdio.h>
#include <string.h>

#include "cli/help.h"
#include "cli/pages/man.h"
#include "common/base/fs.h"

#define NAMES_MAX 64

const command *help_find_command(const char *name)
{
    size_t n;
    const command *const *commands = command_table(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static rt_status add_commands(rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n;
    const command *const *commands = command_table(&n);
    for (size_t i = 0; st == RT_OK && i < n; i++)
        st = rt_buf_printf(out, err, "    %-12s %s\n", commands[i]->name, commands[i]->summary);
    return st;
}

static rt_status add_usage(rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, "usage: retort COMMAND [options]\n\n", err);
    if (st == RT_OK) st = add_commands(out, err);
    if (st != RT_OK) return st;
    return rt_buf_add_text(out, "\nretort help COMMAND says more; retort --help says it all.\n",
                           err);
}

static rt_status add_help(rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(
        out,
        "NAME\n"
        "    retort - distils a large language model into a small one, step by step\n"
        "\n"
        "SYNOPSIS\n"
        "    retort COMMAND [options]\n"
        "    retort help COMMAND\n"
        "\n"
        "DESCRIPTION\n"
        "    You bring an unlabeled corpus, a prompt and a teacher; you take away a\n"
        "    labelled dataset with rationales and a small trained student. One program\n"
        "    plays every role. `retort run` starts all of them on this machine; on a\n"
        "    cluster each process is started with its own command, with the same config\n"
        "    file.\n"
        "\n"
        "COMMANDS\n",
        err);
    if (st == RT_OK) st = add_commands(out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "\nOPTIONS OF EVERY COMMAND\n", err);
    if (st == RT_OK) st = command_help_options(options_common, out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "\nEXIT STATUS\n", err);
    if (st == RT_OK) st = command_help_exit_codes(out, err);
    return st;
}

int help_unknown_command(bool as_json, const char *name)
{
    const char *names[NAMES_MAX];
    size_t n;
    rt_error err = {0};
    const command *const *commands = command_table(&n);
    n = RT_MIN(n, (size_t)NAMES_MAX - 1);
    for (size_t i = 0; i < n; i++) names[i] = commands[i]->name;
    names[n] = NULL;
    const char *nearest = options_nearest(name, names);
    rt_fail(&err, RT_INVALID, "unknown command '%.100s'%s%s%s; retort --help lists them", name,
            nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "?" : "");
    return command_fail_as(as_json, &err);
}

int help_print(const command *c)
{
    rt_buf text = {0};
    rt_error err = {0};
    rt_status st = c != NULL ? command_help(c, &text, &err) : add_help(&text, &err);
    if (st == RT_OK) fwrite(text.data, 1, text.n, stdout);
    rt_buf_free(&text);
    return st == RT_OK ? EXIT_CODE_OK : command_fail_as(false, &err);
}

int help_print_usage(void)
{
    rt_buf text = {0};
    if (add_usage(&text, NULL) == RT_OK) fwrite(text.data, 1, text.n, stderr);
    rt_buf_free(&text);
    return EXIT_CODE_USAGE;
}

/* NULL: the program itself. */
static rt_status add_man(const command *c, rt_buf *out, rt_error *err)
{
    size_t n;
    const command *const *commands = command_table(&n);
    return c != NULL ? man_of_command(c, out, err) : man_of_program(commands, n, out, err);
}

static rt_status print_man(const command *c, rt_error *err)
{
    rt_buf page = {0};
    rt_status st = add_man(c, &page, err);
    if (st == RT_OK) fwrite(page.data, 1, page.n, stdout);
    rt_buf_free(&page);
    return st;
}

static rt_status write_page(const command *c, const char *folder, rt_error *err)
{
    char path[4096], name[80];
    rt_buf page = {0};
    snprintf(name, sizeof name, "retort%s%s.1", c != NULL ? "-" : "", c != NULL ? c->name : "");
    rt_status st = rt_fs_join(path, sizeof path, folder, name, err);
    if (st == RT_OK) st = add_man(c, &page, err);
    if (st == RT_OK) st = rt_fs_write_atomic(path, page.data, page.n, err);
    rt_buf_free(&page);
    return st;
}

static rt_status write_pages(const char *folder, rt_error *err)
{
    size_t n;
    const command *const *commands = command_table(&n);
    rt_status st = rt_fs_mkdirs(folder, err);
    if (st == RT_OK) st = write_page(NULL, folder, err);
    for (size_t i = 0; st == RT_OK && i < n; i++) st = write_page(commands[i], folder, err);
    return st;
}

static int run(const options *o)
{
    rt_error err = {0};
    const char *about = options_n_args(o) > 0 ? options_arg(o, 0) : NULL;
    const char *folder = options_value(o, "--man-pages");
    const command *c = about != NULL ? help_find_command(about) : NULL;
    if (about != NULL && c == NULL) return help_unknown_command(options_json(o), about);
    if (folder == NULL && !options_has(o, "--man")) return help_print(c);
    rt_status st = folder != NULL ? write_pages(folder, &err) : print_man(c, &err);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

static const option_def help_options[] = {
    {"--man", NULL, "print a manual page in roff", NULL},
    {"--man-pages", "FOLDER", "write the manual pages of all commands into a folder", NULL},
    {0},
};

const command cmd_help = {
    .name = "help",
    .summary = "say what a command does, here or as manual pages",
    .synopsis = "[COMMAND] [--man]\n"
                "--man-pages FOLDER\n",
    .description = "Says what retort, or one of its commands, does; the same as COMMAND --help.\n",
    .options = help_options,
    .examples = "retort help run\n"
                "retort help run --man | man -l -\n",
    .n_args_max = 1,
    .run = run,
};
