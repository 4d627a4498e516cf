/* Any bytes are a model of llama2.c, its tokenizer, or are refused; all without a crash. */
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/llama2c.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    rt_error err = {0};
    piece_list list = {0};
    rt_buf out = {0};
    rt_status st = llama2c_check_bytes(bytes, n, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    if (llama2c_tokenizer_parse("bytes", bytes, n, 5, &list, NULL) == RT_OK) {
        rt_error why = {0};
        if (piece_list_write(&list, &out, &why) != RT_OK && why.text[0] == '\0') abort();
    }
    piece_list_free(&list);
    rt_buf_free(&out);
    return 0;
}
