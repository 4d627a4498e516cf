/* Any bytes are a sentencepiece model or are refused; what is read can be written again. */
#include <stdlib.h>
#include <string.h>

#include "common/text/piece_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    rt_error err = {0};
    piece_list list = {0}, again = {0};
    rt_buf out = {0};
    rt_status st = piece_list_read((const char *)bytes, n, &list, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    if (st == RT_OK && piece_list_write(&list, &out, NULL) == RT_OK) {
        if (piece_list_read(out.data, out.n, &again, NULL) != RT_OK || again.n != list.n) abort();
    }
    piece_list_free(&list);
    piece_list_free(&again);
    rt_buf_free(&out);
    return 0;
}
