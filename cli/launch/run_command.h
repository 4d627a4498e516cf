/* What `retort run`, `retort label` and `retort train` share: launch, finish, show. */
#ifndef RT_CLI_LAUNCH_RUN_COMMAND_H
#define RT_CLI_LAUNCH_RUN_COMMAND_H

#include "cli/command.h"
#include "cli/launch/launcher.h"

/* Of `retort run` and `retort label`. */
#define TRAIN_ANEW_OPTION                                                                         \
    {                                                                                             \
        "--train-anew", NULL,                                                                     \
            "first move the training of this run to RUN_DIR/retired-N: a new student is trained " \
            "on all labels",                                                                      \
            NULL                                                                                  \
    }

/* The whole command for one stage; `dataset` is for LAUNCH_TRAIN. Returns the exit code. */
int run_command(const options *o, launch_stage stage, const char *dataset);

#endif
