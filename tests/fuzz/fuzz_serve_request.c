/* Any bytes are a request or are refused by a message that is JSON. The first byte chooses the kind. */
#include <stdlib.h>
#include <string.h>

#include "worker/serve/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    serve_limits limits = {.max_tokens = 1000};
    serve_request ask = {0};
    api_error why = {0};
    rt_buf text = {0};
    if (n == 0) return 0;
    if (serve_request_parse(bytes[0] == 'p' ? SERVE_COMPLETIONS : SERVE_CHAT,
                            (const char *)bytes + 1, n - 1, &limits, &ask, &why)) {
        if (ask.n_prompts == 0 || ask.n * ask.n_prompts > SERVE_CHOICES_MAX ||
            ask.max_tokens > limits.max_tokens || ask.n_stops > SERVE_STOPS_MAX ||
            ask.n_top > SERVE_TOP_MAX || !(ask.top_p > 0 && ask.top_p <= 1))
            abort();
        serve_request_free(&ask);
        return 0;
    }
    if (api_error_status(&why) < 400 || why.message[0] == '\0') abort();
    if (api_error_to_json(&why, &text, NULL) != RT_OK) abort();
    rt_buf_free(&text);
    return 0;
}
