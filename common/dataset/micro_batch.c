#include "common/dataset/micro_batch.h"

#include <stdlib.h>

void micro_batch_free(micro_batch *b)
{
    if (b == NULL) return;
    free(b->ids);
    free(b->seqs);
    *b = (micro_batch){0};
}
