#include "common/corpus/json_slice.h"

#include <jansson.h>
#include <string.h>

static size_t skip_space(json_slice s, size_t at)
{
    while (at < s.n && strchr(" \t\r\n", s.text[at]) != NULL && s.text[at] != '\0') at++;
    return at;
}

/* Behind the string that begins at `at`. */
static size_t skip_string(json_slice s, size_t at)
{
    for (at++; at < s.n && s.text[at] != '"'; at++)
        if (s.text[at] == '\\') at++;
    return at < s.n ? at + 1 : s.n;
}

/* Behind the value that begins at `at`. No recursion: depth is a number. */
static size_t skip_value(json_slice s, size_t at)
{
    size_t depth = 0;
    while (at < s.n) {
        char c = s.text[at];
        if (c == '"') {
            at = skip_string(s, at);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if (c == '}' || c == ']') {
            if (depth <= 1) return depth == 1 ? at + 1 : at;
            depth--;
            at++;
            continue;
        } else if (depth == 0) {
            while (at < s.n && strchr(",]} \t\r\n", s.text[at]) == NULL) at++;
            return at;
        } else {
            at++;
        }
        if (depth == 0) return at;
    }
    return at;
}

static json_slice part(json_slice s, size_t from, size_t to)
{
    return (json_slice){s.text + from, to - from};
}

static json_slice trim(json_slice s)
{
    size_t from = skip_space(s, 0);
    while (s.n > from && strchr(" \t\r\n", s.text[s.n - 1]) != NULL) s.n--;
    return part(s, from, s.n);
}

static char first_of(json_slice s)
{
    return s.n == 0 ? '\0' : s.text[0];
}

/* Append the decoded text of a string slice. */
static rt_status decode_string(json_slice s, rt_buf *out, rt_error *err)
{
    if (s.n >= 2 && memchr(s.text, '\\', s.n) == NULL)
        return rt_buf_add(out, s.text + 1, s.n - 2, err);
    json_error_t where;
    json_t *value = json_loadb(s.text, s.n, JSON_DECODE_ANY, &where);
    if (value == NULL) return rt_fail(err, RT_CORRUPT, "string: %s", where.text);
    rt_status st = rt_buf_add(out, json_string_value(value), json_string_length(value), err);
    json_decref(value);
    return st;
}

static bool key_equals(json_slice key, const char *name, size_t n)
{
    if (memchr(key.text, '\\', key.n) == NULL)
        return key.n == n + 2 && memcmp(key.text + 1, name, n) == 0;
    rt_buf decoded = {0};
    bool equal = decode_string(key, &decoded, NULL) == RT_OK && decoded.n == n &&
                 memcmp(decoded.data, name, n) == 0;
    rt_buf_free(&decoded);
    return equal;
}

/* The next element of an array or member of an object from *at on; *key is empty in arrays. */
static bool next_member(json_slice s, size_t *at, json_slice *key, json_slice *value)
{
    bool is_object = first_of(s) == '{';
    *key = (json_slice){"", 0};
    size_t i = skip_space(s, *at);
    if (i < s.n && s.text[i] == ',') i = skip_space(s, i + 1);
    if (i >= s.n || s.text[i] == '}' || s.text[i] == ']') return false;
    if (is_object) {
        size_t end = skip_string(s, i);
        *key = part(s, i, end);
        i = skip_space(s, end);
        if (i >= s.n || s.text[i] != ':') return false;
        i = skip_space(s, i + 1);
    }
    size_t end = skip_value(s, i);
    if (end <= i) return false;
    *value = part(s, i, end);
    *at = end;
    return true;
}

static bool find_member(json_slice object, const char *name, size_t n, json_slice *out)
{
    size_t at = 1;
    json_slice key, value;
    while (next_member(object, &at, &key, &value)) {
        if (!key_equals(key, name, n)) continue;
        *out = value;
        return true;
    }
    return false;
}

static bool find_element(json_slice array, uint64_t i, json_slice *out)
{
    size_t at = 1;
    json_slice key;
    while (next_member(array, &at, &key, out))
        if (i-- == 0) return true;
    return false;
}

/* One step into an array: a number picks an element, anything else is for its elements. */
static bool step_into_array(json_slice *value, const char **name)
{
    char digits[16] = "";
    uint64_t i;
    json_slice element;
    size_t n = strcspn(*name, ".");
    if (n == 0 || n >= sizeof digits) return false;
    memcpy(digits, *name, n);
    if (!rt_parse_u64(digits, &i) || !find_element(*value, i, &element)) return false;
    *value = element;
    *name += n + ((*name)[n] == '.');
    return true;
}

bool json_slice_find(json_slice value, const char *name, json_slice *out, const char **rest)
{
    value = trim(value);
    while (name[0] != '\0') {
        json_slice found;
        if (first_of(value) == '[') {
            if (step_into_array(&value, &name)) continue;
            break;
        }
        if (first_of(value) != '{') return false;
        if (find_member(value, name, strlen(name), &found)) {
            name = "";
        } else {
            size_t n = strcspn(name, ".");
            if (name[n] == '\0' || !find_member(value, name, n, &found)) return false;
            name += n + 1;
        }
        value = found;
    }
    *out = value;
    *rest = name;
    return true;
}

bool json_slice_is_null(json_slice value)
{
    return value.n == 4 && memcmp(value.text, "null", 4) == 0;
}

/* A value that is not an array. */
static rt_status print_one(json_slice value, rt_buf *out, rt_error *err)
{
    if (json_slice_is_null(value)) return rt_fail(err, RT_NOTFOUND, "the value is null");
    if (first_of(value) == '"') return decode_string(value, out, err);
    return rt_buf_add(out, value.text, value.n, err);
}

static rt_status print_choices(json_slice array, const char *rest, rt_buf *out, rt_error *err)
{
    rt_status st;
    size_t at = 1, n = 0;
    json_slice key, element;
    while (next_member(array, &at, &key, &element)) {
        const char *left = "";
        if (rest[0] != '\0' &&
            (!json_slice_find(element, rest, &element, &left) || left[0] != '\0'))
            return rt_fail(err, RT_NOTFOUND, "element %zu has no %s", n, rest);
        st = n < 26 ? rt_buf_printf(out, err, "%s(%c) ", n == 0 ? "" : "\n", (char)('a' + n))
                    : rt_buf_printf(out, err, "\n(%zu) ", n + 1);
        if (st == RT_OK) st = print_one(element, out, err);
        if (st != RT_OK) return st;
        n++;
    }
    return RT_OK;
}

rt_status json_slice_print(json_slice value, const char *rest, rt_buf *out, rt_error *err)
{
    value = trim(value);
    if (first_of(value) == '[') {
        size_t start = out->n;
        rt_status st = print_choices(value, rest, out, err);
        if (st != RT_OK && out->data != NULL) out->data[out->n = start] = '\0';
        return st;
    }
    return print_one(value, out, err);
}
