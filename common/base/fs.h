/* Files that survive a crash: read whole, write whole and rename, make folders.
 *
 * rt_fs_write_atomic() is how every small file of a run is written: a reader sees the old bytes or
 * the new ones, never half.
 */
#ifndef RT_BASE_FS_H
#define RT_BASE_FS_H

#include "common/base/bytes.h"

/* Read a whole file into *out (replacing its content). RT_FULL when larger than max_bytes,
 * RT_NOTFOUND when it does not exist, RT_IO otherwise. */
RT_MUST_USE rt_status rt_fs_read(const char *path, size_t max_bytes, rt_buf *out, rt_error *err);
/* Write to "<path>.tmp-<pid>", fsync, rename over `path`, fsync the folder. */
RT_MUST_USE rt_status rt_fs_write_atomic(const char *path, const void *bytes, size_t n_bytes,
                                         rt_error *err);
/* write(2) until all is written. `name` is for the message. */
RT_MUST_USE rt_status rt_fs_write_all(int fd, const void *bytes, size_t n_bytes, const char *name,
                                      rt_error *err);
/* Make a folder and its parents, durably; fine when it exists. */
RT_MUST_USE rt_status rt_fs_mkdirs(const char *path, rt_error *err);
/* A new name in a folder is durable once the folder is synced. */
RT_MUST_USE rt_status rt_fs_sync_dir(const char *path, rt_error *err);
/* The folder that the file lies in. */
RT_MUST_USE rt_status rt_fs_sync_parent(const char *path, rt_error *err);
/* Remove a folder and what is in it; fine when it does not exist. Does not follow links. */
RT_MUST_USE rt_status rt_fs_remove_tree(const char *path, rt_error *err);
bool rt_fs_exists(const char *path);
/* "a/b" joined with one slash into out[0..n_out). RT_FULL when it does not fit. */
RT_MUST_USE rt_status rt_fs_join(char *out, size_t n_out, const char *folder, const char *name,
                                 rt_error *err);

#endif
