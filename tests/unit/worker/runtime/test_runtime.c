#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/worker/runtime/fake_coordinator.h"
#include "worker/runtime/alive_sign.h"
#include "worker/runtime/runtime.h"

/* A fake coordinator and the config of a worker that reaches it. */
typedef struct stage {
    char *folder;
    config *config;
    fake_coordinator *coordinator;
    runtime *runtime;
} stage;

static const char yaml[] = "name: t\n"
                           "corpus:\n  files: [x.jsonl]\n"
                           "task:\n  answer: text\n"
                           "teacher:\n  files: [x.jsonl]\n  match_field: \"{input}\"\n"
                           "net:\n  coordinator: \"ipc://%s\"\n";

static stage stage_new(fake_answer answer)
{
    stage s = {.folder = temp_folder_new()};
    char text[2048], endpoint[1024];
    rt_error err = {0};
    snprintf(endpoint, sizeof endpoint, "ipc://%s", temp_folder_path(s.folder, "c"));
    snprintf(text, sizeof text, yaml, temp_folder_path(s.folder, "c"));
    cr_assert_eq(config_parse("test", text, strlen(text), NULL, &s.config, &err), RT_OK, "%s",
                 err.text);
    s.config->net.heartbeat_ms = 20;
    s.coordinator = fake_coordinator_start(endpoint);
    fake_coordinator_set(s.coordinator, answer);
    return s;
}

static rt_status stage_open(stage *s, rt_error *err)
{
    return runtime_open(s->config, ROLE_SERVER, "server-1", 1, "tcp://h:2", &s->runtime, err);
}

static void stage_free(stage *s)
{
    runtime_close(s->runtime);
    fake_coordinator_stop(s->coordinator);
    config_free(s->config);
    temp_folder_free(s->folder);
}

/* Heartbeats sent after this call have been heard, and answered as was set before it. */
static fake_heard next_beats(stage *s)
{
    unsigned n = fake_coordinator_wait(s->coordinator, 0, 0).n_heartbeats;
    return fake_coordinator_wait(s->coordinator, 0, n + 2);
}

Test(runtime, registers_and_knows_the_state_of_the_run)
{
    stage s = stage_new((fake_answer){
        .phase = PHASE_RUNNING, .version = 7, .generation = 3, .n_servers = 2, .n_addresses = 2});
    rt_error err = {0};
    char fingerprint[33];
    runtime_view view = {0};
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    cr_expect_eq(runtime_phase(s.runtime), PHASE_RUNNING);
    cr_expect_eq(runtime_generation(s.runtime), 3);
    cr_assert_eq(runtime_get_view(s.runtime, &view, &err), RT_OK);
    cr_expect_eq(view.version, 7);
    cr_expect_str_eq(view.tokenizer_path, "t.model");
    cr_assert_not_null(view.servers);
    cr_expect_str_eq(view.servers[0], "tcp://h:1");
    cr_expect_str_eq(view.servers[1], "tcp://h:2");
    runtime_view_free(&view);
    fake_heard heard = fake_coordinator_wait(s.coordinator, 1, 1);
    cr_expect_eq(heard.role, ROLE_SERVER);
    cr_expect_str_eq(heard.sender, "server-1");
    cr_expect_str_eq(heard.endpoint, "tcp://h:2");
    cr_assert_eq(config_fingerprint(s.config, fingerprint, &err), RT_OK);
    cr_expect_str_eq(heard.fingerprint, fingerprint);
    cr_expect_eq(heard.incarnation, runtime_identity(s.runtime)->incarnation);
    cr_expect_null(runtime_keyring(s.runtime));
    cr_expect_not(runtime_stopping(s.runtime));
    stage_free(&s);
}

/* The first sign of life written after `then_ms`. */
static alive_sign sign_after(const stage *s, uint64_t then_ms)
{
    alive_sign sign = {0};
    for (int i = 0; i < 500 && sign.beat_ms <= then_ms; i++) {
        rt_sleep_ms(10);
        if (alive_sign_read(s->config->net.alive_file, &sign, NULL) != RT_OK) sign.beat_ms = 0;
    }
    cr_assert_gt(sign.beat_ms, then_ms, "no sign of life");
    return sign;
}

Test(runtime, signs_of_life_tell_a_main_thread_that_hangs_from_one_that_turns)
{
    stage s = stage_new((fake_answer){.phase = PHASE_RUNNING});
    rt_error err = {0};
    free(s.config->net.alive_file);
    s.config->net.alive_file = strdup(temp_folder_path(s.folder, "alive"));
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    uint64_t opened_ms = rt_clock_mono_ms();
    alive_sign hangs = sign_after(&s, opened_ms);
    cr_expect_leq(hangs.turn_ms, opened_ms);
    cr_expect_gt(hangs.heard_ms, 0);
    cr_expect_eq(runtime_phase(s.runtime), PHASE_RUNNING);
    alive_sign turns = sign_after(&s, hangs.beat_ms);
    cr_expect_gt(turns.turn_ms, opened_ms);
    stage_free(&s);
}

Test(runtime, shows_no_servers_while_one_is_missing)
{
    stage s = stage_new((fake_answer){.phase = PHASE_STARTING, .n_servers = 2, .n_addresses = 0});
    rt_error err = {0};
    runtime_view view = {0};
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    cr_assert_eq(runtime_get_view(s.runtime, &view, &err), RT_OK);
    cr_expect_eq(view.n_servers, 2);
    cr_expect_null(view.servers);
    runtime_view_free(&view);
    stage_free(&s);
}

Test(runtime, a_refusal_for_good_fails_the_opening_with_what_was_said)
{
    stage s = stage_new((fake_answer){.refusal = "refused"});
    rt_error err = {0};
    cr_expect_eq(stage_open(&s, &err), RT_REFUSED);
    cr_expect_not_null(strstr(err.text, "because of the test"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "server-1"), "%s", err.text);
    cr_expect_null(s.runtime);
    stage_free(&s);
}

Test(runtime, a_refusal_that_passes_is_waited_out)
{
    stage s = stage_new((fake_answer){.silent = true});
    rt_error err = {0};
    fake_coordinator_set(s.coordinator, (fake_answer){.phase = PHASE_RUNNING});
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    fake_coordinator_set(s.coordinator, (fake_answer){.refusal = "unavailable"});
    next_beats(&s);
    cr_expect_not(runtime_stopping(s.runtime));
    cr_expect_eq(runtime_refusal(s.runtime, &err), RT_OK);
    cr_expect_eq(runtime_phase(s.runtime), PHASE_RUNNING, "the last known state stays");
    stage_free(&s);
}

Test(runtime, a_later_refusal_for_good_stops_the_worker)
{
    stage s = stage_new((fake_answer){.phase = PHASE_RUNNING});
    rt_error err = {0};
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    fake_coordinator_set(s.coordinator, (fake_answer){.refusal = "refused"});
    runtime_wait(s.runtime, 10000);
    cr_expect(runtime_stopping(s.runtime));
    cr_expect_eq(runtime_refusal(s.runtime, &err), RT_REFUSED);
    stage_free(&s);
}

Test(runtime, registers_again_when_the_coordinator_does_not_know_it)
{
    stage s = stage_new((fake_answer){.phase = PHASE_RUNNING});
    rt_error err = {0};
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    fake_coordinator_set(s.coordinator,
                         (fake_answer){.register_again = true, .phase = PHASE_DRAINING});
    fake_coordinator_wait(s.coordinator, 2, 0);
    next_beats(&s);
    cr_expect_eq(runtime_phase(s.runtime), PHASE_DRAINING);
    cr_expect_not(runtime_stopping(s.runtime));
    stage_free(&s);
}

Test(runtime, a_lost_answer_is_made_good_by_the_next_message)
{
    stage s = stage_new((fake_answer){.phase = PHASE_RUNNING});
    rt_error err = {0};
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    fake_coordinator_set(s.coordinator, (fake_answer){.silent = true});
    next_beats(&s);
    cr_expect_eq(runtime_phase(s.runtime), PHASE_RUNNING);
    fake_coordinator_set(s.coordinator, (fake_answer){.phase = PHASE_FINISHED});
    runtime_wait(s.runtime, 10000);
    cr_expect_eq(runtime_phase(s.runtime), PHASE_FINISHED);
    stage_free(&s);
}

Test(runtime, heartbeats_carry_the_counters_and_what_it_is_busy_with)
{
    stage s = stage_new((fake_answer){.phase = PHASE_RUNNING});
    rt_error err = {0};
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    runtime_busy(s.runtime, "step %d", 12);
    runtime_count(s.runtime, "steps", 2);
    runtime_count(s.runtime, "steps", 3);
    runtime_gauge(s.runtime, "rate", 9);
    fake_heard heard = next_beats(&s);
    cr_expect_str_eq(heard.busy_with, "step 12");
    cr_expect_str_eq(heard.counter_name, "steps");
    cr_expect_eq(heard.counter_value, 5);
    for (int i = 0; i < 100; i++) {
        char name[100];
        snprintf(name, sizeof name, "counter-%d-%060d", i, i);
        runtime_count(s.runtime, name, 1);
    }
    next_beats(&s);
    stage_free(&s);
}

Test(runtime, heartbeats_carry_histograms_of_how_long_things_took)
{
    stage s = stage_new((fake_answer){.phase = PHASE_RUNNING});
    rt_error err = {0};
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    cr_expect_eq(next_beats(&s).n_histograms, 0);
    runtime_observe(s.runtime, "pull_seconds", 0.5);
    runtime_observe(s.runtime, "pull_seconds", 0.001);
    runtime_observe(s.runtime, "push_seconds", 1000);
    runtime_observe(s.runtime, "push_seconds", -1);
    fake_heard heard = next_beats(&s);
    cr_expect_eq(heard.n_histograms, 2);
    cr_expect_eq(heard.n_durations, 3);
    for (int i = 0; i < 100; i++) {
        char name[100];
        snprintf(name, sizeof name, "histogram-%d-%060d", i, i);
        runtime_observe(s.runtime, name, 1);
    }
    cr_expect_eq(next_beats(&s).n_histograms, 4, "the table is bounded");
    stage_free(&s);
}

Test(runtime, closing_is_quick_while_the_coordinator_is_silent)
{
    stage s = stage_new((fake_answer){.phase = PHASE_RUNNING});
    rt_error err = {0};
    s.config->net.heartbeat_ms = 60000;
    cr_assert_eq(stage_open(&s, &err), RT_OK, "%s", err.text);
    fake_coordinator_set(s.coordinator, (fake_answer){.silent = true});
    uint64_t start_ms = rt_clock_mono_ms();
    runtime_close(s.runtime);
    s.runtime = NULL;
    cr_expect_lt(rt_clock_mono_ms() - start_ms, 2000);
    stage_free(&s);
}

Test(runtime, needs_to_know_where_the_coordinator_is)
{
    stage s = stage_new((fake_answer){.phase = PHASE_RUNNING});
    rt_error err = {0};
    char *known = s.config->net.coordinator;
    s.config->net.coordinator = "";
    cr_expect_eq(stage_open(&s, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "net.coordinator"), "%s", err.text);
    s.config->net.coordinator = known;
    stage_free(&s);
}
