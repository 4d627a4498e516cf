/* Any bytes are a student's retort.json or are refused; what is taken is printed and read again. */
#include <stdlib.h>
#include <string.h>

#include "worker/runtime/task_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    student_spec first = {0}, second = {0};
    rt_error err = {0};
    rt_buf text = {0};
    rt_status st = student_spec_parse("f", (const char *)bytes, n, &first, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    if (st == RT_OK) {
        if (student_spec_print(&first, &text, NULL) != RT_OK) abort();
        if (student_spec_parse("f", text.data, text.n, &second, &err) != RT_OK) abort();
        if (strcmp(first.task_name, second.task_name) != 0) abort();
    }
    student_spec_free(&first);
    student_spec_free(&second);
    rt_buf_free(&text);
    return 0;
}
