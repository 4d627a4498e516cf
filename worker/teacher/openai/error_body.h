/* What a server says in the body of an error: {"error": {...}}, {"error": "text"}, {"detail": ...},
 * {"object": "error", ...}, a bare string, or something that is no JSON at all.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_ERROR_BODY_H
#define RT_WORKER_TEACHER_OPENAI_ERROR_BODY_H

#include "common/base/bytes.h"

/* All "" where not told; cut where longer. */
typedef struct openai_error {
    char message[400];
    char code[80], type[80], param[80];
    long status; /* a number in place of the code, from 400 to 599; else 0 */
} openai_error;

/* Pure, and safe for any bytes. */
openai_error openai_error_read(const char *bytes, size_t n);

/* Letter case ignored. */
bool openai_error_says(const openai_error *e, const char *words);
bool openai_error_is(const openai_error *e, const char *code_or_type);

#endif
