#include "cli/pages/completion.h"

#include <string.h>

#include "common/conf/settings.h"

value_kind option_value_kind(const option_def *o)
{
    const char *name = o->value_name;
    if (name == NULL) return VALUE_NONE;
    if (o->choices != NULL) return VALUE_CHOICES;
    if (strcmp(name, "FILE") == 0 || strcmp(name, "PATH") == 0) return VALUE_FILE;
    if (strcmp(name, "FOLDER") == 0) return VALUE_FOLDER;
    return strcmp(name, "KEY=VALUE") == 0 ? VALUE_SETTING : VALUE_OTHER;
}

/* Writes one option; `context` is what the shell's lines want besides: the command's name, or a condition. */
typedef rt_status (*option_writer)(const option_def *o, const char *context, rt_buf *out,
                                   rt_error *err);

static rt_status write_options(const option_def *o, option_writer write, const char *context,
                               rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (; st == RT_OK && o != NULL && o->name != NULL; o++) st = write(o, context, out, err);
    return st;
}

/* The options of a command, its own first. */
static rt_status each_option(const command *c, option_writer write, const char *context,
                             rt_buf *out, rt_error *err)
{
    rt_status st = write_options(c->options, write, context, out, err);
    return st == RT_OK ? write_options(options_common, write, context, out, err) : st;
}

/* `text` with a `by` before each of the characters `special`. */
static rt_status add_escaped(rt_buf *out, const char *text, const char *special, const char *by,
                             rt_error *err)
{
    rt_status st = RT_OK;
    for (; st == RT_OK && *text != '\0'; text++) {
        if (strchr(special, *text) != NULL) st = rt_buf_add_text(out, by, err);
        if (st == RT_OK) st = rt_buf_add(out, text, 1, err);
    }
    return st;
}

/* Inside '...' of a POSIX shell. */
static rt_status add_quoted(rt_buf *out, const char *text, rt_error *err)
{
    rt_status st = RT_OK;
    for (; st == RT_OK && *text != '\0'; text++)
        st = *text == '\'' ? rt_buf_add_text(out, "'\\''", err) : rt_buf_add(out, text, 1, err);
    return st;
}

static rt_status add_names(const command *const *commands, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < n; i++)
        st = rt_buf_printf(out, err, "%s%s", i > 0 ? " " : "", commands[i]->name);
    return st;
}

static rt_status add_setting_keys(rt_buf *out, const char *after, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < settings_count(); i++)
        st = rt_buf_printf(out, err, "%s%s%s", i > 0 ? " " : "", settings_at(i)->path, after);
    return st;
}

/* ---- bash ---- */

static rt_status bash_name(const option_def *o, const char *context, rt_buf *out, rt_error *err)
{
    (void)context;
    return rt_buf_printf(out, err, "%s ", o->name);
}

static rt_status bash_options(const command *c, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_printf(out, err, "        %s) options='", c->name);
    if (st == RT_OK) st = each_option(c, bash_name, NULL, out, err);
    if (st == RT_OK)
        st = rt_buf_printf(out, err, "' words='%s' ;;\n", c->words != NULL ? c->words : "");
    return st;
}

static rt_status bash_value(const option_def *o, const char *name, rt_buf *out, rt_error *err)
{
    static const char *const kinds[] = {[VALUE_FILE] = "file",
                                        [VALUE_FOLDER] = "folder",
                                        [VALUE_SETTING] = "setting",
                                        [VALUE_OTHER] = "other"};
    value_kind kind = option_value_kind(o);
    if (kind == VALUE_NONE) return RT_OK;
    if (kind == VALUE_CHOICES)
        return rt_buf_printf(out, err, "        %s:%s) kind=choice choices='%s' ;;\n", name,
                             o->name, o->choices);
    return rt_buf_printf(out, err, "        %s:%s) kind=%s ;;\n", name, o->name, kinds[kind]);
}

rt_status completion_bash(const command *const *commands, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st =
        rt_buf_add_text(out,
                        "# Completion of retort for bash, written by `retort completion bash`.\n"
                        "_retort() {\n"
                        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                        "    local command=${COMP_WORDS[1]} options= words= kind= choices=\n"
                        "    COMPREPLY=()\n"
                        "    # --option=value comes as three words.\n"
                        "    if [[ $cur == = ]]; then cur=\n"
                        "    elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
                        "    if ((COMP_CWORD == 1)); then\n"
                        "        COMPREPLY=($(compgen -W '",
                        err);
    if (st == RT_OK) st = add_names(commands, n, out, err);
    if (st == RT_OK)
        st = rt_buf_add_text(out,
                             " --help --version' -- \"$cur\"))\n"
                             "        return\n"
                             "    fi\n"
                             "    case $command in\n",
                             err);
    for (size_t i = 0; st == RT_OK && i < n; i++) st = bash_options(commands[i], out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "    esac\n    case $command:$prev in\n", err);
    for (size_t i = 0; st == RT_OK && i < n; i++)
        st = each_option(commands[i], bash_value, commands[i]->name, out, err);
    if (st == RT_OK)
        st = rt_buf_add_text(
            out,
            "    esac\n"
            "    case $kind in\n"
            "        choice) COMPREPLY=($(compgen -W \"$choices\" -- \"$cur\")) ;;\n"
            "        file) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
            "        folder) compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"
            "        setting) compopt -o nospace; COMPREPLY=($(compgen -W '",
            err);
    if (st == RT_OK) st = add_setting_keys(out, "=", err);
    if (st == RT_OK)
        st = rt_buf_add_text(
            out,
            "' -- \"$cur\")) ;;\n"
            "        other) ;;\n"
            "        *)\n"
            "            if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
            "            elif ((COMP_CWORD == 2)) && [[ $words ]]; then\n"
            "                COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
            "            else compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); fi ;;\n"
            "    esac\n"
            "}\n"
            "complete -F _retort retort\n",
            err);
    return st;
}

/* ---- zsh ---- */

/* '--name[help]:VALUE:action' in single quotes; inside, brackets, colons and backslashes are escaped. */
static rt_status zsh_option(const option_def *o, const char *context, rt_buf *out, rt_error *err)
{
    (void)context;
    rt_buf help = {0};
    bool repeats = strcmp(o->name, "--set") == 0;
    rt_status st = add_escaped(&help, o->help, "[]:\\", "\\", err);
    if (st == RT_OK)
        st = rt_buf_printf(out, err, "                '%s%s%s[", repeats ? "*" : "", o->name,
                           o->value_name != NULL ? "=" : "");
    if (st == RT_OK) st = add_quoted(out, help.data, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "]", err);
    if (st == RT_OK && o->value_name != NULL) st = rt_buf_printf(out, err, ":%s:", o->value_name);
    rt_buf_free(&help);
    if (st != RT_OK) return st;
    switch (option_value_kind(o)) {
    case VALUE_CHOICES: st = rt_buf_printf(out, err, "(%s)", o->choices); break;
    case VALUE_FILE: st = rt_buf_add_text(out, "_files", err); break;
    case VALUE_FOLDER: st = rt_buf_add_text(out, "_files -/", err); break;
    case VALUE_SETTING: st = rt_buf_add_text(out, "_retort_settings", err); break;
    case VALUE_NONE:
    case VALUE_OTHER: break;
    }
    return st == RT_OK ? rt_buf_add_text(out, "' \\\n", err) : st;
}

static rt_status zsh_command(const command *c, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_printf(out, err, "        %s)\n            _arguments -s \\\n", c->name);
    if (st == RT_OK) st = each_option(c, zsh_option, NULL, out, err);
    if (st == RT_OK && c->words != NULL)
        st = rt_buf_printf(out, err, "                '1:what:(%s)' \\\n", c->words);
    return st == RT_OK ? rt_buf_add_text(out, "                '*:file:_files' ;;\n", err) : st;
}

rt_status completion_zsh(const command *const *commands, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st =
        rt_buf_add_text(out,
                        "#compdef retort\n"
                        "# Completion of retort for zsh, written by `retort completion zsh`.\n"
                        "_retort_settings() {\n"
                        "    local -a keys=(",
                        err);
    if (st == RT_OK) st = add_setting_keys(out, "", err);
    if (st == RT_OK)
        st = rt_buf_add_text(out,
                             ")\n"
                             "    compadd -S = -a keys\n"
                             "}\n"
                             "_retort() {\n"
                             "    local -a commands=(\n",
                             err);
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        st = rt_buf_printf(out, err, "        '%s:", commands[i]->name);
        if (st == RT_OK) st = add_quoted(out, commands[i]->summary, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "'\n", err);
    }
    if (st == RT_OK)
        st = rt_buf_add_text(out,
                             "    )\n"
                             "    if ((CURRENT == 2)); then\n"
                             "        _describe command commands\n"
                             "        return\n"
                             "    fi\n"
                             "    local command=$words[2]\n"
                             "    shift words\n"
                             "    ((CURRENT--))\n"
                             "    case $command in\n",
                             err);
    for (size_t i = 0; st == RT_OK && i < n; i++) st = zsh_command(commands[i], out, err);
    if (st == RT_OK)
        st = rt_buf_add_text(
            out,
            "    esac\n"
            "}\n"
            "if [[ $funcstack[1] == _retort ]]; then _retort \"$@\"; else compdef _retort retort; fi\n",
            err);
    return st;
}

/* ---- fish ---- */

/* Inside '...' of fish, where \ and ' are escaped by \. */
static rt_status add_fish(rt_buf *out, const char *text, rt_error *err)
{
    return add_escaped(out, text, "\\'", "\\", err);
}

static rt_status fish_option(const option_def *o, const char *when, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_printf(out, err, "complete -c retort %s -l %s", when, o->name + 2);
    switch (option_value_kind(o)) {
    case VALUE_CHOICES: st = rt_buf_printf(out, err, " -x -a '%s'", o->choices); break;
    case VALUE_FILE: st = rt_buf_add_text(out, " -r -F", err); break;
    case VALUE_FOLDER:
        st = rt_buf_add_text(out, " -x -a '(__fish_complete_directories)'", err);
        break;
    case VALUE_SETTING: st = rt_buf_add_text(out, " -x -a \"$__retort_settings\"", err); break;
    case VALUE_OTHER: st = rt_buf_add_text(out, " -x", err); break;
    case VALUE_NONE: break;
    }
    if (st == RT_OK) st = rt_buf_add_text(out, " -d '", err);
    if (st == RT_OK) st = add_fish(out, o->help, err);
    return st == RT_OK ? rt_buf_add_text(out, "'\n", err) : st;
}

static rt_status fish_command(const command *c, rt_buf *out, rt_error *err)
{
    rt_buf when = {0};
    rt_status st = rt_buf_printf(
        out, err, "complete -c retort -n __fish_use_subcommand -f -a %s -d '", c->name);
    if (st == RT_OK) st = add_fish(out, c->summary, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "'\n", err);
    if (st == RT_OK) st = rt_buf_printf(&when, err, "-n '__fish_seen_subcommand_from %s'", c->name);
    if (st == RT_OK && c->words != NULL)
        st = rt_buf_printf(out, err, "complete -c retort %s -f -a '%s'\n", when.data, c->words);
    if (st == RT_OK) st = each_option(c, fish_option, when.data, out, err);
    rt_buf_free(&when);
    return st;
}

rt_status completion_fish(const command *const *commands, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st =
        rt_buf_add_text(out,
                        "# Completion of retort for fish, written by `retort completion fish`.\n"
                        "set -g __retort_settings '",
                        err);
    if (st == RT_OK) st = add_setting_keys(out, "=", err);
    if (st == RT_OK) st = rt_buf_add_text(out, "'\n", err);
    for (size_t i = 0; st == RT_OK && i < n; i++) st = fish_command(commands[i], out, err);
    return st;
}
