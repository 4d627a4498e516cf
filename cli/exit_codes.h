/* What the exit code of `retort` tells a script. One list: code, name, meaning for --help. */
#ifndef RT_CLI_EXIT_CODES_H
#define RT_CLI_EXIT_CODES_H

#include "common/base/status.h"

#define EXIT_CODE_LIST(X)                                                            \
    X(EXIT_CODE_OK, 0, "success")                                                    \
    X(EXIT_CODE_FAILED, 1, "the run failed; the message says why")                   \
    X(EXIT_CODE_USAGE, 2, "wrong usage or a wrong setting")                          \
    X(EXIT_CODE_DATA, 3, "bad input data: too many bad rows, or a corrupt file")     \
    X(EXIT_CODE_ENVIRONMENT, 4,                                                      \
      "the environment: Redis, ports, disk, memory, a peer out of reach")            \
    X(EXIT_CODE_AUDIT, 5, "the audit does not close")                                \
    X(EXIT_CODE_BUDGET, 6, "the budget was spent before every example was labelled") \
    X(EXIT_CODE_INTERRUPTED, 130, "interrupted; what was in hand is drained, run again to go on")

typedef enum exit_code {
#define X(code, value, meaning) code = (value),
    EXIT_CODE_LIST(X)
#undef X
} exit_code;

/* The exit code for a status that ends a command. RT_INVALID is wrong usage, RT_CORRUPT is bad
 * data, RT_IO, RT_TIMEOUT, RT_UNAVAILABLE and RT_NOMEM are the environment, RT_CANCELLED is an
 * interruption; what is left is a failed run. A command that knows better returns its own code. */
exit_code exit_code_of(rt_status status);

#endif
