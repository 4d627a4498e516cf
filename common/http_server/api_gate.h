/* Who may ask an HTTP server: those with a key of a file that is read again when it changes.
 *
 *     api_gate *gate = NULL;
 *     if ((st = api_gate_open("keys.txt", &gate, err)) != RT_OK) goto out;
 *     if (!api_gate_allows(gate, header)) answer 401
 *
 * A file that has become unreadable changes nothing, and is told in the log; a key that was taken out
 * of it is refused from the next look on.
 */
#ifndef RT_HTTP_SERVER_API_GATE_H
#define RT_HTTP_SERVER_API_GATE_H

#include "common/http_server/api_keys.h"

typedef struct api_gate api_gate;

/* Fails as api_keys_load(). Returns new; api_gate_close(). */
RT_MUST_USE rt_status api_gate_open(const char *path, api_gate **out, rt_error *err);
void api_gate_close(api_gate *gate);
/* Safe from any thread. `authorization` may be NULL. */
bool api_gate_allows(api_gate *gate, const char *authorization);
/* Grows each time the keys are read anew: what was allowed before may not be any more. */
uint64_t api_gate_generation(api_gate *gate);
/* Requests that were not allowed so far. */
uint64_t api_gate_refused(api_gate *gate);

#endif
