#include "tests/support/wire_samples.h"

static wire_sums sample_sums(void)
{
    return (wire_sums){
        .loss = {1.5, 0, 2.25}, .count = {10, 0, 20.5}, .n_seqs = {3, 0, 4}, .n_exact = {1, 0, 2}};
}

static wire_message sample_grant(void)
{
    static wire_leased_example examples[] = {
        {.id = {0x0123456789abcdefull, 0xfedcba9876543210ull},
         .input = "What is 2 + 3? \xe2\x82\xac",
         .source_id = "row-1",
         .gold = "5"},
        {.id = {1, 2}, .input = "", .source_id = "", .gold = "", .done = true},
        {.id = {3, 4}, .input = "no gold", .source_id = "row-3", .gold = NULL},
    };
    return (wire_message){.lease_grant = {.granted = true,
                                          .shard = 7,
                                          .lease = 8,
                                          .lease_ms = 60000,
                                          .retry_ms = 500,
                                          .examples = examples,
                                          .n_examples = RT_COUNT(examples)}};
}

static wire_message sample_report(void)
{
    static uint32_t param_index[] = {0, 5, 300};
    static double sum_squares[] = {0.5, 1e-300, 1e300};
    static uint8_t received[] = {0xff, 0x01};
    static wire_saved_file files[] = {
        {"model-00001-of-00002.safetensors", 1234567, "0123abcd"},
        {"optim-00001-of-00002.safetensors", 0, ""},
    };
    return (wire_message){.server_report = {.shard = 1,
                                            .generation = 2,
                                            .has_params = true,
                                            .version = 300,
                                            .gathered = true,
                                            .param_index = param_index,
                                            .sum_squares = sum_squares,
                                            .n_params = RT_COUNT(param_index),
                                            .sums = sample_sums(),
                                            .n_micro_batches = 12,
                                            .received = received,
                                            .n_received = sizeof received,
                                            .has_saved = true,
                                            .saved_version = 250,
                                            .saved_files = files,
                                            .n_saved_files = RT_COUNT(files),
                                            .problem = "disk full: 3 bytes left"}};
}

static wire_message sample_body(wire_type type)
{
    static wire_counter counters[] = {{"labelled_total", 12}, {"tokens_per_second", 1.25}};
    static wire_server_address servers[] = {{0, "tcp://127.0.0.1:7200"}, {1, "ipc:///run/s1"}};
    switch (type) {
    case WIRE_REGISTER:
        return (wire_message){
            .register_ = {ROLE_SERVER, 3, "tcp://127.0.0.1:7203", 4321, "host-a", "cafe"}};
    case WIRE_HEARTBEAT:
        return (wire_message){.heartbeat = {ROLE_STUDENT, 0, "pull v7", counters, 2}};
    case WIRE_RUN_STATE:
        return (wire_message){.run_state = {PHASE_RUNNING, 3, 8000, 1, 2, 0, "tokenizer.model",
                                            "abcd", 2, servers, 2, "unix:redis.sock", 41}};
    case WIRE_LEASE_REQUEST: return (wire_message){.lease_request = {2}};
    case WIRE_LEASE_GRANT: return sample_grant();
    case WIRE_LEASE_DONE: return (wire_message){.lease_done = {7, 8, 48, 2, false}};
    case WIRE_EVAL_RESULT: return (wire_message){.eval_result = {100, 4, sample_sums()}};
    case WIRE_SERVER_REPORT: return sample_report();
    case WIRE_SERVER_ORDER:
        return (wire_message){.server_order = {ORDER_APPLY, 2, 300, 0.75, 1000,
                                               "checkpoints/step-250", 2, 8000, 1, 2, 3}};
    case WIRE_PULL: return (wire_message){.pull = {300}};
    case WIRE_PULLED: return (wire_message){.pulled = {PULL_GONE, 301, 1u << 20}};
    case WIRE_PUSH: return (wire_message){.push = {300, 2, 4, sample_sums(), 1u << 20}};
    case WIRE_PUSHED: return (wire_message){.pushed = {PUSH_AHEAD, 299}};
    case WIRE_ACK: return (wire_message){0};
    case WIRE_REFUSED:
        return (wire_message){.refused = {"refused", "sender 'student-0' is unknown", true}};
    case WIRE_QUOTA_REPORT:
        return (wire_message){.quota_report = {.seq = 9,
                                               .settled = {{120, 84000, 12345678901, 0}},
                                               .reserved = {{0, 9000, 4500000, 6}},
                                               .ceilings = {{140, 120000, 13000000000, 12}},
                                               .need = {{1, 1500, 750000, 1}},
                                               .n_wanted = 14,
                                               .n_overloads = 2,
                                               .pause_ms = 1500,
                                               .leaving = true,
                                               .n_prompt_tokens = 60000,
                                               .n_cached_tokens = 20000,
                                               .n_completion_tokens = 24000}};
    case WIRE_QUOTA_GRANT:
        return (wire_message){
            .quota_grant = {9, {{150, 130000, WIRE_AMOUNT_MAX, 12}}, 700, 50, QUOTA_BUDGET_SPENT}};
    }
    return (wire_message){0};
}

wire_message wire_sample(wire_type type)
{
    wire_message m = sample_body(type);
    m.type = type;
    m.run_id = "run-1";
    m.sender = "student-0";
    m.incarnation = 1700000000123ull;
    m.message_id = 42;
    m.n_frames = 3;
    return m;
}

wire_message wire_sample_late(size_t i, const char **name)
{
    static const char *const names[WIRE_LATE_SAMPLES] = {
        "pull_shares", "pulled_shared", "push_rows", "pushed_took", "heartbeat_histograms"};
    static const shared_block_ref shared = {
        UINT64_MAX - 1, 4321, 7, 0x0123456789abcdefull, 4096, 1u << 20, UINT64_C(1) << 63};
    static uint32_t ids[] = {0, 1, 300, 31999};
    static const wire_type types[WIRE_LATE_SAMPLES] = {WIRE_PULL, WIRE_PULLED, WIRE_PUSH,
                                                       WIRE_PUSHED, WIRE_HEARTBEAT};
    static uint64_t buckets[] = {0, 3, 0, UINT64_MAX};
    static wire_histogram histograms[] = {{"pull_seconds", 0.0001, 1.5, buckets, RT_COUNT(buckets)},
                                          {"empty", 1, 0, NULL, 0}};
    wire_message m = wire_sample(types[i]);
    *name = names[i];
    if (i == 0) m.pull.shares = true;
    if (i == 1) m.pulled.shared = shared;
    if (i == 3) m.pushed.took_us = 1700;
    if (i == 4) {
        m.heartbeat.histograms = histograms;
        m.heartbeat.n_histograms = RT_COUNT(histograms);
    }
    if (i == 2) {
        m.push.element = WIRE_ELEMENT_BF16;
        m.push.shared = shared;
        m.push.rows = (wire_rows){.param = 5, .ids = ids, .n = RT_COUNT(ids), .present = true};
    }
    return m;
}

label_record wire_sample_label(bool rejected)
{
    if (rejected)
        return (label_record){.id = {1, 2},
                              .source_id = "row-9",
                              .input = "6 x 7?",
                              .reason = "no_label",
                              .raw = "I cannot \xff\xfe say",
                              .meta = "{}"};
    return (label_record){.id = {0x0123456789abcdefull, 0xfedcba9876543210ull},
                          .source_id = "row-1",
                          .input = "What is 2 + 3?",
                          .gold = "",
                          .label = "5",
                          .rationale = "2 + 3 = 5.",
                          .meta = "{\"teacher\":\"t\"}"};
}

micro_batch wire_sample_micro_batch(void)
{
    static uint32_t ids[] = {1, 17, 300, 70000, 2, 9, 10, 2};
    static micro_batch_seq seqs[] = {
        {.record_id = {1, 2}, .task = TASK_PREDICT, .weight = 1, .n_prompt = 3, .n_target = 2},
        {.record_id = {3, 4},
         .task = TASK_SOLVE,
         .weight = 0.5f,
         .first = 5,
         .n_prompt = 1,
         .n_target = 2},
    };
    return (micro_batch){.kind = MICRO_BATCH_EVALUATE,
                         .step = 12,
                         .index = 1,
                         .n_micro_batches = 4,
                         .epoch = 2,
                         .seed = 0xdeadbeefcafef00dull,
                         .task_weight = {1, 0.5f, 0.25f},
                         .task_count = {10, 20.5, 30},
                         .ids = ids,
                         .n_ids = RT_COUNT(ids),
                         .seqs = seqs,
                         .n_seqs = RT_COUNT(seqs)};
}
