/* Completion scripts for shells, written from the table of commands: commands, their first words, options,
 * and values as far as they are known (fixed choices, files, folders, keys of settings).
 *
 *     if ((st = completion_bash(commands, n, &text, &err)) != RT_OK) ...
 */
#ifndef RT_CLI_PAGES_COMPLETION_H
#define RT_CLI_PAGES_COMPLETION_H

#include "cli/command.h"

/* Each adds to *out. */
RT_MUST_USE rt_status completion_bash(const command *const *commands, size_t n, rt_buf *out,
                                      rt_error *err);
RT_MUST_USE rt_status completion_zsh(const command *const *commands, size_t n, rt_buf *out,
                                     rt_error *err);
RT_MUST_USE rt_status completion_fish(const command *const *commands, size_t n, rt_buf *out,
                                      rt_error *err);

/* What may stand for the value of an option. */
typedef enum value_kind {
    VALUE_NONE, /* a flag */
    VALUE_CHOICES,
    VALUE_FILE,
    VALUE_FOLDER,
    VALUE_SETTING, /* KEY=VALUE */
    VALUE_OTHER,
} value_kind;

value_kind option_value_kind(const option_def *o);

#endif
