/* Has a file changed since it was looked at? By what stat() says, asked no more often than needed.
 *
 *     file_watch w = {0};
 *     if (file_watch_changed(&w, path, now_ms)) read it again
 *
 * A file that is replaced (rename, or the link swap of a mounted secret) has another inode; one that
 * is written in place another time or size. One that is gone counts as changed once.
 */
#ifndef RT_BASE_FILE_WATCH_H
#define RT_BASE_FILE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#define FILE_WATCH_EVERY_MS 500

typedef struct file_watch {
    uint64_t next_ms; /* not looked at before */
    uint64_t device, inode, n_bytes;
    int64_t changed_s, changed_ns;
} file_watch;

/* Remember the file as it is now; before reading it, so that a change meanwhile is seen later. */
void file_watch_note(file_watch *w, const char *path, uint64_t now_ms);
/* True once for each change. */
bool file_watch_changed(file_watch *w, const char *path, uint64_t now_ms);

#endif
