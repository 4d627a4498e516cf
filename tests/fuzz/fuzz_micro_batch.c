/* Any bytes decode or are refused; what decodes can be encoded and decoded again. */
#include <stdlib.h>

#include "common/wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    micro_batch first = {0}, second = {0};
    rt_buf again = {0};
    if (wire_decode_micro_batch(bytes, n, &first, NULL) != RT_OK) return 0;
    if (wire_encode_micro_batch(&first, &again, NULL) != RT_OK) abort();
    if (wire_decode_micro_batch(again.data, again.n, &second, NULL) != RT_OK) abort();
    micro_batch_free(&first);
    micro_batch_free(&second);
    rt_buf_free(&again);
    return 0;
}
