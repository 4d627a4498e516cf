/* Any file is rows and an end: the first byte picks format, unit and limit, the rest is the file.
 * Every row is valid UTF-8 without NUL or says why not, and every look-up ends in an answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/corpus/row_reader.h"
#include "common/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void read_rows(row_reader *r)
{
    static const char *const fields[] = {"text", "a", "a.b", "a.0", "list.x", ""};
    row found;
    while (row_reader_next(r, &found, NULL) == RT_OK) {
        if (found.file == NULL || found.line == 0 || found.raw == NULL) abort();
        if (!utf8_is_valid(found.raw, found.n_raw) || found.raw[found.n_raw] != '\0') abort();
        if (found.problem != NULL && !utf8_is_valid(found.problem, strlen(found.problem))) abort();
        for (size_t i = 0; i < RT_COUNT(fields); i++) {
            rt_buf out = {0};
            rt_status st = row_reader_lookup(r, fields[i], &out, NULL);
            if (st != RT_OK && st != RT_NOTFOUND) abort();
            if (found.problem == NULL && out.n > 0 && strlen(out.data) != out.n) abort();
            rt_buf_free(&out);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[64];
    const char *files[] = {path};
    row_reader *r = NULL;
    if (n == 0) return 0;
    row_reader_options options = {.format = (row_format)(ROW_JSONL + bytes[0] % 4),
                                  .paragraphs = (bytes[0] & 16) != 0,
                                  .row_bytes_max = (bytes[0] & 32) != 0 ? 20 : 0};
    int fd = memfd_create("rows", MFD_CLOEXEC);
    if (fd < 0) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (rt_fs_write_all(fd, bytes + 1, n - 1, path, NULL) != RT_OK) abort();
    if (row_reader_open(files, 1, &options, &r, NULL) != RT_OK) abort();
    read_rows(r);
    row_reader_close(r);
    close(fd);
    return 0;
}
