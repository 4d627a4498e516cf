/* retort COMMAND [options]: finds the command, parses its options, runs it, reports.
 *
 * To add a command: write cli/cmd_NAME.c, add it to cli/CMakeLists.txt, and add one line to the
 * table below.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/cpu_guard.h"
#include "cli/help.h"
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
    &cmd_completion,
    &cmd_help,
    &cmd_version,
};
/* clang-format on */

const command *const *command_table(size_t *n)
{
    *n = RT_COUNT(commands);
    return commands;
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
        code = help_print(c);
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
    if (name == NULL) return help_print_usage();
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return help_print(NULL);
    if (strcmp(name, "--version") == 0) name = "version";
    const command *c = help_find_command(name);
    if (c == NULL) return help_unknown_command(as_json, name);
    if (c->computes) waiting_policy_apply(argv);
    return run_command(c, as_json, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    const char *missing = cpu_guard_missing();
    if (missing != NULL) {
        fprintf(
            stderr,
            "retort: this program was built for a processor with %s, which this one does not have; "
            "build it with -DRT_MARCH=x86-64\n",
            missing);
        return EXIT_CODE_ENVIRONMENT;
    }
    int code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("retort: standard output could not be written\n", stderr);
        if (code == EXIT_CODE_OK) code = EXIT_CODE_ENVIRONMENT;
    }
    return code;
}
