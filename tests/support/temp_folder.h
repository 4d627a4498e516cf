/* A folder of its own for a test, and whole files in it. Failures end the test program: a test that
 * cannot write its files has nothing to say.
 *
 *     char *folder = temp_folder_new();
 *     temp_folder_write(folder, "a.jsonl", "{}\n", 3);
 *     temp_folder_free(folder);
 */
#ifndef RT_TESTS_TEMP_FOLDER_H
#define RT_TESTS_TEMP_FOLDER_H

#include "common/base/bytes.h"

/* Returns new; temp_folder_free() removes it with all that is in it. */
char *temp_folder_new(void);
void temp_folder_free(char *folder);
/* "<folder>/<name>" in one of four buffers used in turn. */
const char *temp_folder_path(const char *folder, const char *name);
void temp_folder_write(const char *folder, const char *name, const void *bytes, size_t n);
void temp_folder_write_text(const char *folder, const char *name, const char *text);
/* Replaces *out. */
void temp_folder_read(const char *folder, const char *name, rt_buf *out);

#endif
