/* The table of settings: one line for each, and everything about it is derived from that line.
 *
 *     for (size_t i = 0; i < settings_count(); i++) {
 *         const setting *s = settings_at(i);
 *         printf("%s %s\n", s->path, s->help);
 *     }
 *
 * Parser, `--set`, `retort config print` and docs/config.md read it; a setting that is not in the
 * table does not exist.
 */
#ifndef RT_CONF_SETTINGS_H
#define RT_CONF_SETTINGS_H

#include <cyaml/cyaml.h>

#include "common/conf/config.h"

typedef enum setting_type {
    SETTING_TEXT,
    SETTING_SECRET, /* text that says where a secret is, never the secret */
    SETTING_LIST,   /* of texts */
    SETTING_U64,
    SETTING_DOUBLE,
    SETTING_BOOL,
    SETTING_ENUM,
} setting_type;

typedef struct setting {
    const char *path;    /* "train.steps" */
    const char *key;     /* "steps", the last part of path */
    const char *section; /* "train"; "" at the top */
    setting_type type;
    size_t offset;            /* in config */
    double min, max;          /* of a number; whole numbers stay below 2^53 */
    const char *default_text; /* as in YAML; of a list: one item, or "" for none */
    const char *unit;         /* "" = none */
    const char *help;
    /* Of an enum, in order of value; of a list, the items that are allowed (NULL: any). Ends with
     * NULL. */
    const char *const *names;
    bool decides_student; /* counts for the fingerprint */
} setting;

size_t settings_count(void);
const setting *settings_at(size_t i_setting);
/* Setting by section ("" at the top) and key, or NULL. */
const setting *settings_find(const char *section, const char *key);
/* Setting by path, or NULL. */
const setting *settings_find_path(const char *path);
size_t settings_index(const setting *s);
bool settings_is_section(const char *name);

/* What a setting expects, for messages and the reference: "a whole number from 1 to 64". */
RT_MUST_USE rt_status settings_expected(const setting *s, rt_buf *out, rt_error *err);

/* The libcyaml schema of the whole config, built from the table. Self-referential: do not copy. */
#define SETTINGS_MAX          256
#define SETTINGS_SECTIONS_MAX 24
typedef struct settings_schema {
    cyaml_schema_value_t top;
    cyaml_schema_value_t item; /* of a list */
    cyaml_schema_field_t top_fields[SETTINGS_SECTIONS_MAX + 1];
    cyaml_schema_field_t fields[SETTINGS_MAX + SETTINGS_SECTIONS_MAX];
    cyaml_strval_t names[SETTINGS_MAX];
} settings_schema;
void settings_build_schema(settings_schema *schema);

#endif
