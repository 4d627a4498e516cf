/* Any bytes are a record or are refused; a record is written and read again as the same line. */
#include <stdlib.h>
#include <string.h>

#include "common/dataset/label_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    label_record first = {0}, second = {0};
    rt_buf line = {0}, again = {0};
    if (label_record_from_json((const char *)bytes, n, &first, NULL) != RT_OK) return 0;
    if (label_record_to_json(&first, &line, NULL) != RT_OK) abort();
    if (label_record_from_json(line.data, line.n, &second, NULL) != RT_OK) abort();
    if (label_record_to_json(&second, &again, NULL) != RT_OK) abort();
    if (line.n != again.n || memcmp(line.data, again.data, line.n) != 0) abort();
    label_record_free(&first);
    label_record_free(&second);
    rt_buf_free(&line);
    rt_buf_free(&again);
    return 0;
}
