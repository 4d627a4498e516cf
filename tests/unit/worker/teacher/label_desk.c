#include "tests/unit/worker/teacher/label_desk.h"

#include <criterion/criterion.h>
#include <string.h>

desk desk_new(unsigned flags)
{
    static const char *const markers[] = {"Answer:"};
    static const char *const stops[] = {"\n\nQ:"};
    static const char *const classes[] = {"yes", "no"};
    static const prompt_profile_settings settings = {.instruction = "Say yes or no.",
                                                     .exemplars_path = "",
                                                     .exemplar_template = "{input}{label}",
                                                     .question_template = "Q: {input}\n",
                                                     .separator = "\n\n"};
    desk d = {.script = scripted_backend_new(flags)};
    rt_error err = {0};
    cr_assert_eq(prompt_profile_new(&settings, &d.prompts, &err), RT_OK, "%s", err.text);
    d.backend = scripted_backend_open(d.script);
    d.labeller = (labeller){.rules = {.kind = RULE_CLASS,
                                      .markers = markers,
                                      .n_markers = 1,
                                      .stop_marks = stops,
                                      .n_stop_marks = 1,
                                      .classes = classes,
                                      .n_classes = 2},
                            .prompts = d.prompts,
                            .backend = d.backend,
                            .name = "oracle",
                            .sampling = {.top_p = 1, .seed = 7},
                            .attempts_max = 3};
    return d;
}

void desk_free(desk *d)
{
    label_records_free(d->records, d->n);
    backend_close(d->backend);
    prompt_profile_free(d->prompts);
}

rt_status desk_label(desk *d, const shard_example *examples, size_t n)
{
    rt_error err = {0};
    label_records_free(d->records, d->n);
    d->n = n;
    return label_shard(&d->labeller, examples, n, d->records, &d->counts, &err);
}

shard_example example_of(const char *input)
{
    return (shard_example){.id = rt_id_of(input, strlen(input)), .input = input, .source_id = ""};
}

json_t *meta_of(const label_record *r)
{
    json_t *meta = json_loads(r->meta, 0, NULL);
    cr_assert_not_null(meta, "meta is not JSON: %s", r->meta);
    return meta;
}
