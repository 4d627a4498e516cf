/* Whether a record's label is the teacher's own, or was found with the true answer in hand. */
#ifndef RT_DATASET_GOLD_USE_H
#define RT_DATASET_GOLD_USE_H

#include "common/base/status.h"

typedef enum gold_use {
    GOLD_USE_NONE,     /* the label is what the teacher said */
    GOLD_USE_LABEL,    /* ... is the gold one; by itself the teacher said another */
    GOLD_USE_REJECTED, /* ... is the gold one; by itself the teacher gave none */
} gold_use;

/* From meta's "gold": {"by": ..., "said": ...}. NULL, or meta without it: GOLD_USE_NONE. */
gold_use gold_use_of(const char *meta);

#endif
