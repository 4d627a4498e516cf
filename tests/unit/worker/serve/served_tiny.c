#include "tests/unit/worker/serve/served_tiny.h"

#include "tests/support/temp_folder.h"
#include "tests/support/tiny_student.h"

static const char spec[] =
    "{\"format\":\"retort-student\",\"version\":1,\"task\":\"tiny\",\"answer\":\"class\","
    "\"markers\":[\"#\"],\"stop_marks\":[],\"classes\":[\"yes\",\"no\"],"
    "\"label_format\":\"{marker} {label}\",\"answers_by\":\"predict\",\"explains\":true}";

tiny_server served_tiny_open(bool is_student)
{
    static const tiny_lesson lessons[] = {{"predict: a\n", "yes"},
                                          {"predict: b\n", "no"},
                                          {"explain: a\n", "it is so"},
                                          {"explain: b\n", "not at all"}};
    tiny_server t = {.folder = temp_folder_new()};
    rt_error err = {0};
    tiny_student_write(t.folder, lessons, RT_COUNT(lessons), 300);
    if (is_student) temp_folder_write_text(t.folder, STUDENT_SPEC_FILE, spec);
    RT_ASSERT(served_model_open(t.folder, "tiny", false, &t.m, &err) == RT_OK);
    return t;
}

void served_tiny_close(tiny_server *t)
{
    served_model_close(t->m);
    temp_folder_free(t->folder);
}
