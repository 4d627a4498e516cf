/* Any bytes are a spend.json or are refused; what is taken can be written and read again. */
#include <stdlib.h>

#include "coordinator/spend_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static quota *make(void)
{
    quota *q = NULL;
    const quota_settings settings = {60, 60, 6000, 1000000};
    if (quota_new(&settings, false, 1000, &q, NULL) != RT_OK) abort();
    return q;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    bool stopped = false;
    rt_buf text = {0};
    quota *first = make(), *second = make();
    if (spend_from_json((const char *)bytes, n, first, &stopped, NULL) == RT_OK) {
        const spend_facts facts = {"USD", 1000000, stopped};
        if (spend_to_json(first, &facts, true, &text, NULL) != RT_OK) abort();
        if (spend_from_json(text.data, text.n, second, &stopped, NULL) != RT_OK) abort();
        (void)quota_budget_spent(second, 2000);
    }
    rt_buf_free(&text);
    quota_free(first);
    quota_free(second);
    return 0;
}
