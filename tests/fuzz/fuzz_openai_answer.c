/* Any bytes are a cached answer or are refused; an answer is written and read again as it was. */
#include <stdlib.h>
#include <string.h>

#include "worker/teacher/openai/answer_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    backend_answer a = {0}, b = {0};
    rt_buf first = {0}, second = {0};
    if (answer_from_bytes((const char *)bytes, n, &a, NULL) != RT_OK) return 0;
    if (answer_to_bytes(&a, &first, NULL) != RT_OK) abort();
    if (answer_from_bytes(first.data, first.n, &b, NULL) != RT_OK) abort();
    if (answer_to_bytes(&b, &second, NULL) != RT_OK) abort();
    if (first.n != second.n || memcmp(first.data, second.data, first.n) != 0) abort();
    free(a.text);
    free(a.reasoning);
    free(b.text);
    free(b.reasoning);
    rt_buf_free(&first);
    rt_buf_free(&second);
    return 0;
}
