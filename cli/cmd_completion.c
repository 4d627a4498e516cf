#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/pages/completion.h"

typedef rt_status (*completion_writer)(const command *const *commands, size_t n, rt_buf *out,
                                       rt_error *err);

static const struct {
    const char *shell;
    completion_writer write;
} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

static int run(const options *o)
{
    rt_error err = {0};
    rt_buf text = {0};
    size_t n;
    const command *const *commands = command_table(&n);
    completion_writer write = NULL;
    for (size_t i = 0; i < RT_COUNT(shells); i++)
        if (strcmp(options_arg(o, 0), shells[i].shell) == 0) write = shells[i].write;
    rt_status st = write != NULL ? write(commands, n, &text, &err)
                                 : rt_fail(&err, RT_INVALID,
                                           "found the shell '%s', expected bash, zsh or fish",
                                           options_arg(o, 0));
    if (st == RT_OK) fwrite(text.data, 1, text.n, stdout);
    rt_buf_free(&text);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

const command cmd_completion = {
    .name = "completion",
    .summary = "print a completion script for bash, zsh or fish",
    .synopsis = "bash|zsh|fish",
    .description =
        "Prints a script that lets the shell complete commands, options, the values of an option\n"
        "that has a fixed few, files, folders and the keys of --set. A package has it installed\n"
        "already. By hand:\n"
        "\n"
        "  bash   source <(retort completion bash)       in ~/.bashrc\n"
        "  zsh    source <(retort completion zsh)        in ~/.zshrc, after compinit\n"
        "  fish   retort completion fish | source        in ~/.config/fish/config.fish\n",
    .examples = "retort completion bash > ~/.local/share/bash-completion/completions/retort\n",
    .n_args_min = 1,
    .n_args_max = 1,
    .words = "bash zsh fish",
    .run = run,
};
