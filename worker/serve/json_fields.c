#include "worker/serve/json_fields.h"

#include <inttypes.h>
#include <string.h>

static const json_t *find(const json_t *root, const char *name, bool *given)
{
    const json_t *value = json_object_get(root, name);
    if (json_is_null(value)) value = NULL;
    if (given != NULL) *given = value != NULL;
    return value;
}

bool field_bool(const json_t *root, const char *name, bool *out, api_error *why)
{
    const json_t *value = find(root, name, NULL);
    if (value == NULL) return true;
    if (!json_is_boolean(value))
        return api_refuse(why, API_BAD_REQUEST, name, "%s: expected true or false", name);
    *out = json_is_true(value);
    return true;
}

bool field_u64(const json_t *root, const char *name, uint64_t min, uint64_t max, uint64_t *out,
               bool *given, api_error *why)
{
    const json_t *value = find(root, name, given);
    if (value == NULL) return true;
    if (!json_is_integer(value))
        return api_refuse(why, API_BAD_REQUEST, name,
                          "%s: expected an integer from %" PRIu64 " to %" PRIu64, name, min, max);
    json_int_t found = json_integer_value(value);
    if (found < 0 || (uint64_t)found < min || (uint64_t)found > max)
        return api_refuse(why, API_BAD_REQUEST, name,
                          "%s: found %" JSON_INTEGER_FORMAT ", expected %" PRIu64 " to %" PRIu64,
                          name, found, min, max);
    *out = (uint64_t)found;
    return true;
}

bool field_i64(const json_t *root, const char *name, int64_t *out, bool *given, api_error *why)
{
    const json_t *value = find(root, name, given);
    if (value == NULL) return true;
    if (!json_is_integer(value))
        return api_refuse(why, API_BAD_REQUEST, name, "%s: expected an integer of 64 bits", name);
    *out = json_integer_value(value);
    return true;
}

bool field_real(const json_t *root, const char *name, double min, double max, double *out,
                bool *given, api_error *why)
{
    const json_t *value = find(root, name, given);
    if (value == NULL) return true;
    double found = json_number_value(value);
    if (!json_is_number(value) || !(found >= min && found <= max))
        return api_refuse(why, API_BAD_REQUEST, name, "%s: expected a number from %g to %g", name,
                          min, max);
    *out = found;
    return true;
}

/* Absent, null, false, 0, an empty list or object: the field changes nothing. */
static bool is_off(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
    case JSON_FALSE: return true;
    case JSON_INTEGER:
    case JSON_REAL: return json_number_value(value) == 0;
    case JSON_ARRAY: return json_array_size(value) == 0;
    case JSON_OBJECT: return json_object_size(value) == 0;
    case JSON_STRING: return json_string_length(value) == 0;
    default: return false;
    }
}

/* Values that say "off" in words. */
static bool is_off_word(const char *name, const json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    if (strcmp(name, "response_format") == 0) return type != NULL && strcmp(type, "text") == 0;
    if (strcmp(name, "best_of") == 0) return json_integer_value(value) == 1;
    if (strcmp(name, "repetition_penalty") == 0) return json_number_value(value) == 1;
    if (strcmp(name, "tool_choice") == 0 || strcmp(name, "function_call") == 0)
        return json_is_string(value) && strcmp(json_string_value(value), "none") == 0;
    return false;
}

bool fields_are_offered(const json_t *root, api_error *why)
{
    static const char *const names[] = {
        "best_of",
        "echo",
        "suffix",
        "frequency_penalty",
        "functions",
        "logit_bias",
        "presence_penalty",
        "repetition_penalty",
        "min_p",
        "min_tokens",
        "ignore_eos",
        "response_format",
        "tools",
        "tool_choice",
        "function_call",
        "prompt_logprobs",
        "guided_json",
        "guided_regex",
        "stop_token_ids",
        "structured_outputs",
        "audio",
        "use_beam_search",
    };
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        const json_t *value = json_object_get(root, names[i]);
        if (value != NULL && !is_off(value) && !is_off_word(names[i], value))
            return api_refuse(why, API_UNSUPPORTED, names[i],
                              "%s: is not offered by this server; leave it out", names[i]);
    }
    return true;
}
