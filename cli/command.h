/* A subcommand of `retort`: its texts, its options and its function.
 *
 *     static int run_eval(const options *o)
 *     {
 *         rt_error err = {0};
 *         config *c = NULL;
 *         int code = EXIT_CODE_OK;
 *         if (options_load_config(o, &c, &err) != RT_OK) { code = command_fail(o, &err); goto out; }
 *         ...
 *     out:
 *         config_free(c);
 *         return code;
 *     }
 *     const command cmd_eval = {.name = "eval", .summary = "score a student", .run = run_eval, ...};
 *
 * Each cli/cmd_NAME.c defines one `const command cmd_NAME`, declared in the list at the end of this
 * file; main.c's table names those that exist. The frame parses the options, answers --help,
 * starts the log, calls run() and exits with what it returns. Results go to stdout, everything
 * else to stderr.
 */
#ifndef RT_CLI_COMMAND_H
#define RT_CLI_COMMAND_H

#include "cli/exit_codes.h"
#include "cli/options.h"

typedef struct command {
    const char *name;
    const char *summary;       /* one line, lower case, no full stop: NAME section, command list */
    const char *synopsis;      /* after "retort NAME ": "[options] FILE..."; lines for several */
    const char *description;   /* paragraphs, wrapped at 76 columns, each line ended by \n */
    const option_def *options; /* own options, ended by {0}; NULL: none */
    const char *examples;      /* lines, each ended by \n; NULL: none */
    unsigned n_args_min, n_args_max; /* positional arguments; UINT_MAX: any number */
    int (*run)(const options *o);    /* returns an exit_code */
    bool computes;                   /* it or its children use a model, see waiting_policy.h */
    const char *words;               /* what the first argument may be, for completion; NULL: any */
} command;

/* Report a failure and return its exit code: the text to stderr, and with --json also
 * {"error":{"status":...,"message":...}} to stdout. `o` may be NULL. */
int command_fail(const options *o, const rt_error *err);

/* The same before there are options. */
int command_fail_as(bool as_json, const rt_error *err);

/* Parts of the help, and the man-page style help of one command. Each adds to *out. */
RT_MUST_USE rt_status command_help_options(const option_def *defs, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status command_help_exit_codes(rt_buf *out, rt_error *err);
RT_MUST_USE rt_status command_help(const command *c, rt_buf *out, rt_error *err);

extern const command cmd_init;
extern const command cmd_doctor;
extern const command cmd_run;
extern const command cmd_coordinator;
extern const command cmd_teacher;
extern const command cmd_student;
extern const command cmd_server;
extern const command cmd_label;
extern const command cmd_train;
extern const command cmd_eval;
extern const command cmd_predict;
extern const command cmd_serve;
extern const command cmd_report;
extern const command cmd_stats;
extern const command cmd_probe;
extern const command cmd_audit;
extern const command cmd_rejections;
extern const command cmd_batch;
extern const command cmd_export;
extern const command cmd_convert;
extern const command cmd_model;
extern const command cmd_config;
extern const command cmd_tokenizer;
extern const command cmd_keys;
extern const command cmd_keygen;
extern const command cmd_completion;
extern const command cmd_help;
extern const command cmd_version;

/* All of them, in the order of the help; main.c has it. */
const command *const *command_table(size_t *n);

#endif
