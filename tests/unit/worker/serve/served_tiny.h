/* A tiny student that knows its answers by heart, opened as `retort serve` opens it.
 *
 *     tiny_server t = served_tiny_open(true);      // with a retort.json: predicts and explains
 *     served_tiny_close(&t);
 *
 * It answers "a" with "yes" (because "it is so"), "b" with "no" (because "not at all").
 */
#ifndef RT_TESTS_UNIT_WORKER_SERVE_SERVED_TINY_H
#define RT_TESTS_UNIT_WORKER_SERVE_SERVED_TINY_H

#include "worker/serve/served_model.h"

typedef struct tiny_server {
    char *folder;
    served_model *m;
} tiny_server;

/* Aborts the test when it cannot be made. */
tiny_server served_tiny_open(bool is_student);
void served_tiny_close(tiny_server *t);

#endif
