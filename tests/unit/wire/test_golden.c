/* Golden bytes: what an earlier build wrote must decode for ever, and fields are only ever added.
 *
 * tests/golden/wire/NAME.hex holds one message each. A new message gets its file by running this
 * test once with RT_WRITE_GOLDEN=1, which also writes the seeds of the fuzzers; an existing file is
 * never rewritten. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "tests/support/wire_samples.h"

static void path_of(char out[512], const char *folder, const char *name, const char *suffix)
{
    const char *root = getenv("RT_SOURCE_DIR");
    snprintf(out, 512, "%s/tests/%s/%s%s", root == NULL ? "." : root, folder, name, suffix);
}

static void write_new(const char *path, const void *bytes, size_t n)
{
    if (rt_fs_exists(path)) return;
    cr_assert_eq(rt_fs_write_atomic(path, bytes, n, NULL), RT_OK, "%s", path);
}

static void write_golden(const char *name, const char *fuzzer, const rt_buf *bytes)
{
    char path[512];
    rt_buf hex = {0};
    for (size_t i = 0; i < bytes->n; i++)
        cr_assert_eq(rt_buf_printf(&hex, NULL, "%02x%s", (unsigned char)bytes->data[i],
                                   i % 32 == 31 || i + 1 == bytes->n ? "\n" : ""),
                     RT_OK);
    path_of(path, "golden/wire", name, ".hex");
    write_new(path, hex.data == NULL ? "" : hex.data, hex.n);
    char folder[64];
    snprintf(folder, sizeof folder, "fuzz/seeds/%s", fuzzer);
    path_of(path, folder, "", "");
    cr_assert_eq(rt_fs_mkdirs(path, NULL), RT_OK);
    path_of(path, folder, name, ".bin");
    write_new(path, bytes->data, bytes->n);
    rt_buf_free(&hex);
}

static rt_buf read_golden(const char *name)
{
    char path[512];
    rt_buf hex = {0}, bytes = {0};
    rt_error err = {0};
    path_of(path, "golden/wire", name, ".hex");
    cr_assert_eq(rt_fs_read(path, 1 << 20, &hex, &err), RT_OK, "%s", err.text);
    for (const char *p = hex.data; *p != '\0'; p++) {
        unsigned value = 0;
        if (*p == '\n') continue;
        cr_assert_eq(sscanf(p, "%2x", &value), 1);
        char byte = (char)value;
        cr_assert_eq(rt_buf_add(&bytes, &byte, 1, NULL), RT_OK);
        p++;
    }
    rt_buf_free(&hex);
    return bytes;
}

/* True when the golden bytes of `name` equal what this build writes. */
static void check_golden(const char *name, const char *fuzzer, const rt_buf *now)
{
    if (getenv("RT_WRITE_GOLDEN") != NULL) write_golden(name, fuzzer, now);
    rt_buf golden = read_golden(name);
    cr_assert_eq(golden.n, now->n, "%s: %zu bytes, golden file has %zu", name, now->n, golden.n);
    cr_assert_arr_eq(golden.data, now->data, now->n);
    rt_buf_free(&golden);
}

static void check_message(const char *name, const wire_message *m)
{
    wire_message old = {0};
    rt_buf now = {0}, again = {0};
    rt_error err = {0};
    cr_assert_eq(wire_encode(m, &now, &err), RT_OK, "%s: %s", name, err.text);
    check_golden(name, "wire", &now);
    rt_buf golden = read_golden(name);
    cr_assert_eq(wire_decode(golden.data, golden.n, &old, &err), RT_OK, "%s: %s", name, err.text);
    cr_assert_eq(wire_encode(&old, &again, &err), RT_OK);
    cr_assert_eq(again.n, golden.n);
    cr_assert_arr_eq(again.data, golden.data, golden.n);
    wire_message_free(&old);
    rt_buf_free(&now);
    rt_buf_free(&again);
    rt_buf_free(&golden);
}

Test(golden, every_message_is_written_as_it_was_and_old_bytes_decode)
{
    for (int type = WIRE_SAMPLE_FIRST; type <= WIRE_SAMPLE_LAST; type++) {
        wire_message m = wire_sample((wire_type)type);
        check_message(wire_type_name((wire_type)type), &m);
    }
}

Test(golden, fields_that_came_later_are_written_as_they_were)
{
    for (size_t i = 0; i < WIRE_LATE_SAMPLES; i++) {
        const char *name = NULL;
        wire_message m = wire_sample_late(i, &name);
        check_message(name, &m);
    }
}

Test(golden, label_records_are_written_as_they_were_and_old_bytes_decode)
{
    static const char *const names[] = {"label_good", "label_rejected", "label_topk"};
    static char topk[] = "AQAAAAAAAAAA";
    for (int i = 0; i < 3; i++) {
        label_record r = wire_sample_label(i == 1), old = {0};
        if (i == 2) r.topk = topk;
        rt_buf now = {0};
        cr_assert_eq(wire_encode_label(&r, &now, NULL), RT_OK);
        check_golden(names[i], "label", &now);
        rt_buf golden = read_golden(names[i]);
        cr_assert_eq(wire_decode_label(golden.data, golden.n, &old, NULL), RT_OK);
        cr_assert_str_eq(old.input, r.input);
        cr_assert_eq(old.topk == NULL, i != 2);
        label_record_free(&old);
        rt_buf_free(&now);
        rt_buf_free(&golden);
    }
}

Test(golden, a_micro_batch_is_written_as_it_was_and_old_bytes_decode)
{
    micro_batch b = wire_sample_micro_batch(), old = {0};
    rt_buf now = {0};
    cr_assert_eq(wire_encode_micro_batch(&b, &now, NULL), RT_OK);
    check_golden("micro_batch", "micro_batch", &now);
    rt_buf golden = read_golden("micro_batch");
    cr_assert_eq(wire_decode_micro_batch(golden.data, golden.n, &old, NULL), RT_OK);
    cr_assert_eq(old.n_ids, b.n_ids);
    micro_batch_free(&old);
    rt_buf_free(&now);
    rt_buf_free(&golden);
}
