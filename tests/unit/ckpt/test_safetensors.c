#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/ckpt/safetensors.h"

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/retort-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}

TestSuite(safetensors, .init = make_folder, .fini = remove_folder);

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const float numbers[] = {1, -2.5f, 0.1f, 1e-20f, 70000, 3};

static void write_two(const char *path, tensor_dtype dtype, char sha256[RT_SHA256_HEX_SIZE])
{
    const tensor_source tensors[] = {
        {.name = "layer.a", .n_dims = 2, .shape = {2, 2}, .data = numbers},
        {.name = "b\"\\\xC3\xA9", .n_dims = 1, .shape = {2}, .data = numbers + 4}};
    const char *const metadata[] = {"format", "pt", "step", "12", NULL};
    rt_error err = {0};
    cr_assert_eq(safetensors_write(path, tensors, 2, dtype, metadata, sha256, &err), RT_OK, "%s",
                 err.text);
}

Test(safetensors, what_is_written_is_read_back)
{
    const double tolerance[] = {[TENSOR_F32] = 0, [TENSOR_F16] = 1e-3, [TENSOR_BF16] = 1e-2};
    for (tensor_dtype dtype = TENSOR_F32; dtype <= TENSOR_BF16; dtype++) {
        char sha256[RT_SHA256_HEX_SIZE], again[RT_SHA256_HEX_SIZE];
        safetensors *file = NULL;
        rt_error err = {0};
        write_two(path_of("x"), dtype, sha256);
        cr_assert_eq(rt_sha256_file(path_of("x"), again, &err), RT_OK);
        cr_expect_str_eq(sha256, again);
        cr_assert_eq(safetensors_open(path_of("x"), &file, &err), RT_OK, "%s", err.text);
        cr_expect_eq(safetensors_count(file), 2);
        const tensor_entry *a = safetensors_find(file, "layer.a");
        const tensor_entry *b = safetensors_find(file, "b\"\\\xC3\xA9");
        cr_assert(a != NULL && b != NULL && safetensors_find(file, "c") == NULL);
        cr_expect(a->n == 4 && a->n_dims == 2 && a->shape[0] == 2 && a->dtype == dtype);
        float out[6];
        safetensors_read_f32(file, a, out);
        safetensors_read_f32(file, b, out + 4);
        for (size_t i = 0; i < 6; i++) {
            if (dtype == TENSOR_F16 && numbers[i] > 65504)
                cr_expect(isinf(out[i]));
            else
                cr_expect_leq(fabs(out[i] - numbers[i]),
                              tolerance[dtype] * fabs(numbers[i]) + (dtype == TENSOR_F16) * 1e-7);
        }
        cr_expect_str_eq(safetensors_metadata(file, "step"), "12");
        cr_expect_null(safetensors_metadata(file, "other"));
        safetensors_close(file);
    }
}

Test(safetensors, the_bytes_are_the_documented_ones)
{
    const tensor_source t = {.name = "w", .n_dims = 1, .shape = {2}, .data = numbers};
    const char *const metadata[] = {"format", "pt", NULL};
    const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},\"w\":{\"dtype\":\"F32\","
                          "\"shape\":[2],\"data_offsets\":[0,8]}}";
    rt_buf file = {0};
    cr_assert_eq(safetensors_write(path_of("w"), &t, 1, TENSOR_F32, metadata, NULL, NULL), RT_OK);
    cr_assert_eq(rt_fs_read(path_of("w"), 1 << 20, &file, NULL), RT_OK);
    uint64_t n;
    memcpy(&n, file.data, 8);
    cr_expect_eq(n % 8, 0);
    cr_expect_eq(file.n, 8 + n + 8);
    cr_expect_eq(memcmp(file.data + 8, header, sizeof header - 1), 0);
    for (size_t i = sizeof header - 1; i < n; i++) cr_expect_eq(file.data[8 + i], ' ');
    cr_expect_eq(memcmp(file.data + 8 + n, numbers, 8), 0);
    rt_buf_free(&file);
}

/* A copy on the heap of exactly n bytes, so that a sanitizer sees every read beyond them. */
static rt_status check_copy(const char *bytes, size_t n)
{
    char *copy = malloc(n + 1);
    rt_error err = {0};
    memcpy(copy, bytes, n);
    copy = realloc(copy, n > 0 ? n : 1);
    rt_status st = safetensors_check_bytes(copy, n, &err);
    cr_expect_eq(st == RT_OK, err.text[0] == '\0');
    free(copy);
    return st;
}

Test(safetensors, a_file_cut_at_any_byte_is_refused)
{
    rt_buf file = {0};
    write_two(path_of("x"), TENSOR_F32, NULL);
    cr_assert_eq(rt_fs_read(path_of("x"), 1 << 20, &file, NULL), RT_OK);
    cr_expect_eq(check_copy(file.data, file.n), RT_OK);
    for (size_t n = 0; n < file.n; n++) {
        cr_expect_eq(check_copy(file.data, n), RT_CORRUPT, "cut at %zu", n);
        cr_assert_eq(rt_fs_write_atomic(path_of("cut"), file.data, n, NULL), RT_OK);
        safetensors *cut = NULL;
        cr_expect_eq(safetensors_open(path_of("cut"), &cut, NULL), RT_CORRUPT);
        cr_expect_null(cut);
    }
    rt_buf_add(&file, "x", 1, NULL) == RT_OK ? (void)0 : abort();
    cr_expect_eq(check_copy(file.data, file.n), RT_CORRUPT, "one byte too many");
    rt_buf_free(&file);
}

Test(safetensors, flipped_bytes_never_crash)
{
    rt_buf file = {0};
    write_two(path_of("x"), TENSOR_BF16, NULL);
    cr_assert_eq(rt_fs_read(path_of("x"), 1 << 20, &file, NULL), RT_OK);
    for (size_t i = 0; i < file.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            file.data[i] = (char)(file.data[i] ^ 1 << bit);
            (void)check_copy(file.data, file.n);
            file.data[i] = (char)(file.data[i] ^ 1 << bit);
        }
    }
    rt_buf_free(&file);
}

static rt_status check_header(const char *header, size_t n_data)
{
    char bytes[1024] = {0};
    size_t n = strlen(header);
    for (size_t i = 0; i < 8; i++) bytes[i] = (char)((uint64_t)n >> 8 * i);
    memcpy(bytes + 8, header, n);
    return check_copy(bytes, 8 + n + n_data);
}

Test(safetensors, refuses_headers_that_lie)
{
#define T(dtype, shape, begin, end) \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"
    cr_expect_eq(check_header("{\"a\":" T("F32", "[2]", "0", "8") "}", 8), RT_OK);
    cr_expect_eq(check_header("{\"a\":" T("F32", "[]", "0", "4") "}  ", 4), RT_OK);
    cr_expect_eq(check_header("{\"a\":" T("F32", "[0]", "0", "0") "}", 0), RT_OK);
    cr_expect_eq(check_header("{\"a\":" T("I64", "[1]", "0", "8") "}", 8), RT_UNSUPPORTED);
    static const struct {
        const char *header, *why;
        size_t n_data;
    } bad[] = {
        {"{\"a\":" T("F99", "[2]", "0", "8") "}", "unknown type", 8},
        {"{\"a\":" T("F32", "[3]", "0", "8") "}", "shape and span differ", 8},
        {"{\"a\":" T("F32", "[2]", "0", "8") "}", "data too long", 9},
        {"{\"a\":" T("F32", "[2]", "0", "8") "}", "data too short", 7},
        {"{\"a\":" T("F32", "[2]", "8", "0") "}", "span backward", 8},
        {"{\"a\":" T("F32", "[-2]", "0", "8") "}", "negative size", 8},
        {"{\"a\":" T("F32", "[2.0]", "0", "8") "}", "size with a fraction", 8},
        {"{\"a\":" T("F32", "[1,1,1,1,2]", "0", "8") "}", "five dimensions", 8},
        {"{\"a\":" T("F32", "[4294967296,4294967296,4294967296]", "0", "8") "}", "overflow", 8},
        {"{\"a\":" T("F32", "[4611686018427387904]", "0", "0") "}", "overflow in bytes", 0},
        {"{\"a\":" T("F32", "[1]", "4", "8") "}", "hole at the start", 8},
        {"{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "8", "12") "}", "hole", 12},
        {"{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[2]", "4", "12") "}", "overlap",
         12},
        {"{\"a\":" T("F32", "[1]", "0", "4") ",\"a\":" T("F32", "[1]", "4", "8") "}", "same name",
         8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"offsets\":[0,4]}}", "old key", 4},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "no dtype", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", "no shape", 4},
        {"{\"a\":7}", "not an object", 0},
        {"{\"__metadata__\":{\"a\":1}}", "metadata that is no text", 0},
        {"{\"__metadata__\":[]}", "metadata that is no object", 0},
        {" {}", "begins with a space", 0},
        {"[]", "an array", 0},
        {"{} x", "text after the header", 0},
        {"", "empty header", 0},
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        cr_expect_eq(check_header(bad[i].header, bad[i].n_data), RT_CORRUPT, "%s", bad[i].why);
#undef T
}

Test(safetensors, a_failed_write_leaves_the_old_file)
{
    char before[RT_SHA256_HEX_SIZE], after[RT_SHA256_HEX_SIZE];
    rt_error err = {0};
    write_two(path_of("x"), TENSOR_F32, before);
    const tensor_source twice[] = {{.name = "a", .n_dims = 1, .shape = {2}, .data = numbers},
                                   {.name = "a", .n_dims = 1, .shape = {2}, .data = numbers}};
    cr_expect_eq(safetensors_write(path_of("x"), twice, 2, TENSOR_F32, NULL, NULL, &err),
                 RT_INVALID);
    cr_assert_eq(rt_sha256_file(path_of("x"), after, NULL), RT_OK);
    cr_expect_str_eq(before, after);
    cr_expect_eq(safetensors_write("/nowhere/at/all", twice, 1, TENSOR_F32, NULL, NULL, &err),
                 RT_IO);
    safetensors *file = NULL;
    cr_expect_eq(safetensors_open(path_of("missing"), &file, &err), RT_NOTFOUND);
    cr_expect_eq(safetensors_open(folder, &file, &err), RT_IO);
}
