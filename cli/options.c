#include "cli/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/nearest.h"

#define OPTION_NAMES_MAX 128

const option_def options_common[] = {
    {"--config", "FILE", "settings of the run", "retort.yaml"},
    {"--set", "KEY=VALUE", "replace one setting, such as train.steps=100; repeatable", NULL},
    {"--json", NULL, "print the result, or the error, as JSON to stdout", NULL},
    {"--log-level", "LEVEL", "debug, info, warn or error", "info", "debug info warn error"},
    {"--help", NULL, "print this help (also -h)", NULL},
    {0},
};

typedef struct given {
    const option_def *def;
    const char *value;
} given;

struct options {
    const option_def *defs;
    given *given;
    size_t n_given;
    const char **args;
    unsigned n_args;
    const char **sets; /* ended by NULL */
    size_t n_sets;
    rt_log_level log_level;
};

static const option_def *find_in(const option_def *defs, const char *name, size_t n_name)
{
    for (; defs != NULL && defs->name != NULL; defs++)
        if (strlen(defs->name) == n_name && memcmp(defs->name, name, n_name) == 0) return defs;
    return NULL;
}

static const option_def *find_def(const option_def *defs, const char *name, size_t n_name)
{
    const option_def *def = find_in(defs, name, n_name);
    return def != NULL ? def : find_in(options_common, name, n_name);
}

const char *options_nearest(const char *text, const char *const *candidates)
{
    return name_nearest(text, candidates);
}

static rt_status fail_unknown(const option_def *defs, const char *name, size_t n_name,
                              rt_error *err)
{
    const char *names[OPTION_NAMES_MAX + 1];
    char found[80];
    size_t n = 0;
    for (const option_def *d = defs; d != NULL && d->name != NULL && n < OPTION_NAMES_MAX; d++)
        names[n++] = d->name;
    for (const option_def *d = options_common; d->name != NULL && n < OPTION_NAMES_MAX; d++)
        names[n++] = d->name;
    names[n] = NULL;
    n_name = RT_MIN(n_name, sizeof found - 1);
    memcpy(found, name, n_name);
    found[n_name] = '\0';
    const char *nearest = name_nearest(found, names);
    return rt_fail(err, RT_INVALID, "unknown option %s%s%s%s; --help lists them", found,
                   nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "?" : "");
}

/* One option at argv[*i]; *i moves on to the last word that belongs to it. */
static rt_status take_option(options *o, int argc, char *const *argv, int *i, rt_error *err)
{
    const char *word = strcmp(argv[*i], "-h") == 0 ? "--help" : argv[*i];
    size_t n_name = strcspn(word, "=");
    const char *value = word[n_name] == '=' ? word + n_name + 1 : NULL;
    const option_def *def = find_def(o->defs, word, n_name);
    if (def == NULL) return fail_unknown(o->defs, word, n_name, err);
    if (def->value_name == NULL && value != NULL)
        return rt_fail(err, RT_INVALID, "%s takes no value, found '%s'", def->name, value);
    if (def->value_name != NULL && value == NULL) {
        const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
        if (next == NULL || strncmp(next, "--", 2) == 0)
            return rt_fail(err, RT_INVALID, "%s needs a value: %s %s%s%s", def->name, def->name,
                           def->value_name, next != NULL ? ", found the option " : "",
                           next != NULL ? next : "");
        value = next;
        ++*i;
    }
    o->given[o->n_given++] = (given){.def = def, .value = value};
    if (def == find_in(options_common, "--set", 5)) o->sets[o->n_sets++] = value;
    return RT_OK;
}

rt_status options_parse(const option_def *defs, unsigned n_args_min, unsigned n_args_max, int argc,
                        char *const *argv, options **out, rt_error *err)
{
    rt_status st = RT_OK;
    bool only_args = false;
    size_t n = argc < 0 ? 1 : (size_t)argc + 1;
    options *o = rt_calloc(1, sizeof *o);
    if (o != NULL) {
        o->defs = defs;
        o->given = rt_calloc(n, sizeof *o->given);
        o->args = rt_calloc(n, sizeof *o->args);
        o->sets = rt_calloc(n, sizeof *o->sets);
    }
    if (o == NULL || o->given == NULL || o->args == NULL || o->sets == NULL) {
        st = rt_fail(err, RT_NOMEM, "command line");
        goto out;
    }
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (only_args || word[0] != '-' || word[1] == '\0')
            o->args[o->n_args++] = word;
        else if (strcmp(word, "--") == 0)
            only_args = true;
        else if ((st = take_option(o, argc, argv, &i, err)) != RT_OK)
            goto out;
    }
    st = rt_log_level_parse(options_value(o, "--log-level"), &o->log_level, err);
    if (st != RT_OK) {
        st = rt_wrap(err, st, "--log-level");
        goto out;
    }
    if (!options_help(o) && o->n_args < n_args_min)
        st = rt_fail(err, RT_INVALID, "found %u arguments, expected at least %u; see --help",
                     o->n_args, n_args_min);
    if (!options_help(o) && o->n_args > n_args_max)
        st = rt_fail(err, RT_INVALID, "found the argument '%s', expected %s; see --help",
                     o->args[n_args_max], n_args_max == 0 ? "only options" : "no more");
    if (st != RT_OK) goto out;
    *out = o;
    o = NULL;
out:
    options_free(o);
    return st;
}

void options_free(options *o)
{
    if (o == NULL) return;
    free(o->given);
    free(o->args);
    free(o->sets);
    free(o);
}

static const given *find_given(const options *o, const option_def *def)
{
    for (size_t i = o->n_given; i-- > 0;)
        if (o->given[i].def == def) return &o->given[i];
    return NULL;
}

bool options_has(const options *o, const char *name)
{
    const option_def *def = find_def(o->defs, name, strlen(name));
    RT_ASSERT(def != NULL);
    return find_given(o, def) != NULL;
}

const char *options_value(const options *o, const char *name)
{
    const option_def *def = find_def(o->defs, name, strlen(name));
    RT_ASSERT(def != NULL);
    const given *g = find_given(o, def);
    return g != NULL ? g->value : def->default_value;
}

rt_status options_u64(const options *o, const char *name, uint64_t min, uint64_t max, uint64_t *out,
                      rt_error *err)
{
    const char *text = options_value(o, name);
    uint64_t n;
    if (text == NULL) return RT_OK;
    if (!rt_parse_u64(text, &n) || n < min || n > max)
        return rt_fail(err, RT_INVALID,
                       "%s: found '%s', expected a whole number from %" PRIu64 " to %" PRIu64, name,
                       text, min, max);
    *out = n;
    return RT_OK;
}

rt_status options_halves(const options *o, bool *out, rt_error *err)
{
    const char *text = options_value(o, "--dtype");
    if (text == NULL) return RT_OK;
    if (strcmp(text, "f32") != 0 && strcmp(text, "bf16") != 0)
        return rt_fail(err, RT_INVALID, "--dtype: found '%s', expected f32 or bf16", text);
    *out = text[0] == 'b';
    return RT_OK;
}

rt_status options_double(const options *o, const char *name, double min, double max, double *out,
                         rt_error *err)
{
    const char *text = options_value(o, name);
    double x;
    if (text == NULL) return RT_OK;
    if (!rt_parse_double(text, &x) || !(x >= min && x <= max))
        return rt_fail(err, RT_INVALID, "%s: found '%s', expected a number from %.10g to %.10g",
                       name, text, min, max);
    *out = x;
    return RT_OK;
}

unsigned options_n_args(const options *o)
{
    return o->n_args;
}

const char *options_arg(const options *o, unsigned i_arg)
{
    RT_ASSERT(i_arg < o->n_args);
    return o->args[i_arg];
}

bool options_json(const options *o)
{
    return options_has(o, "--json");
}

bool options_help(const options *o)
{
    return options_has(o, "--help");
}

rt_log_level options_log_level(const options *o)
{
    return o->log_level;
}

const char *options_config_path(const options *o)
{
    return options_value(o, "--config");
}

const char *const *options_sets(const options *o)
{
    return o->sets;
}

rt_status options_load_config(const options *o, config **out, rt_error *err)
{
    const char *path = options_config_path(o);
    rt_error inner = {0};
    rt_status st = config_load(path, o->sets, out, &inner);
    if (st == RT_NOTFOUND && !options_has(o, "--config"))
        return rt_fail(err, RT_INVALID,
                       "no settings: --config FILE is not given and there is no %s here", path);
    if (st != RT_OK) return rt_fail(err, st, "%s", inner.text);
    return RT_OK;
}
