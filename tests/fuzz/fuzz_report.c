/* Any JSON is the data of a report: the page is whole, and no text of it is markup. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "worker/report/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Lines are drawn through finite numbers. A text cannot hold this quote. */
static void check_paths(const char *page)
{
    static const char start[] = " d=\"";
    while ((page = strstr(page, start)) != NULL) {
        page += strlen(start);
        page += strspn(page, "MHVZhv0123456789.- ");
        if (*page != '"') abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    rt_buf page = {0};
    json_t *data = json_loadb((const char *)bytes, n, 0, NULL);
    if (data == NULL) return 0;
    if (report_render(data, &page, NULL) == RT_OK) {
        if (strlen(page.data) != page.n) abort();
        /* Tags that the page has none of: only a text could bring them. */
        if (strstr(page.data, "<script") != NULL || strstr(page.data, "<x") != NULL) abort();
        if (strstr(page.data, "</html>") == NULL) abort();
        check_paths(page.data);
    }
    rt_buf_free(&page);
    json_decref(data);
    return 0;
}
