/* Any bytes are a list of public keys, or of API keys, or are refused without being quoted. */
#include <stdlib.h>
#include <string.h>

#include "common/http_server/api_keys.h"
#include "common/net/allow_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    allow_list list = {0};
    api_keys *keys = NULL;
    rt_error err = {0};
    rt_status st = allow_list_parse((const char *)bytes, n, &list, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    if ((st == RT_OK) != (list.n > 0)) abort();
    for (size_t i = 0; i < list.n; i++) {
        if (list.items[i].role < NET_ROLE_COORDINATOR || list.items[i].role >= NET_ROLE_COUNT)
            abort();
        if (allow_list_find(&list, list.items[i].public_key) != &list.items[i]) abort();
    }
    allow_list_free(&list);
    if (api_keys_parse((const char *)bytes, n, &keys, NULL) != RT_OK) return 0;
    if (api_keys_allow(keys, "Bearer ") || api_keys_allow(keys, NULL)) abort();
    api_keys_free(keys);
    return 0;
}
