/* The small files of a student's folder that others read: tokenizer_config.json and README.md. */
#ifndef RT_WORKER_EXPORT_STUDENT_TEXTS_H
#define RT_WORKER_EXPORT_STUDENT_TEXTS_H

#include "common/conf/config.h"
#include "common/nn/model_config.h"
#include "common/text/tokenizer.h"
#include "worker/export/export.h"
#include "worker/runtime/task_file.h"

/* The name under which Hugging Face's loaders look for the tokenizer: ADR 3. */
const char *tokenizer_file_name(const model_config *shape);

/* What Hugging Face's LlamaTokenizer or T5Tokenizer needs beside that file. */
RT_MUST_USE rt_status tokenizer_config_write(const tokenizer *t, const model_config *shape,
                                             const char *folder, rt_error *err);

/* The model card: what it is, how to ask it, and the facts of <run_dir>/result.json when that is
 * there. */
RT_MUST_USE rt_status model_card_write(const config *c, const model_config *shape,
                                       const student_spec *spec, const export_request *ask,
                                       const export_result *facts, const char *folder,
                                       rt_error *err);

#endif
