/* Single fields of a request, each with its range. A field that is absent or null leaves *out as it
 * is; *given (may be NULL) says whether it was there. Inside worker/serve only. */
#ifndef RT_WORKER_SERVE_JSON_FIELDS_H
#define RT_WORKER_SERVE_JSON_FIELDS_H

#include <jansson.h>

#include "worker/serve/api_error.h"

bool field_bool(const json_t *root, const char *name, bool *out, api_error *why);
bool field_u64(const json_t *root, const char *name, uint64_t min, uint64_t max, uint64_t *out,
               bool *given, api_error *why);
bool field_i64(const json_t *root, const char *name, int64_t *out, bool *given, api_error *why);
bool field_real(const json_t *root, const char *name, double min, double max, double *out,
                bool *given, api_error *why);
/* Whether every field that we do not offer is absent or says "off". */
bool fields_are_offered(const json_t *root, api_error *why);

#endif
