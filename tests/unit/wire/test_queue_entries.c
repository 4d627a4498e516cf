#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/queue.pb-c.h"
#include "tests/support/wire_samples.h"

static void same_text(const char *a, const char *b)
{
    cr_assert_eq(a == NULL, b == NULL);
    if (a != NULL) cr_assert_str_eq(a, b);
}

static void label_survives(bool rejected, char *topk)
{
    label_record r = wire_sample_label(rejected), got = {0};
    r.topk = topk;
    rt_buf bytes = {0};
    rt_error err = {0};
    cr_assert_eq(wire_encode_label(&r, &bytes, &err), RT_OK, "%s", err.text);
    cr_assert_eq(wire_decode_label(bytes.data, bytes.n, &got, &err), RT_OK, "%s", err.text);
    cr_assert(rt_id_equal(r.id, got.id));
    same_text(r.source_id, got.source_id);
    same_text(r.input, got.input);
    same_text(r.gold, got.gold);
    same_text(r.label, got.label);
    same_text(r.rationale, got.rationale);
    same_text(r.reason, got.reason);
    same_text(r.raw, got.raw);
    same_text(r.meta, got.meta);
    same_text(r.topk, got.topk);
    label_record_free(&got);
    rt_buf_free(&bytes);
}

Test(queue_entries, a_labelled_record_survives_with_its_empty_gold)
{
    label_survives(false, NULL);
}

Test(queue_entries, a_labelled_record_survives_with_the_probabilities_of_its_tokens)
{
    static char topk[] = "AQAAAAAAAAAA";
    label_survives(false, topk);
}

Test(queue_entries, a_rejected_record_survives_with_raw_bytes_that_are_no_utf8)
{
    label_survives(true, NULL);
}

Test(queue_entries, a_record_that_is_both_or_neither_is_not_sent)
{
    rt_buf bytes = {0};
    label_record r = wire_sample_label(false);
    r.reason = "no_label";
    cr_assert_eq(wire_encode_label(&r, &bytes, NULL), RT_INVALID);
    r.reason = r.label = NULL;
    cr_assert_eq(wire_encode_label(&r, &bytes, NULL), RT_INVALID);
    cr_assert_eq(bytes.n, 0);
}

Test(queue_entries, a_label_damaged_anywhere_is_refused_or_decodes)
{
    rt_buf bytes = {0};
    label_record r = wire_sample_label(false);
    cr_assert_eq(wire_encode_label(&r, &bytes, NULL), RT_OK);
    for (size_t i_bit = 0; i_bit < 8 * bytes.n; i_bit++) {
        label_record got = {0};
        bytes.data[i_bit / 8] ^= (char)(1u << (i_bit % 8));
        rt_status st = wire_decode_label(bytes.data, bytes.n, &got, NULL);
        cr_expect(st == RT_OK || st == RT_CORRUPT);
        label_record_free(&got);
        bytes.data[i_bit / 8] ^= (char)(1u << (i_bit % 8));
    }
    for (size_t n = 0; n < bytes.n; n++) {
        label_record got = {0};
        char *exact = malloc(n + 1);
        memcpy(exact, bytes.data, n);
        (void)!wire_decode_label(exact, n, &got, NULL);
        label_record_free(&got);
        free(exact);
    }
    rt_buf_free(&bytes);
}

Test(queue_entries, a_label_with_a_short_id_or_a_zero_byte_is_corrupt)
{
    uint8_t id[16] = {0};
    Retort__LabelRecord pb = RETORT__LABEL_RECORD__INIT;
    rt_buf b = {0};
    label_record got = {0};
    cr_assert_eq(rt_buf_reserve(&b, 256, NULL), RT_OK);
    pb.id = (ProtobufCBinaryData){15, id};
    pb.present = 1u << 2;
    pb.label = "x";
    b.n = retort__label_record__pack(&pb, (uint8_t *)b.data);
    cr_assert_eq(wire_decode_label(b.data, b.n, &got, NULL), RT_CORRUPT);
    pb.id.len = 16;
    pb.raw = (ProtobufCBinaryData){3, (uint8_t *)"a\0b"};
    b.n = retort__label_record__pack(&pb, (uint8_t *)b.data);
    cr_assert_eq(wire_decode_label(b.data, b.n, &got, NULL), RT_CORRUPT);
    rt_buf_free(&b);
}

Test(queue_entries, a_micro_batch_survives_and_its_offsets_are_derived)
{
    micro_batch b = wire_sample_micro_batch(), got = {0};
    rt_buf bytes = {0}, again = {0};
    rt_error err = {0};
    cr_assert_eq(wire_encode_micro_batch(&b, &bytes, &err), RT_OK, "%s", err.text);
    cr_assert_eq(wire_decode_micro_batch(bytes.data, bytes.n, &got, &err), RT_OK, "%s", err.text);
    cr_assert_eq(got.n_ids, b.n_ids);
    cr_assert_arr_eq(got.ids, b.ids, b.n_ids * sizeof *b.ids);
    cr_assert_eq(got.seqs[1].first, 5);
    cr_assert_eq(got.seqs[1].task, TASK_SOLVE);
    cr_assert_eq(got.task_count[1], 20.5);
    cr_assert_eq(got.seed, b.seed);
    cr_assert_eq(wire_encode_micro_batch(&got, &again, &err), RT_OK, "%s", err.text);
    cr_assert_eq(again.n, bytes.n);
    cr_assert_arr_eq(again.data, bytes.data, bytes.n);
    micro_batch_free(&got);
    rt_buf_free(&bytes);
    rt_buf_free(&again);
}

static void micro_batch_refused(micro_batch b, const char *said)
{
    rt_buf bytes = {0};
    rt_error err = {0};
    cr_assert_eq(wire_encode_micro_batch(&b, &bytes, &err), RT_INVALID);
    cr_assert_not_null(strstr(err.text, said), "%s", err.text);
    rt_buf_free(&bytes);
}

Test(queue_entries, a_micro_batch_that_does_not_add_up_is_not_sent)
{
    micro_batch b = wire_sample_micro_batch();
    b.n_ids--;
    micro_batch_refused(b, "cover 8 of 7 ids");
    b = wire_sample_micro_batch();
    b.index = b.n_micro_batches;
    micro_batch_refused(b, "index 4 of 4");
    b = wire_sample_micro_batch();
    b.task_weight[0] = NAN;
    micro_batch_refused(b, "not finite");
    b = wire_sample_micro_batch();
    b.task_count[2] = -1;
    micro_batch_refused(b, "negative");
    b = wire_sample_micro_batch();
    micro_batch_seq seqs[2] = {b.seqs[0], b.seqs[1]};
    seqs[1].first = 4;
    b.seqs = seqs;
    micro_batch_refused(b, "starts at 4, expected 5");
}

Test(queue_entries, a_micro_batch_damaged_anywhere_is_refused_or_decodes)
{
    rt_buf bytes = {0};
    micro_batch b = wire_sample_micro_batch();
    cr_assert_eq(wire_encode_micro_batch(&b, &bytes, NULL), RT_OK);
    for (size_t i_bit = 0; i_bit < 8 * bytes.n; i_bit++) {
        micro_batch got = {0};
        bytes.data[i_bit / 8] ^= (char)(1u << (i_bit % 8));
        rt_status st = wire_decode_micro_batch(bytes.data, bytes.n, &got, NULL);
        cr_expect(st == RT_OK || st == RT_CORRUPT);
        micro_batch_free(&got);
        bytes.data[i_bit / 8] ^= (char)(1u << (i_bit % 8));
    }
    rt_buf_free(&bytes);
}
