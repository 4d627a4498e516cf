/* Any bytes are an answer of a key or are refused; an answer is written again as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "common/cache/answer_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* The key that the file claims, so that the fuzzer gets past the comparison of keys. */
static rt_id claimed_key(const uint8_t *bytes, size_t n)
{
    rt_id key = {0};
    for (size_t i = 0; i < 8 && n >= ANSWER_FILE_HEADER; i++) {
        key.high |= (uint64_t)bytes[8 + i] << (8 * i);
        key.low |= (uint64_t)bytes[16 + i] << (8 * i);
    }
    return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *payload = NULL;
    size_t n_payload = 0;
    rt_error err = {0};
    unsigned char header[ANSWER_FILE_HEADER];
    rt_id key = claimed_key(bytes, n);
    rt_status st = answer_file_decode(key, bytes, n, &payload, &n_payload, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    if (st != RT_OK) return 0;
    answer_file_header(key, payload, n_payload, header);
    if (n != n_payload + ANSWER_FILE_HEADER || memcmp(header, bytes, sizeof header) != 0) abort();
    return 0;
}
