/* Texts that said something else than the label that was taken: the material of preference pairs. */
#ifndef RT_WORKER_TEACHER_KEPT_SAMPLES_H
#define RT_WORKER_TEACHER_KEPT_SAMPLES_H

#include <jansson.h>

#include "worker/teacher/make_record.h"

/* What meta's "others" may take, all texts together. */
#define KEPT_BYTES_MAX ((size_t)32 << 10)

/* [{"label","rationale"?}] for texts with another label, [{"reason","text"}] for those without one; each
 * once, in the order in which they came, first those of `o`, then of the other teacher (NULL: none). As
 * many as KEPT_BYTES_MAX has room for. Empty for a rejected record. Returns new; NULL without memory. */
json_t *kept_samples_json(const teacher_outcome *o, const teacher_outcome *other);

#endif
