/* From the settings of a server to what can be sent to it: the shape of requests, and a client that
 * carries the key.
 *
 *     st = openai_shape_load(c, &shape, &schema, &extra, err);
 *     st = openai_connect(c, 32, &key, &http, err);
 *     ...
 *     http_client_free(http);
 *     explicit_bzero(key.data, key.n);                 // where there is one
 *
 * Opens files and reads secrets; sends nothing.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_CONNECT_H
#define RT_WORKER_TEACHER_OPENAI_CONNECT_H

#include "common/conf/config.h"
#include "common/http/http_client.h"
#include "worker/teacher/openai/request.h"

/* What all requests of config.teacher have in common. *schema and *extra are new or untouched, also
 * on failure; json_decref(). *out borrows them and the config's texts. RT_INVALID names the setting
 * that is no JSON object. */
RT_MUST_USE rt_status openai_shape_load(const config *c, openai_shape *out, json_t **schema,
                                        json_t **extra, rt_error *err);
/* Returns a new client with the key and the proxy of config.teacher; http_client_free(). Replaces
 * *key (zero-initialised by the caller, who wipes and frees it) by the secret, to keep it out of
 * messages: openai_hide(). RT_INVALID for a secret that is not there, and for
 * a teacher.ca_file without a certificate. */
RT_MUST_USE rt_status openai_connect(const config *c, size_t transfers_max, rt_buf *key,
                                     http_client **out, rt_error *err);
/* With the key, should it stand in the text, made unreadable. */
void openai_hide(const rt_buf *key, char *text);
/* Neither https nor on this machine: whoever is between can read the key. */
bool openai_is_in_the_clear(const char *url);

#endif
