/* A file that is part of the program, made by rt_embed() in cmake/RetortEmbed.cmake.
 *
 *     const rt_embedded_file *f = rt_embedded_find(dashboard_files, "index.html");
 *     fwrite(f->bytes, 1, f->n_bytes, out);
 */
#ifndef RT_BASE_EMBEDDED_FILE_H
#define RT_BASE_EMBEDDED_FILE_H

#include <stddef.h>

typedef struct rt_embedded_file {
    const char *name;           /* without folders; NULL ends a table */
    const char *type;           /* "text/html; charset=utf-8" */
    const char *sha256;         /* of the bytes, in hex */
    const unsigned char *bytes; /* [n_bytes], and a '\0' behind them */
    size_t n_bytes;
    const unsigned char *gzip; /* the same compressed, or NULL where that gains nothing */
    size_t n_gzip;
} rt_embedded_file;

/* NULL when there is none of this name. */
const rt_embedded_file *rt_embedded_find(const rt_embedded_file *table, const char *name);

#endif
