/* Any bytes decode or are refused; what decodes can be encoded and decoded again. */
#include <stdlib.h>

#include "common/wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    wire_message first = {0}, second = {0};
    rt_buf again = {0};
    if (wire_decode(bytes, n, &first, NULL) != RT_OK) return 0;
    if (wire_encode(&first, &again, NULL) != RT_OK) abort();
    if (wire_decode(again.data, again.n, &second, NULL) != RT_OK) abort();
    wire_message_free(&first);
    wire_message_free(&second);
    rt_buf_free(&again);
    return 0;
}
