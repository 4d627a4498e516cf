#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/stop.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/worker/runtime/fake_coordinator.h"
#include "worker/teacher/publish.h"

#define STREAM "retort:{t}:labels"

/* A teacher's runtime and a queue in memory. */
typedef struct desk {
    char *folder;
    config *config;
    fake_coordinator *coordinator;
    runtime *runtime;
    queue *queue;
    uint64_t now_ms;
    label_record records[100];
    char inputs[100][16];
} desk;

static const char yaml[] = "name: t\n"
                           "corpus:\n  files: [x.jsonl]\n"
                           "task:\n  answer: text\n"
                           "teacher:\n  files: [x.jsonl]\n  match_field: \"{input}\"\n"
                           "net:\n  coordinator: \"ipc://%s\"\n";

static desk *desk_new(void)
{
    desk *d = rt_calloc(1, sizeof *d);
    char text[2048], endpoint[1024];
    rt_error err = {0};
    d->folder = temp_folder_new();
    snprintf(endpoint, sizeof endpoint, "ipc://%s", temp_folder_path(d->folder, "c"));
    snprintf(text, sizeof text, yaml, temp_folder_path(d->folder, "c"));
    cr_assert_eq(config_parse("test", text, strlen(text), NULL, &d->config, &err), RT_OK, "%s",
                 err.text);
    d->coordinator = fake_coordinator_start(endpoint);
    fake_coordinator_set(d->coordinator, (fake_answer){.phase = PHASE_RUNNING});
    cr_assert_eq(runtime_open(d->config, ROLE_TEACHER, "teacher-0", 0, "", &d->runtime, &err),
                 RT_OK, "%s", err.text);
    cr_assert_eq(queue_open_memory(&d->now_ms, &d->queue, &err), RT_OK);
    cr_assert_eq(queue_ensure(d->queue, STREAM, NULL, &err), RT_OK);
    for (size_t i = 0; i < RT_COUNT(d->records); i++) {
        snprintf(d->inputs[i], sizeof d->inputs[i], "input %zu", i);
        d->records[i] = (label_record){.id = rt_id_of(d->inputs[i], strlen(d->inputs[i])),
                                       .input = d->inputs[i],
                                       .label = "yes",
                                       .meta = "{}"};
    }
    return d;
}

static void desk_free(desk *d)
{
    queue_close(d->queue);
    runtime_close(d->runtime);
    fake_coordinator_stop(d->coordinator);
    config_free(d->config);
    temp_folder_free(d->folder);
    free(d);
}

static uint64_t length_of(desk *d)
{
    uint64_t n = 0;
    cr_assert_eq(queue_length(d->queue, STREAM, &n, NULL), RT_OK);
    return n;
}

Test(publish, every_record_with_an_outcome_goes_into_the_stream_in_order)
{
    desk *d = desk_new();
    rt_error err = {0};
    queue_entry entries[100];
    size_t n = 0;
    d->records[1].label = NULL;
    d->records[1].reason = "no_marker";
    d->records[1].raw = "?";
    d->records[2] = (label_record){0}; /* archived already */
    cr_assert_eq(publish_records(d->runtime, d->queue, STREAM, d->records, 100, 0, &err), RT_OK,
                 "%s", err.text);
    cr_expect_eq(length_of(d), 99);
    cr_assert_eq(queue_read(d->queue, STREAM, "c", false, 100, 0, entries, &n, &err), RT_OK);
    cr_assert_eq(n, 99);
    for (size_t i = 0; i < n; i++) {
        label_record r = {0};
        const label_record *sent = &d->records[i < 2 ? i : i + 1];
        cr_assert_eq(wire_decode_label(entries[i].bytes, entries[i].n_bytes, &r, &err), RT_OK, "%s",
                     err.text);
        cr_expect(rt_id_equal(r.id, sent->id));
        cr_expect_eq(r.label == NULL, sent->label == NULL);
        label_record_free(&r);
    }
    queue_entries_free(entries, n);
    desk_free(d);
}

Test(publish, a_full_stream_is_not_filled_further)
{
    desk *d = desk_new();
    rt_error err = {0};
    d->config->queue.labels_max = 70;
    rt_stop_request(); /* or it would wait for room */
    cr_expect_eq(publish_records(d->runtime, d->queue, STREAM, d->records, 100, 0, &err),
                 RT_CANCELLED);
    cr_expect_not_null(strstr(err.text, "queue.labels_max"), "%s", err.text);
    cr_expect_eq(length_of(d), 64, "one call's worth fitted");
    desk_free(d);
}

Test(publish, a_small_limit_is_kept_too)
{
    desk *d = desk_new();
    rt_error err = {0};
    d->config->queue.labels_max = 3;
    cr_expect_eq(publish_records(d->runtime, d->queue, STREAM, d->records, 3, 0, &err), RT_OK);
    cr_expect_eq(length_of(d), 3);
    rt_stop_request();
    cr_expect_eq(publish_records(d->runtime, d->queue, STREAM, d->records + 3, 3, 0, &err),
                 RT_CANCELLED);
    cr_expect_eq(length_of(d), 3);
    desk_free(d);
}
