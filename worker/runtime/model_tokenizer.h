/* The tokenizer inside a model folder: tokenizer.model, or spiece.model as T5's folders have it.
 * Target rt::worker_task. */
#ifndef RT_WORKER_RUNTIME_MODEL_TOKENIZER_H
#define RT_WORKER_RUNTIME_MODEL_TOKENIZER_H

#include "common/text/tokenizer.h"

/* RT_NOTFOUND names the folder and both files. Returns new; tokenizer_free(). */
RT_MUST_USE rt_status model_tokenizer_load(const char *folder, tokenizer **out, rt_error *err);

#endif
