/* What the settings name on this machine: files, model folders, secrets, and texts that must be JSON.
 *
 *     n_problems = named_files_check(config, print_problem, NULL, &n_named);
 *
 * Looks whether each is there and can be read; what is in a file is not looked at, but for
 * teacher.schema_file and the file of a second teacher.
 */
#ifndef RT_CLI_NAMED_FILES_H
#define RT_CLI_NAMED_FILES_H

#include "common/conf/config.h"

/* `path` is a setting, "teacher.files" or the like; `message` is for people, UTF-8, never a secret. Both are
 * valid during the call. */
typedef void (*named_files_problem)(void *context, const char *path, const char *message);

/* Calls `say` for each that is not here. Returns how many those are; *n_named is how many there are
 * in all, each file of a glob counted. */
size_t named_files_check(const config *c, named_files_problem say, void *context, size_t *n_named);

#endif
