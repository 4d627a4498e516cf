/* The schema of libcyaml, built from the table of settings. */
#include <string.h>

#include "common/conf/settings.h"

static cyaml_schema_value_t text_value(void)
{
    return (cyaml_schema_value_t){.type = CYAML_STRING,
                                  .flags = CYAML_FLAG_POINTER,
                                  .data_size = sizeof(char),
                                  .string = {.min = 0, .max = CYAML_UNLIMITED}};
}

/* One field; `names` has room for an enum's names, and the number used is returned. */
static size_t build_field(const setting *s, const cyaml_schema_value_t *item,
                          cyaml_schema_field_t *field, cyaml_strval_t *names)
{
    size_t n_names = 0;
    cyaml_schema_value_t v = {0};
    *field = (cyaml_schema_field_t){.key = s->key, .data_offset = (uint32_t)s->offset};
    switch (s->type) {
    case SETTING_TEXT:
    case SETTING_SECRET: v = text_value(); break;
    case SETTING_LIST:
        v.type = CYAML_SEQUENCE;
        v.flags = CYAML_FLAG_POINTER;
        v.data_size = sizeof(char *);
        v.sequence.entry = item;
        v.sequence.max = CYAML_UNLIMITED;
        field->count_offset = (uint32_t)(s->offset + offsetof(text_list, n));
        field->count_size = sizeof(unsigned);
        break;
    case SETTING_U64: v = (cyaml_schema_value_t){CYAML_VALUE_UINT(0, uint64_t)}; break;
    case SETTING_DOUBLE: v = (cyaml_schema_value_t){CYAML_VALUE_FLOAT(0, double)}; break;
    case SETTING_BOOL: v = (cyaml_schema_value_t){CYAML_VALUE_BOOL(0, bool)}; break;
    case SETTING_ENUM:
        for (; s->names[n_names] != NULL; n_names++)
            names[n_names] = (cyaml_strval_t){.str = s->names[n_names], .val = (int64_t)n_names};
        v.type = CYAML_ENUM;
        v.flags = CYAML_FLAG_STRICT;
        v.data_size = sizeof(answer_kind);
        v.enumeration.strings = names;
        v.enumeration.count = (uint32_t)n_names;
        break;
    }
    field->value = v;
    return n_names;
}

/* Offsets are those of the whole config, so a section is a mapping at offset 0: the struct's
 * nesting need not follow the file's. Arrays of fields end with an empty one. */
void settings_build_schema(settings_schema *schema)
{
    memset(schema, 0, sizeof *schema);
    size_t n_top = 0, n_fields = 0, n_names = 0;
    const char *section = "";
    schema->item = text_value();
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        RT_ASSERT(n_names + 8 <= RT_COUNT(schema->names));
        RT_ASSERT(n_top < SETTINGS_SECTIONS_MAX && n_fields + 3 < RT_COUNT(schema->fields));
        cyaml_schema_field_t *field;
        if (s->section[0] == '\0') {
            field = &schema->top_fields[n_top++];
        } else {
            if (strcmp(s->section, section) != 0) {
                n_fields++;
                section = s->section;
                cyaml_schema_field_t *top = &schema->top_fields[n_top++];
                top->key = section;
                top->value.type = CYAML_MAPPING;
                top->value.data_size = sizeof(config);
                top->value.mapping.fields = &schema->fields[n_fields];
            }
            field = &schema->fields[n_fields++];
        }
        n_names += build_field(s, &schema->item, field, &schema->names[n_names]);
    }
    schema->top.type = CYAML_MAPPING;
    schema->top.flags = CYAML_FLAG_POINTER;
    schema->top.data_size = sizeof(config);
    schema->top.mapping.fields = schema->top_fields;
}
