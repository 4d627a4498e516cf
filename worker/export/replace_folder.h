/* Put a finished folder in the place of an older one, in one step. */
#ifndef RT_WORKER_EXPORT_REPLACE_FOLDER_H
#define RT_WORKER_EXPORT_REPLACE_FOLDER_H

#include "common/base/status.h"

/* Rename `from` to `to`. What stood at `to` is removed afterwards; a reader sees the old folder or
 * the new one. RT_IO names both. */
RT_MUST_USE rt_status replace_folder(const char *from, const char *to, rt_error *err);

#endif
