/* `--dry-run` of `retort run` and `retort label`: what would be asked, and what it would cost. */
#ifndef RT_CLI_DRY_RUN_H
#define RT_CLI_DRY_RUN_H

#include "cli/command.h"

#define DRY_RUN_OPTIONS                                                                        \
    {"--dry-run", NULL, "show prompts, tokens and price; start nothing, spend nothing", NULL}, \
    {                                                                                          \
        "--show", "N", "with --dry-run: show the prompts of the first N rows", "3"             \
    }

/* The whole command. Starts no process and asks nobody; the corpus is read into RUN_DIR/corpus, as
 * the run itself would. `whole_run`: with the teacher's evaluation, which labelling alone does without. */
int dry_run_command(const options *o, bool whole_run);

#endif
