/* Any bytes are a line of plan.jsonl or are refused; what is taken is written again and the same. */
#include <stdlib.h>
#include <string.h>

#include "common/dataset/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    plan_segment first = {0}, second = {0};
    rt_error err = {0};
    rt_buf text = {0};
    rt_status st = plan_segment_from_json((const char *)bytes, n, &first, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    if (st == RT_OK) {
        if (plan_segment_to_json(&first, &text, NULL) != RT_OK) abort();
        if (plan_segment_from_json(text.data, text.n, &second, NULL) != RT_OK) abort();
        if (first.kind != second.kind || first.first_step != second.first_step ||
            first.n_steps != second.n_steps || strcmp(first.sha256, second.sha256) != 0)
            abort();
    }
    rt_buf_free(&text);
    return 0;
}
