/* Any bytes are a line of a batch's output or are refused; an answer is a JSON object again, and a
 * custom_id that is ours prints as it was. */
#include <stdlib.h>
#include <string.h>

#include "worker/teacher/batch/batch_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    batch_result r = {0};
    batch_ticket ticket;
    rt_error err = {0};
    char custom_id[BATCH_CUSTOM_ID_SIZE];
    rt_status st = batch_line_read((const char *)bytes, n, &r, &err);
    if ((st == RT_OK) != (err.text[0] == '\0')) abort();
    if (st == RT_OK) {
        if (r.custom_id == NULL) abort();
        if ((r.code[0] == '\0') != (r.body.n > 0)) abort(); /* an answer or a reason */
        if (r.body.n > 0 && r.body.data[0] != '{') abort();
        if (batch_ticket_parse(r.custom_id, &ticket)) {
            batch_ticket_print(&ticket, custom_id);
            if (strcmp(custom_id, r.custom_id) != 0) abort();
        }
    }
    batch_result_free(&r);
    if (batch_line_custom_id((const char *)bytes, n, custom_id, NULL) == RT_OK)
        if (strlen(custom_id) >= BATCH_CUSTOM_ID_SIZE) abort();
    return 0;
}
