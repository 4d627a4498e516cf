#include "worker/teacher/kept_samples.h"

#include <string.h>

typedef struct kept {
    json_t *list;
    size_t n_bytes;
} kept;

static bool is_there(const json_t *list, const json_t *one)
{
    size_t i;
    json_t *other;
    json_array_foreach(list, i, other)
    {
        if (json_equal(other, one)) return true;
    }
    return false;
}

/* The form in which it is kept; NULL for what is worth nothing: the label taken, or no text at all. */
static json_t *form_of(const answer_rules *rules, const sample *s, const char *taken)
{
    const char *label = s->parsed.label;
    if (label != NULL && answer_equal(rules, label, taken)) return NULL;
    if (label != NULL) {
        json_t *one = json_pack("{s:s}", "label", label);
        if (s->rationale != NULL) json_object_set_new(one, "rationale", json_string(s->rationale));
        return one;
    }
    if (s->answer.reason != NULL || s->text.n == 0) return NULL; /* a request that failed */
    return json_pack("{s:s, s:s}", "reason", parse_status_name(s->parsed.status), "text",
                     s->text.data);
}

static void take(kept *k, const teacher_outcome *from, const char *label)
{
    for (size_t i = 0; i < from->item->n_samples; i++) {
        const sample *s = &from->item->samples[i];
        json_t *one = form_of(&from->labeller->rules, s, label);
        size_t n = s->text.n + 64;
        if (one != NULL && k->n_bytes + n <= KEPT_BYTES_MAX && !is_there(k->list, one)) {
            json_array_append(k->list, one);
            k->n_bytes += n;
        }
        json_decref(one);
    }
}

json_t *kept_samples_json(const teacher_outcome *o, const teacher_outcome *other)
{
    kept k = {.list = json_array()};
    if (k.list == NULL || o->chosen->label == NULL) return k.list;
    take(&k, o, o->chosen->label);
    if (other != NULL) take(&k, other, o->chosen->label);
    return k.list;
}
