#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/shared_block.h"

static shared_block *block_of(const char *text)
{
    shared_block *b = NULL;
    rt_error err = {0};
    cr_assert_eq(shared_block_new(strlen(text), &b, &err), RT_OK, "%s", err.text);
    memcpy(shared_block_bytes(b), text, strlen(text));
    return b;
}

Test(shared_block, another_process_reads_what_was_referred_to)
{
    shared_block *b = block_of("gradients of a step");
    shared_block_ref ref = shared_block_refer(b, 10, 9);
    pid_t child = fork();
    if (child == 0) {
        char out[9];
        _exit(shared_block_read(&ref, out, NULL) == RT_OK && memcmp(out, "of a step", 9) == 0 ? 0
                                                                                              : 1);
    }
    int code = -1;
    cr_assert_eq(waitpid(child, &code, 0), child);
    cr_expect_eq(code, 0);
    shared_block_free(b);
}

Test(shared_block, a_writer_that_went_on_is_noticed)
{
    char out[5];
    rt_error err = {0};
    shared_block *b = block_of("first");
    shared_block_ref ref = shared_block_refer(b, 0, 5);
    memcpy(shared_block_bytes(b), "other", 5);
    cr_expect_eq(shared_block_read(&ref, out, &err), RT_CORRUPT);
    cr_expect(strstr(err.text, "other bytes") != NULL, "%s", err.text);
    shared_block_free(b);
}

Test(shared_block, nothing_is_left_of_a_writer_that_was_killed)
{
    int pipes[2];
    char out[4];
    shared_block_ref ref = {0};
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        shared_block *b = NULL;
        if (shared_block_new(4, &b, NULL) != RT_OK) _exit(1);
        ref = shared_block_refer(b, 0, 4);
        if (write(pipes[1], &ref, sizeof ref) != sizeof ref) _exit(1);
        for (;;) pause();
    }
    cr_assert_eq(read(pipes[0], &ref, sizeof ref), sizeof ref);
    cr_expect_eq(shared_block_read(&ref, out, NULL), RT_OK);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_expect_eq(shared_block_read(&ref, out, NULL), RT_UNAVAILABLE);
    close(pipes[0]);
    close(pipes[1]);
}

Test(shared_block, only_blocks_are_read)
{
    char out[8];
    shared_block *b = block_of("12345678");
    shared_block_ref good = shared_block_refer(b, 0, 8), ref;
    int unsealed = memfd_create("retort-block", MFD_CLOEXEC), file = open("/dev/zero", O_RDONLY);
    cr_assert_eq(ftruncate(unsealed, 8192), 0);
    for (int i = 0; i < 6; i++) {
        ref = good;
        if (i == 0) ref.host++;
        if (i == 1) ref.token++;
        if (i == 2) ref.fd = (uint64_t)unsealed, ref.token = 0;
        if (i == 3) ref.fd = (uint64_t)file, ref.token = 0;
        if (i == 4) ref.pid = UINT64_MAX;
        if (i == 5) ref.fd = 9999;
        cr_expect_eq(shared_block_read(&ref, out, NULL), RT_UNAVAILABLE, "case %d", i);
    }
    ref = good;
    ref.offset = UINT64_MAX;
    cr_expect_eq(shared_block_read(&ref, out, NULL), RT_CORRUPT);
    ref = good;
    ref.n_bytes = 9;
    cr_expect_eq(shared_block_read(&ref, out, NULL), RT_CORRUPT);
    cr_expect_eq(shared_block_read(&good, out, NULL), RT_OK);
    shared_block_free(b);
    close(unsealed);
    close(file);
}

/* Puts the parts together again. */
typedef struct heard {
    char *bytes;
    size_t n, n_parts;
} heard;

static void hear(void *context, size_t at, const void *bytes, size_t n)
{
    heard *h = context;
    cr_assert_eq(at, h->n);
    memcpy(h->bytes + at, bytes, n);
    h->n += n;
    h->n_parts++;
}

Test(shared_block, parts_come_in_order_and_count_only_when_all_fit)
{
    static const size_t sizes[] = {0, 1, SHARED_BLOCK_PART, SHARED_BLOCK_PART + 1,
                                   3 * SHARED_BLOCK_PART};
    for (size_t i = 0; i < RT_COUNT(sizes); i++) {
        shared_block *b = NULL;
        rt_error err = {0};
        size_t n = sizes[i];
        heard h = {.bytes = calloc(n + 1, 1)};
        cr_assert_eq(shared_block_new(n + 5, &b, &err), RT_OK, "%s", err.text);
        char *bytes = shared_block_bytes(b);
        for (size_t j = 0; j < n + 5; j++) bytes[j] = (char)(j * 31 >> 3);
        shared_block_ref ref = shared_block_refer(b, 5, n);
        cr_expect_eq(shared_block_read_parts(&ref, hear, &h, &err), RT_OK, "%s", err.text);
        cr_assert_eq(h.n, n);
        cr_expect_eq(h.n_parts, (n + SHARED_BLOCK_PART - 1) / SHARED_BLOCK_PART);
        cr_expect(memcmp(h.bytes, bytes + 5, n) == 0);
        ref.checksum++;
        h.n = 0;
        cr_expect_eq(shared_block_read_parts(&ref, hear, &h, &err), RT_CORRUPT);
        ref.host++;
        h.n = 0;
        cr_expect_eq(shared_block_read_parts(&ref, hear, &h, &err), RT_UNAVAILABLE);
        cr_expect_eq(h.n, 0);
        free(h.bytes);
        shared_block_free(b);
    }
}
