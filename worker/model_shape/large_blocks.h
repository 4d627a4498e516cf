/* Memory for tensors that come and go: parameters and gradients as messages, every step anew. */
#ifndef RT_WORKER_MODEL_SHAPE_LARGE_BLOCKS_H
#define RT_WORKER_MODEL_SHAPE_LARGE_BLOCKS_H

/* Let the allocator of this process keep blocks up to 32 MiB for the next message, where it would
 * give each back to the system and fetch zeroed pages for the next one. ZeroMQ allocates frames of
 * 1 MiB; keeping them halves what a small step costs (docs/training.md, "What a step costs").
 * Call once, early. */
void large_blocks_keep(void);

#endif
