/* The help of the program, and what is said of a command that there is not. */
#ifndef RT_CLI_HELP_H
#define RT_CLI_HELP_H

#include "cli/command.h"

/* NULL when there is none of that name. */
const command *help_find_command(const char *name);
/* The help of a command, NULL: of the program, to standard output. Each returns an exit code. */
int help_print(const command *c);
/* To standard error: there was no command. */
int help_print_usage(void);
int help_unknown_command(bool as_json, const char *name);

#endif
