/* Any text is what a Redis says about itself: nothing is taken from beyond its end. */
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/queue/server_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char value[16];
    char *text = rt_strndup((const char *)bytes, n);
    if (text == NULL) return 0;
    queue_server_info info = queue_server_info_read(text);
    if (memchr(info.version, '\0', sizeof info.version) == NULL) abort();
    if (queue_info_value(text, "role", value, sizeof value) &&
        memchr(value, '\0', sizeof value) == NULL)
        abort();
    free(text);
    return 0;
}
