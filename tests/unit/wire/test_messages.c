#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/check.h"
#include "proto/envelope.pb-c.h"
#include "tests/support/wire_samples.h"

static wire_type all_types[] = {
    WIRE_REGISTER,     WIRE_HEARTBEAT,   WIRE_RUN_STATE,     WIRE_LEASE_REQUEST, WIRE_LEASE_GRANT,
    WIRE_LEASE_DONE,   WIRE_EVAL_RESULT, WIRE_SERVER_REPORT, WIRE_SERVER_ORDER,  WIRE_PULL,
    WIRE_PULLED,       WIRE_PUSH,        WIRE_PUSHED,        WIRE_ACK,           WIRE_REFUSED,
    WIRE_QUOTA_REPORT, WIRE_QUOTA_GRANT,
};

static rt_buf encoded(wire_type type)
{
    rt_buf bytes = {0};
    rt_error err = {0};
    wire_message m = wire_sample(type);
    cr_assert_eq(wire_encode(&m, &bytes, &err), RT_OK, "%s: %s", wire_type_name(type), err.text);
    return bytes;
}

ParameterizedTestParameters(messages, encode_decode_encode_gives_the_same_bytes)
{
    return cr_make_param_array(wire_type, all_types, RT_COUNT(all_types));
}

ParameterizedTest(wire_type *type, messages, encode_decode_encode_gives_the_same_bytes)
{
    rt_buf first = encoded(*type), second = {0};
    wire_message m = {0};
    rt_error err = {0};
    cr_assert_eq(wire_decode(first.data, first.n, &m, &err), RT_OK, "%s", err.text);
    cr_assert_eq(m.type, *type);
    cr_assert_str_eq(m.run_id, "run-1");
    cr_assert_str_eq(m.sender, "student-0");
    cr_assert_eq(m.incarnation, 1700000000123ull);
    cr_assert_eq(m.message_id, 42);
    cr_assert_eq(m.n_frames, 3);
    cr_assert_eq(wire_encode(&m, &second, &err), RT_OK, "%s", err.text);
    cr_assert_eq(first.n, second.n);
    cr_assert_arr_eq(first.data, second.data, first.n);
    wire_message_free(&m);
    rt_buf_free(&first);
    rt_buf_free(&second);
}

ParameterizedTestParameters(messages, truncated_at_every_byte_is_refused_or_reads_as_less)
{
    return cr_make_param_array(wire_type, all_types, RT_COUNT(all_types));
}

ParameterizedTest(wire_type *type, messages, truncated_at_every_byte_is_refused_or_reads_as_less)
{
    rt_buf bytes = encoded(*type);
    for (size_t n = 0; n < bytes.n; n++) {
        wire_message m = {0};
        char *exact = malloc(n + 1); /* so that reading beyond the end is seen */
        memcpy(exact, bytes.data, n);
        rt_status st = wire_decode(exact, n, &m, NULL);
        cr_expect(st == RT_OK || st == RT_CORRUPT || st == RT_UNSUPPORTED);
        if (st != RT_OK) cr_expect_null(m.run_id, "output touched on failure");
        if (st == RT_OK) wire_message_free(&m);
        free(exact);
    }
    rt_buf_free(&bytes);
}

ParameterizedTestParameters(messages, every_flipped_bit_is_refused_or_decodes)
{
    return cr_make_param_array(wire_type, all_types, RT_COUNT(all_types));
}

ParameterizedTest(wire_type *type, messages, every_flipped_bit_is_refused_or_decodes)
{
    rt_buf bytes = encoded(*type);
    for (size_t i_bit = 0; i_bit < 8 * bytes.n; i_bit++) {
        wire_message m = {0};
        bytes.data[i_bit / 8] ^= (char)(1u << (i_bit % 8));
        rt_status st = wire_decode(bytes.data, bytes.n, &m, NULL);
        cr_expect(st == RT_OK || st == RT_CORRUPT || st == RT_UNSUPPORTED);
        if (st == RT_OK) wire_message_free(&m);
        bytes.data[i_bit / 8] ^= (char)(1u << (i_bit % 8));
    }
    rt_buf_free(&bytes);
}

Test(messages, the_fields_of_a_report_survive)
{
    rt_buf bytes = encoded(WIRE_SERVER_REPORT);
    wire_message m = {0};
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &m, NULL), RT_OK);
    const wire_server_report *r = &m.server_report;
    cr_assert(r->has_params && r->gathered && r->has_saved);
    cr_assert_eq(r->n_params, 3);
    cr_assert_eq(r->param_index[2], 300);
    cr_assert_eq(r->sum_squares[2], 1e300);
    cr_assert_eq(r->sums.loss[2], 2.25);
    cr_assert_eq(r->sums.n_exact[2], 2);
    cr_assert_eq(r->sums.loss[3], 0);
    cr_assert_eq(r->received[1], 1);
    cr_assert_eq(r->n_saved_files, 2);
    cr_assert_str_eq(r->saved_files[0].sha256, "0123abcd");
    cr_assert_str_eq(r->problem, "disk full: 3 bytes left");
    wire_message_free(&m);
    rt_buf_free(&bytes);
}

Test(messages, rows_and_what_is_shared_survive)
{
    const char *name = NULL;
    rt_buf bytes = {0};
    wire_message m = wire_sample_late(2, &name), back = {0};
    cr_assert_eq(wire_encode(&m, &bytes, NULL), RT_OK);
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &back, NULL), RT_OK);
    const wire_rows *rows = &back.push.rows;
    cr_assert(rows->present && rows->n == 4 && rows->param == 5);
    cr_expect_arr_eq(rows->ids, m.push.rows.ids, 4 * sizeof *rows->ids);
    cr_expect_eq(back.push.shared.checksum, m.push.shared.checksum);
    wire_message_free(&back);
    rt_buf_clear(&bytes);
    m.push.rows.n = 0; /* no row is something else than no word of rows */
    cr_assert_eq(wire_encode(&m, &bytes, NULL), RT_OK);
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &back, NULL), RT_OK);
    cr_expect(back.push.rows.present && back.push.rows.n == 0);
    wire_message_free(&back);
    rt_buf_free(&bytes);
}

Test(messages, rows_out_of_order_or_beyond_their_limit_are_refused)
{
    static uint32_t twice[] = {1, 4, 4}, back[] = {4, 1};
    const char *name = NULL;
    rt_buf bytes = {0};
    rt_error err = {0};
    wire_message m = wire_sample_late(2, &name);
    m.push.rows.ids = twice;
    m.push.rows.n = 3;
    cr_expect_eq(wire_encode(&m, &bytes, &err), RT_INVALID);
    cr_expect(strstr(err.text, "not ascending") != NULL, "%s", err.text);
    m.push.rows.ids = back;
    m.push.rows.n = 2;
    cr_expect_eq(wire_encode(&m, &bytes, &err), RT_INVALID);
    uint32_t *many = calloc(WIRE_ROWS_MAX + 1, sizeof *many);
    for (uint32_t i = 0; i <= WIRE_ROWS_MAX; i++) many[i] = i;
    m.push.rows.ids = many;
    m.push.rows.n = WIRE_ROWS_MAX + 1;
    cr_expect_eq(wire_encode(&m, &bytes, &err), RT_INVALID);
    m.push.rows.n = WIRE_ROWS_MAX;
    cr_expect_eq(wire_encode(&m, &bytes, &err), RT_OK, "%s", err.text);
    free(many);
    rt_buf_free(&bytes);
}

Test(messages, what_a_server_told_survives_and_has_a_bound)
{
    rt_buf bytes = {0};
    rt_error err = {0};
    wire_message m = wire_sample(WIRE_QUOTA_REPORT), back = {0};
    m.quota_report.limits[WIRE_LIMIT_TOKENS] = (wire_server_limit){true, 1, 2, 3, 4, 5, 6, 7};
    m.quota_report.no_limit_told = true;
    m.quota_report.reserved.of[RESOURCE_MOST_TOKENS] = 8;
    cr_assert_eq(wire_encode(&m, &bytes, &err), RT_OK, "%s", err.text);
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &back, &err), RT_OK, "%s", err.text);
    const wire_quota_report *r = &back.quota_report;
    const wire_server_limit *l = &r->limits[WIRE_LIMIT_TOKENS];
    cr_expect_not(r->limits[WIRE_LIMIT_REQUESTS].known);
    cr_expect(l->known && l->n_limit == 1 && l->n_left == 2 && l->reset_ms == 3);
    cr_expect(l->period_ms == 4 && l->age_ms == 5 && l->after == 6 && l->retry_ms == 7);
    cr_expect(r->no_limit_told);
    cr_expect_eq(r->reserved.of[RESOURCE_MOST_TOKENS], 8);
    wire_message_free(&back);
    rt_buf_clear(&bytes);
    m.quota_report.limits[WIRE_LIMIT_TOKENS].n_left = WIRE_AMOUNT_MAX + 1;
    cr_expect_eq(wire_encode(&m, &bytes, &err), RT_INVALID);
    m = wire_sample(WIRE_QUOTA_GRANT);
    m.quota_grant.stamp = 123456;
    rt_buf_clear(&bytes);
    cr_assert_eq(wire_encode(&m, &bytes, &err), RT_OK);
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &back, &err), RT_OK);
    cr_expect_eq(back.quota_grant.stamp, 123456);
    wire_message_free(&back);
    rt_buf_free(&bytes);
}

Test(messages, a_short_bitmap_is_filled_up_with_zeros)
{
    wire_message m = wire_sample(WIRE_SERVER_REPORT), got = {0};
    rt_buf bytes = {0};
    m.server_report.n_micro_batches = 100;
    cr_assert_eq(wire_encode(&m, &bytes, NULL), RT_OK);
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &got, NULL), RT_OK);
    cr_assert_eq(got.server_report.n_received, 13);
    cr_assert_eq(got.server_report.received[12], 0);
    wire_message_free(&got);
    rt_buf_free(&bytes);
}

Test(messages, a_report_of_divergence_arrives_and_old_bytes_mean_none)
{
    wire_message m = wire_sample(WIRE_SERVER_REPORT), got = {0};
    rt_buf bytes = {0};
    for (int diverged = 0; diverged < 2; diverged++) {
        m.server_report.diverged = diverged != 0;
        cr_assert_eq(wire_encode(&m, &bytes, NULL), RT_OK);
        cr_assert_eq(wire_decode(bytes.data, bytes.n, &got, NULL), RT_OK);
        cr_expect_eq(got.server_report.diverged, diverged != 0);
        wire_message_free(&got);
    }
    rt_buf_free(&bytes);
}

Test(messages, absent_gold_and_empty_gold_differ)
{
    rt_buf bytes = encoded(WIRE_LEASE_GRANT);
    wire_message m = {0};
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &m, NULL), RT_OK);
    cr_assert_str_eq(m.lease_grant.examples[0].gold, "5");
    cr_assert_str_eq(m.lease_grant.examples[1].gold, "");
    cr_assert_null(m.lease_grant.examples[2].gold);
    cr_assert_eq(m.lease_grant.examples[0].id.high, 0x0123456789abcdefull);
    cr_assert_eq(m.lease_grant.examples[0].id.low, 0xfedcba9876543210ull);
    cr_assert(m.lease_grant.examples[1].done);
    wire_message_free(&m);
    rt_buf_free(&bytes);
}

Test(messages, null_strings_become_empty_ones)
{
    wire_message m = {.type = WIRE_REGISTER}, got = {0};
    rt_buf bytes = {0};
    cr_assert_eq(wire_encode(&m, &bytes, NULL), RT_OK);
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &got, NULL), RT_OK);
    cr_assert_str_eq(got.run_id, "");
    cr_assert_str_eq(got.register_.host, "");
    wire_message_free(&got);
    rt_buf_free(&bytes);
}

static void assert_not_encoded(const wire_message *m, const char *said)
{
    rt_buf bytes = {0};
    rt_error err = {0};
    cr_assert_eq(wire_encode(m, &bytes, &err), RT_INVALID);
    cr_assert_not_null(strstr(err.text, said), "%s", err.text);
    cr_assert_eq(bytes.n, 0);
    rt_buf_free(&bytes);
}

Test(messages, floats_that_are_not_finite_are_not_sent)
{
    wire_message m = wire_sample(WIRE_PUSH);
    m.push.sums.loss[1] = NAN;
    assert_not_encoded(&m, "loss[1] is not finite");
    m = wire_sample(WIRE_SERVER_ORDER);
    m.server_order.grad_norm = INFINITY;
    assert_not_encoded(&m, "grad_norm[0] is not finite");
    m = wire_sample(WIRE_HEARTBEAT);
    wire_counter counters[] = {{"x", -INFINITY}};
    m.heartbeat.counters = counters;
    m.heartbeat.n_counters = 1;
    assert_not_encoded(&m, "value[0] is not finite");
}

Test(messages, texts_that_are_not_utf8_are_not_sent)
{
    wire_message m = wire_sample(WIRE_REGISTER);
    m.register_.host = "\xc3\x28";
    assert_not_encoded(&m, "host[0] is not valid UTF-8");
    m = wire_sample(WIRE_PULL);
    m.sender = "\xff";
    assert_not_encoded(&m, "sender[0] is not valid UTF-8");
}

Test(messages, the_format_of_frames_and_the_time_waited_come_back)
{
    wire_message pull = wire_sample(WIRE_PULL), pulled = wire_sample(WIRE_PULLED),
                 push = wire_sample(WIRE_PUSH), *sent[] = {&pull, &pulled, &push};
    wire_message got[RT_COUNT(sent)] = {0};
    pull.pull.element = pulled.pulled.element = push.push.element = WIRE_ELEMENT_BF16;
    pulled.pulled.waited_ms = 250;
    push.push.shared = (shared_block_ref){1, 2, 3, UINT64_MAX, 5, 6, 7};
    for (size_t i = 0; i < RT_COUNT(sent); i++) {
        rt_buf bytes = {0};
        cr_assert_eq(wire_encode(sent[i], &bytes, NULL), RT_OK);
        cr_assert_eq(wire_decode(bytes.data, bytes.n, &got[i], NULL), RT_OK);
        rt_buf_free(&bytes);
    }
    cr_expect_eq(got[0].pull.element, WIRE_ELEMENT_BF16);
    cr_expect_eq(got[1].pulled.element, WIRE_ELEMENT_BF16);
    cr_expect_eq(got[1].pulled.waited_ms, 250);
    cr_expect_eq(got[2].push.element, WIRE_ELEMENT_BF16);
    cr_expect(memcmp(&got[2].push.shared, &push.push.shared, sizeof(shared_block_ref)) == 0);
    for (size_t i = 0; i < RT_COUNT(sent); i++) wire_message_free(&got[i]);
}

Test(messages, values_outside_the_contract_are_not_sent)
{
    wire_message m = wire_sample(WIRE_REGISTER);
    m.register_.role = (wire_role)9;
    assert_not_encoded(&m, "role[0] has a value unknown here");
    m = wire_sample(WIRE_PUSH);
    m.push.index = m.push.n_micro_batches;
    assert_not_encoded(&m, "index is not below");
    m = wire_sample(WIRE_PULL);
    m.pull.element = (wire_element)2;
    assert_not_encoded(&m, "element[0] has a value unknown here");
    m = wire_sample(WIRE_RUN_STATE);
    m.run_state.n_servers = 3;
    assert_not_encoded(&m, "neither complete nor empty");
    m = wire_sample(WIRE_PULL);
    m.type = (wire_type)99;
    assert_not_encoded(&m, "99");
}

Test(messages, a_list_beyond_its_limit_is_not_sent)
{
    wire_message m = wire_sample(WIRE_HEARTBEAT);
    m.heartbeat.n_counters = 1025;
    m.heartbeat.counters = calloc(m.heartbeat.n_counters, sizeof(wire_counter));
    assert_not_encoded(&m, "1025 entries, the limit is 1024");
    free(m.heartbeat.counters);
    m = wire_sample(WIRE_HEARTBEAT);
    wire_histogram one = {.sum = 1, .n_buckets = 65};
    one.buckets = calloc(one.n_buckets, sizeof *one.buckets);
    m.heartbeat.histograms = &one;
    m.heartbeat.n_histograms = 1;
    assert_not_encoded(&m, "65 entries, the limit is 64");
    one.n_buckets = 0;
    one.sum = NAN;
    assert_not_encoded(&m, "sum[0] is not finite");
    free(one.buckets);
}

/* Bytes of an envelope that our own encoder would not make. */
static rt_buf packed(const Retort__Envelope *e)
{
    rt_buf b = {0};
    cr_assert_eq(rt_buf_reserve(&b, retort__envelope__get_packed_size(e), NULL), RT_OK);
    b.n = retort__envelope__pack(e, (uint8_t *)b.data);
    return b;
}

static void assert_not_decoded(const Retort__Envelope *e, rt_status expected, const char *said)
{
    rt_buf b = packed(e);
    wire_message m = {0};
    rt_error err = {0};
    cr_assert_eq(wire_decode(b.data, b.n, &m, &err), expected, "%s", err.text);
    cr_assert_not_null(strstr(err.text, said), "%s", err.text);
    cr_assert_null(m.run_id);
    rt_buf_free(&b);
}

Test(messages, bad_fields_from_outside_are_corrupt)
{
    Retort__Envelope e = RETORT__ENVELOPE__INIT;
    Retort__Register r = RETORT__REGISTER__INIT;
    e.protocol = WIRE_PROTOCOL;
    assert_not_decoded(&e, RT_CORRUPT, "no body");
    e.body_case = RETORT__ENVELOPE__BODY_REGISTER_;
    e.register_ = &r;
    r.role = (Retort__Role)77;
    assert_not_decoded(&e, RT_CORRUPT, "role[0] has a value unknown here");
    r.role = RETORT__ROLE__ROLE_TEACHER;
    r.endpoint = "\xed\xa0\x80"; /* a surrogate */
    assert_not_decoded(&e, RT_CORRUPT, "endpoint[0] is not valid UTF-8");

    Retort__ServerOrder order = RETORT__SERVER_ORDER__INIT;
    e.body_case = RETORT__ENVELOPE__BODY_SERVER_ORDER;
    e.server_order = &order;
    order.grad_norm = NAN;
    assert_not_decoded(&e, RT_CORRUPT, "not finite");
}

Test(messages, another_protocol_version_is_unsupported)
{
    Retort__Envelope e = RETORT__ENVELOPE__INIT;
    e.protocol = WIRE_PROTOCOL + 1;
    assert_not_decoded(&e, RT_UNSUPPORTED, "protocol 2, expected 1");
}

Test(messages, unknown_fields_of_a_newer_version_are_skipped)
{
    rt_buf bytes = encoded(WIRE_ACK);
    wire_message m = {0};
    static const unsigned char newer[] = {0xf8, 0x07, 0x05, 0xfa, 0x0f, 0x02, 'h', 'i'};
    cr_assert_eq(rt_buf_add(&bytes, newer, sizeof newer, NULL), RT_OK);
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &m, NULL), RT_OK);
    cr_assert_eq(m.type, WIRE_ACK);
    wire_message_free(&m);
    rt_buf_free(&bytes);
}

Test(messages, a_small_message_cannot_ask_for_a_large_heap)
{
    /* Two bytes per empty example; each would cost about a hundred in memory. */
    enum { N_EXAMPLES = 1 << 20 };
    rt_buf b = {0};
    wire_message m = {0};
    static const unsigned char head[] = {0x08, 0x01, 0x72}; /* protocol 1, field 14 */
    size_t n = 2 * (size_t)N_EXAMPLES;
    cr_assert_eq(rt_buf_add(&b, head, sizeof head, NULL), RT_OK);
    for (size_t left = n; left > 0; left >>= 7) {
        char byte = (char)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        cr_assert_eq(rt_buf_add(&b, &byte, 1, NULL), RT_OK);
    }
    for (size_t i = 0; i < N_EXAMPLES; i++)
        cr_assert_eq(rt_buf_add(&b, "\x32\x00", 2, NULL), RT_OK);
    rt_error err = {0};
    cr_assert_eq(wire_decode(b.data, b.n, &m, &err), RT_CORRUPT);
    cr_assert_not_null(strstr(err.text, "do not parse"), "%s", err.text);
    rt_buf_free(&b);
}

Test(messages, names_are_stable)
{
    cr_assert_str_eq(wire_type_name(WIRE_RUN_STATE), "run_state");
    cr_assert_str_eq(wire_type_name((wire_type)3), "unknown");
    cr_assert_str_eq(wire_role_name(ROLE_SERVER), "server");
    cr_assert_str_eq(wire_role_name((wire_role)42), "unknown");
    wire_message_free(NULL);
}

Test(messages, amounts_beyond_the_limit_are_refused_in_both_directions)
{
    for (int r = 0; r < RESOURCE_COUNT; r++) {
        rt_buf bytes = {0};
        rt_error err = {0};
        wire_message report = wire_sample(WIRE_QUOTA_REPORT);
        wire_message grant = wire_sample(WIRE_QUOTA_GRANT);
        report.quota_report.reserved.of[r] = WIRE_AMOUNT_MAX + 1;
        grant.quota_grant.ceilings.of[r] = WIRE_AMOUNT_MAX + 1;
        cr_expect_eq(wire_encode(&report, &bytes, &err), RT_INVALID);
        cr_expect_eq(wire_encode(&grant, &bytes, &err), RT_INVALID);
        rt_buf_free(&bytes);
    }
    Retort__Amounts much = RETORT__AMOUNTS__INIT;
    Retort__QuotaReport body = RETORT__QUOTA_REPORT__INIT;
    Retort__Envelope e = RETORT__ENVELOPE__INIT;
    uint8_t bytes[256];
    wire_message m = {0};
    much.cost = WIRE_AMOUNT_MAX + 1;
    body.settled = &much;
    e.protocol = WIRE_PROTOCOL;
    e.body_case = RETORT__ENVELOPE__BODY_QUOTA_REPORT;
    e.quota_report = &body;
    size_t n = retort__envelope__pack(&e, bytes);
    cr_expect_eq(wire_decode(bytes, n, &m, NULL), RT_CORRUPT);
}

/* Beside the sample, whose bytes are those of before the field was there. */
Test(messages, a_shard_that_is_given_back_says_so)
{
    rt_buf bytes = {0};
    rt_error err = {0};
    wire_message m = wire_sample(WIRE_LEASE_DONE), back = {0};
    cr_expect_not(m.lease_done.given_back);
    m.lease_done.given_back = true;
    cr_assert_eq(wire_encode(&m, &bytes, &err), RT_OK, "%s", err.text);
    cr_assert_eq(wire_decode(bytes.data, bytes.n, &back, &err), RT_OK, "%s", err.text);
    cr_expect(back.lease_done.given_back);
    wire_message_free(&back);
    rt_buf_free(&bytes);
}
