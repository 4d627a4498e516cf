/* Manual pages in roff, written from the table of commands.
 *
 *     st = man_of_command(&cmd_run, &page, &err);            retort-run(1)
 *     st = man_of_program(commands, n, &page, &err);         retort(1)
 */
#ifndef RT_CLI_PAGES_MAN_H
#define RT_CLI_PAGES_MAN_H

#include "cli/command.h"

/* Each adds to *out. */
RT_MUST_USE rt_status man_of_command(const command *c, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status man_of_program(const command *const *commands, size_t n, rt_buf *out,
                                     rt_error *err);
/* Text so that roff shows it as it stands; what is in `backticks` in bold. */
RT_MUST_USE rt_status man_text(const char *text, size_t n, rt_buf *out, rt_error *err);

#endif
