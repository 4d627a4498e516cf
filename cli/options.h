/* Command-line options: one small table per subcommand, the same manners everywhere.
 *
 *     static const option_def eval_options[] = {
 *         {"--model", "FOLDER", "student to score", NULL},
 *         {"--rows", "N", "score at most N rows", "1000"},
 *         {"--teacher", NULL, "score the teacher too", NULL},    // takes no value
 *         {0},
 *     };
 *     ...
 *     const char *model = options_value(o, "--model");            // NULL: not given, no default
 *     if ((st = options_u64(o, "--rows", 1, 1000000, &n_rows, &err)) != RT_OK) goto out;
 *     if (options_has(o, "--teacher")) ...
 *
 * "--opt value" and "--opt=value" are the same; "--" ends the options; a value option given twice
 * keeps the last one. Every command also takes --config FILE, --set key=value (repeatable),
 * --json, --log-level LEVEL and -h/--help. An unknown option is RT_INVALID with the nearest known
 * one in the message. Asking for an option that is in no table is a bug and asserts.
 */
#ifndef RT_CLI_OPTIONS_H
#define RT_CLI_OPTIONS_H

#include "common/base/log.h"
#include "common/conf/config.h"

typedef struct option_def {
    const char *name;          /* "--rows"; NULL ends the table */
    const char *value_name;    /* "N" in the help; NULL: a flag without a value */
    const char *help;          /* one line */
    const char *default_value; /* NULL: none */
    const char *choices;       /* the values there are, with blanks between; NULL: any */
} option_def;

typedef struct options options;

/* The options every command has, ended by {0}. */
extern const option_def options_common[];

/* Parse argv[0..argc), without program and command name. `defs` may be NULL. Keeps `defs` and
 * argv's strings alive in use: both must outlive the result. Returns new; options_free(). */
RT_MUST_USE rt_status options_parse(const option_def *defs, unsigned n_args_min,
                                    unsigned n_args_max, int argc, char *const *argv, options **out,
                                    rt_error *err);
void options_free(options *o);

/* True when the option stands on the command line (defaults do not count). */
bool options_has(const options *o, const char *name);
/* The value given last, else the default, else NULL. Valid as long as `o`. */
const char *options_value(const options *o, const char *name);
/* The same as a number in [min, max]; *out is untouched when the option has no value at all. */
RT_MUST_USE rt_status options_u64(const options *o, const char *name, uint64_t min, uint64_t max,
                                  uint64_t *out, rt_error *err);
RT_MUST_USE rt_status options_double(const options *o, const char *name, double min, double max,
                                     double *out, rt_error *err);

/* Whether --dtype asks that decoding keeps bfloat16; *out is untouched without it. */
RT_MUST_USE rt_status options_halves(const options *o, bool *out, rt_error *err);

/* Positional arguments. */
unsigned options_n_args(const options *o);
const char *options_arg(const options *o, unsigned i_arg);

bool options_json(const options *o);
bool options_help(const options *o);
/* Level of --log-level, default info (checked at parse time). */
rt_log_level options_log_level(const options *o);
/* Path of --config, default "retort.yaml". */
const char *options_config_path(const options *o);
/* Texts of all --set, ended by NULL; never NULL itself. */
const char *const *options_sets(const options *o);

/* Load the config that --config and --set describe. Returns new; freed with config_free(). */
RT_MUST_USE rt_status options_load_config(const options *o, config **out, rt_error *err);

/* The candidate nearest to `text`, or NULL when none is near enough to be a slip of the keys.
 * `candidates` ends with NULL. */
const char *options_nearest(const char *text, const char *const *candidates);

#endif
