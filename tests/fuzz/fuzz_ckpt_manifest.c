/* Any bytes are a checkpoint's manifest or are refused; what is taken names plain files only. */
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    ckpt_manifest m = {0};
    rt_error err = {0};
    rt_status st = ckpt_manifest_parse((const char *)bytes, n, &m, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    for (size_t i = 0; i < m.n_files; i++)
        if (strchr(m.files[i].name, '/') != NULL || m.files[i].name[0] == '.') abort();
    ckpt_manifest_free(&m);
    return 0;
}
