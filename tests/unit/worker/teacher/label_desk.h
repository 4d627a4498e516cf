/* A labeller over a scripted backend, a yes-or-no task, and its records.
 *
 *     desk d = desk_new(BACKEND_CAN_GENERATE);
 *     scripted_backend_say(d.script, "sky", 0, "It is blue. Answer: yes");
 *     shard_example e = example_of("sky");
 *     cr_assert_eq(desk_label(&d, &e, 1), RT_OK);
 *     ... d.records[0] ...
 *     desk_free(&d);
 */
#ifndef RT_TESTS_LABEL_DESK_H
#define RT_TESTS_LABEL_DESK_H

#include <jansson.h>

#include "tests/unit/worker/teacher/scripted_backend.h"
#include "worker/teacher/label_shard.h"

typedef struct desk {
    scripted_backend *script;
    backend *backend;
    prompt_profile *prompts;
    labeller labeller;
    label_record records[8];
    label_counts counts;
    size_t n;
} desk;

desk desk_new(unsigned flags);
void desk_free(desk *d);
rt_status desk_label(desk *d, const shard_example *examples, size_t n);
shard_example example_of(const char *input);
/* Meta of a record; json_decref(). */
json_t *meta_of(const label_record *r);

#endif
