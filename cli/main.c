/* retort COMMAND [options]: finds the command, parses its options, runs it, reports.
 *
 * To add a command: write cli/cmd_NAME.c, add it to cli/CMakeLists.txt, and add one line to the
 * table below.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/waiting_policy.h"

/* In the order of the help: a run, its parts, its results, tools. */
/* clang-format off */
static const command *const commands[] = {
    &cmd_init,
    &cmd_doctor,
    &cmd_run,
    &cmd_label,
    &cmd_train,
    &cmd_coordinator,
    &cmd_teacher,
    &cmd_student,
    &cmd_server,
    &cmd_eval,
    &cmd_predict,
    &cmd_serve,
    &cmd_export,
    &cmd_convert,
    &cmd_model,
    &cmd_report,
    &cmd_stats,
    &cmd_probe,
    &cmd_audit,
    &cmd_rejections,
    &cmd_batch,
    &cmd_config,
    &cmd_tokenizer,
    &cmd_keys,
    &cmd_keygen,
    &cmd_version,
};
/* clang-format on */

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(commands); i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static rt_status add_commands(rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < RT_COUNT(commands); i++)
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

static int fail_unknown_command(bool as_json, const char *name)
{
    const char *names[RT_COUNT(commands) + 2];
    size_t n = 0;
    rt_error err = {0};
    for (; n < RT_COUNT(commands); n++) names[n] = commands[n]->name;
    names[n++] = "help";
    names[n] = NULL;
    const char *nearest = options_nearest(name, names);
    rt_fail(&err, RT_INVALID, "unknown command '%.100s'%s%s%s; retort --help lists them", name,
            nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "?" : "");
    return command_fail_as(as_json, &err);
}

static int print_help(const command *c)
{
    rt_buf text = {0};
    rt_error err = {0};
    rt_status st = c != NULL ? command_help(c, &text, &err) : add_help(&text, &err);
    if (st == RT_OK) fwrite(text.data, 1, text.n, stdout);
    rt_buf_free(&text);
    return st == RT_OK ? EXIT_CODE_OK : command_fail_as(false, &err);
}

static int run_command(const command *c, bool as_json, int argc, char *const *argv)
{
    rt_error err = {0};
    options *o = NULL;
    int code;
    if (options_parse(c->options, c->n_args_min, c->n_args_max, argc, argv, &o, &err) != RT_OK) {
        rt_error named = {0};
        rt_fail(&named, err.status, "%s: %.900s", c->name, err.text);
        return command_fail_as(as_json, &named);
    }
    if (options_help(o)) {
        code = print_help(c);
    } else {
        rt_log_init(options_log_level(o), c->name);
        code = c->run(o);
    }
    options_free(o);
    return code;
}

/* A usage error comes before there are options: is JSON asked for anywhere on the line? */
static bool asks_for_json(int argc, char *const *argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

static int dispatch(int argc, char *const *argv)
{
    bool as_json = asks_for_json(argc, argv);
    const char *name = argc > 1 ? argv[1] : NULL;
    if (name == NULL) {
        rt_buf text = {0};
        if (add_usage(&text, NULL) == RT_OK) fwrite(text.data, 1, text.n, stderr);
        rt_buf_free(&text);
        return EXIT_CODE_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return print_help(NULL);
    if (strcmp(name, "--version") == 0) name = "version";
    if (strcmp(name, "help") == 0) {
        const char *about = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
        const command *c = about != NULL ? find_command(about) : NULL;
        return about != NULL && c == NULL ? fail_unknown_command(as_json, about) : print_help(c);
    }
    const command *c = find_command(name);
    if (c == NULL) return fail_unknown_command(as_json, name);
    if (c->computes) waiting_policy_apply(argv);
    return run_command(c, as_json, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    int code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("retort: standard output could not be written\n", stderr);
        if (code == EXIT_CODE_OK) code = EXIT_CODE_ENVIRONMENT;
    }
    return code;
}
