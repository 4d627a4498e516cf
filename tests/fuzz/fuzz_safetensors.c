/* Any bytes are a safetensors file or are refused; both without a crash. */
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    rt_error err = {0};
    rt_status st = safetensors_check_bytes(bytes, n, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    return 0;
}
