/* Any bytes load or are refused with a text; what loads prints, and what is printed loads again to
 * the same settings. Bytes behind the first NUL are taken as one --set. */
#include <stdlib.h>
#include <string.h>

#include "common/conf/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const uint8_t *end = n > 0 ? memchr(bytes, '\0', n) : NULL;
    size_t n_yaml = end != NULL ? (size_t)(end - bytes) : n;
    char *set = end != NULL ? rt_strndup((const char *)end + 1, n - n_yaml - 1) : NULL;
    const char *sets[] = {set, NULL};
    rt_error err = {0};
    config *first = NULL, *second = NULL;
    rt_buf once = {0}, twice = {0};
    if (config_parse("fuzz", (const char *)bytes, n_yaml, sets, &first, &err) != RT_OK) {
        if (first != NULL || err.text[0] == '\0') abort();
        goto out;
    }
    if (config_print(first, &once, NULL) != RT_OK) abort();
    if (config_parse("printed", once.data, once.n, NULL, &second, &err) != RT_OK) abort();
    if (config_print(second, &twice, NULL) != RT_OK) abort();
    if (once.n != twice.n || memcmp(once.data, twice.data, once.n) != 0) abort();
out:
    rt_buf_free(&once);
    rt_buf_free(&twice);
    config_free(first);
    config_free(second);
    free(set);
    return 0;
}
