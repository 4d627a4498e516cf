/* First byte: what failed; then the headers up to an empty line, then the body. Whatever they are, the
 * verdict is whole and no wait is longer than the limits. */
#include <stdlib.h>
#include <string.h>

#include "worker/teacher/openai/failure.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const long statuses[] = {200, 301, 400, 401, 403, 404, 408, 422, 429, 500, 503, 0};
    http_response r = {0};
    if (n == 0) return 0;
    const char *text = (const char *)bytes + 1;
    n--;
    const char *end = n > 0 ? memmem(text, n, "\n\n", 2) : NULL;
    size_t n_head = end == NULL ? 0 : (size_t)(end - text) + 1;
    /* As the HTTP client hands them on: lines without zero bytes. */
    if (rt_buf_add(&r.headers, text, n_head, NULL) != RT_OK) return 0;
    for (size_t i = 0; i < n_head; i++)
        if (r.headers.data[i] == '\0') r.headers.data[i] = ' ';
    failure_event e = {.transport = bytes[0] < 200 ? HTTP_OK : (http_failure)(bytes[0] % 7),
                       .transport_text = "why",
                       .status = statuses[bytes[0] % RT_COUNT(statuses)],
                       .bad_answer = bytes[0] % RT_COUNT(statuses) == 0,
                       .body = text + n_head,
                       .n_body = n - n_head,
                       .headers = openai_headers_read(&r, 1795824000000u),
                       .attempt = bytes[0]};
    failure_verdict v = failure_decide(&e);
    if (v.action != FAILURE_STOP && v.reason == NULL) abort();
    if (v.wait_ms > OPENAI_RETRY_AFTER_MS_MAX + 1000) abort();
    if (memchr(v.message, '\0', sizeof v.message) == NULL) abort();
    http_response_free(&r);
    return 0;
}
