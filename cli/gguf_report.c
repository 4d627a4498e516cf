#include "cli/gguf_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/sizes.h"

#define KINDS_MAX  40
#define TEXT_SHOWN 60

/* Tensors of one kind. */
typedef struct kind_sum {
    const gguf_kind *kind;
    size_t n_tensors;
    double n_bytes, n_elements;
} kind_sum;

static size_t sum_kinds(const gguf *f, kind_sum sums[KINDS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < gguf_count_tensors(f); i++) {
        const gguf_tensor *t = gguf_tensor_at(f, i);
        size_t k = 0;
        while (k < n && sums[k].kind != t->kind) k++;
        if (k == n) sums[n++] = (kind_sum){.kind = t->kind};
        sums[k].n_tensors++;
        sums[k].n_bytes += (double)t->n_bytes;
        sums[k].n_elements += (double)t->n;
    }
    return n;
}

/* Any bytes on one line: what is no printable ASCII becomes a dot or its escape. */
static void print_text(const char *text, size_t n)
{
    putchar('"');
    for (size_t i = 0; i < RT_MIN(n, (size_t)TEXT_SHOWN); i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            fputs("\\n", stdout);
        else
            putchar(c >= 0x20 && c != 0x7F ? c : '.');
    }
    fputs(n > TEXT_SHOWN ? "...\"" : "\"", stdout);
}

static void print_value(const gguf_entry *e)
{
    const char *text;
    size_t n;
    double number;
    bool truth;
    if (gguf_text(e, &text, &n))
        print_text(text, n);
    else if (gguf_truth(e, &truth))
        fputs(truth ? "true" : "false", stdout);
    else if (gguf_number(e, &number))
        printf("%.9g", number);
    else
        printf("%" PRIu64 " x %s", e->n_items, gguf_value_name(e->item_type));
    putchar('\n');
}

static void print_tensor(const gguf_tensor *t)
{
    printf("  %-40s %-6s [", t->name, t->kind->name);
    for (size_t i = 0; i < t->n_dims; i++) printf("%s%zu", i == 0 ? "" : ", ", t->shape[i]);
    printf("]\n");
}

void gguf_report_print(const char *path, const gguf *file, bool tensors)
{
    kind_sum sums[KINDS_MAX];
    size_t n_kinds = sum_kinds(file, sums);
    printf("%s: GGUF version %u, %zu keys, %zu tensors\n\nkeys\n", path, gguf_version(file),
           gguf_count(file), gguf_count_tensors(file));
    for (size_t i = 0; i < gguf_count(file); i++) {
        const gguf_entry *e = gguf_at(file, i);
        printf("  %-42.*s ", (int)RT_MIN(e->n_key, (size_t)100), e->key);
        print_value(e);
    }
    if (n_kinds > 0) printf("\ntensors\n");
    for (size_t k = 0; k < n_kinds; k++) {
        char size[24];
        size_print(sums[k].n_bytes, size);
        printf("  %-8s %5zu of %.0f numbers, %s\n", sums[k].kind->name, sums[k].n_tensors,
               sums[k].n_elements, size);
    }
    for (size_t i = 0; tensors && i < gguf_count_tensors(file); i++)
        print_tensor(gguf_tensor_at(file, i));
}

static json_t *value_json(const gguf_entry *e)
{
    const char *text;
    size_t n;
    double number;
    uint64_t size;
    bool truth;
    if (gguf_text(e, &text, &n))
        return json_stringn(text, n); /* NULL for bytes that are no UTF-8 */
    if (gguf_truth(e, &truth)) return json_boolean(truth);
    if (gguf_size(e, &size) && size <= INT64_MAX) return json_integer((json_int_t)size);
    if (gguf_number(e, &number)) return json_real(number);
    return json_pack("{s:s, s:I}", "array_of", gguf_value_name(e->item_type), "n",
                     (json_int_t)e->n_items);
}

static json_t *tensor_json(const gguf_tensor *t)
{
    json_t *shape = json_array();
    for (size_t i = 0; i < t->n_dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s, s:s, s:o}", "name", t->name, "type", t->kind->name, "shape", shape);
}

json_t *gguf_report_json(const gguf *file, bool tensors)
{
    kind_sum sums[KINDS_MAX];
    size_t n_kinds = sum_kinds(file, sums);
    json_t *keys = json_object(), *kinds = json_object(), *list = json_array();
    for (size_t i = 0; i < gguf_count(file); i++) {
        const gguf_entry *e = gguf_at(file, i);
        json_t *value = value_json(e), *name = json_stringn(e->key, e->n_key);
        if (name != NULL)
            json_object_set_new(keys, json_string_value(name), value != NULL ? value : json_null());
        else
            json_decref(value);
        json_decref(name);
    }
    for (size_t k = 0; k < n_kinds; k++)
        json_object_set_new(kinds, sums[k].kind->name,
                            json_pack("{s:I, s:f}", "tensors", (json_int_t)sums[k].n_tensors,
                                      "bytes", sums[k].n_bytes));
    for (size_t i = 0; tensors && i < gguf_count_tensors(file); i++)
        json_array_append_new(list, tensor_json(gguf_tensor_at(file, i)));
    json_t *root =
        json_pack("{s:I, s:I, s:o, s:o}", "version", (json_int_t)gguf_version(file), "n_tensors",
                  (json_int_t)gguf_count_tensors(file), "keys", keys, "kinds", kinds);
    if (tensors && root != NULL)
        json_object_set_new(root, "tensors", list);
    else
        json_decref(list);
    return root;
}
