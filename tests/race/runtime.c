/* A worker's main thread tells and asks while its thread of heartbeats hears another state each time. */
#include "worker/runtime/runtime.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/race/threads.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/worker/runtime/fake_coordinator.h"

#define TURNS 400

static const char yaml[] = "name: t\n"
                           "corpus:\n  files: [x.jsonl]\n"
                           "task:\n  answer: text\n"
                           "teacher:\n  files: [x.jsonl]\n  match_field: \"{input}\"\n"
                           "net:\n  coordinator: \"ipc://%s\"\n  alive_file: \"%s\"\n";

static void turn(runtime *rt, int i)
{
    runtime_view view = {0};
    runtime_busy(rt, "turn %d", i);
    runtime_count(rt, "turns", 1);
    runtime_gauge(rt, "level", i);
    runtime_observe(rt, "push_seconds", 0.001 * i);
    (void)runtime_phase(rt);
    (void)runtime_generation(rt);
    (void)runtime_stopping(rt);
    if (runtime_get_view(rt, &view, NULL) == RT_OK) runtime_view_free(&view);
    runtime_wait(rt, 3);
}

int main(void)
{
    char text[4096], endpoint[1024];
    rt_error err = {0};
    config *c = NULL;
    runtime *rt = NULL;
    char *folder = temp_folder_new();
    snprintf(endpoint, sizeof endpoint, "ipc://%s", temp_folder_path(folder, "c"));
    snprintf(text, sizeof text, yaml, temp_folder_path(folder, "c"),
             temp_folder_path(folder, "alive"));
    RT_ASSERT(config_parse("race", text, strlen(text), NULL, &c, &err) == RT_OK);
    c->net.heartbeat_ms = 2;
    fake_coordinator *f = fake_coordinator_start(endpoint);
    fake_coordinator_set(f, (fake_answer){.phase = PHASE_RUNNING, .n_servers = 2});
    RT_ASSERT(runtime_open(c, ROLE_SERVER, "server-1", 1, "tcp://h:2", &rt, &err) == RT_OK);
    for (int i = 0; i < TURNS; i++) {
        fake_answer answer = {.phase = PHASE_RUNNING,
                              .version = (uint64_t)i,
                              .generation = (uint64_t)i / 7,
                              .register_again = i % 50 == 0,
                              .n_servers = 2,
                              .n_addresses = i % 3 == 0 ? 0 : 2};
        fake_coordinator_set(f, answer);
        turn(rt, i);
    }
    (void)fake_coordinator_wait(f, 1, 1);
    runtime_close(rt);
    fake_coordinator_stop(f);
    config_free(c);
    temp_folder_free(folder);
    return 0;
}
