/* The run's tokenizer: copied from a configured model, or trained once when the first chunk is
 * complete, on the corpus as task prompts and on the targets of the first chunk.
 *
 * Training takes a thread of its own, so that leases and heartbeats go on. The same corpus and the
 * same first chunk give the same bytes; the file, once there, is never made again.
 */
#ifndef RT_COORDINATOR_TOKENIZER_STAGE_H
#define RT_COORDINATOR_TOKENIZER_STAGE_H

#include "common/conf/config.h"
#include "common/dataset/archive.h"
#include "common/dataset/task_text.h"
#include "common/text/tokenizer.h"
#include "coordinator/corpus_source.h"

typedef struct tokenizer_stage tokenizer_stage;

/* Which tasks a preset trains, and the weight of each in the loss. */
void preset_tasks(const train_config *train, bool tasks[TASK_COUNT], double weights[TASK_COUNT]);

/* Loads <path> when it is there, or copies tokenizer.model of the config to it. Keeps config and
 * corpus. Returns new; tokenizer_stage_free(). */
RT_MUST_USE rt_status tokenizer_stage_open(const config *c, const corpus_source *corpus,
                                           const char *path, tokenizer_stage **out, rt_error *err);
void tokenizer_stage_free(tokenizer_stage *s);
/* NULL until there is one. */
const tokenizer *tokenizer_stage_get(const tokenizer_stage *s);
const char *tokenizer_stage_path(const tokenizer_stage *s);
bool tokenizer_stage_is_training(const tokenizer_stage *s);

/* Read the targets of examples [0, n_first) from the archive and start the thread, which reads the
 * corpus beside everybody else: a dataset that is the corpus takes no records any more. */
RT_MUST_USE rt_status tokenizer_stage_begin(tokenizer_stage *s, const archive *a, size_t n_first,
                                            rt_error *err);
/* After _begin: fails when training failed; afterwards tokenizer_stage_get() may give it. */
RT_MUST_USE rt_status tokenizer_stage_poll(tokenizer_stage *s, rt_error *err);
/* False when the thread is still at work after timeout_ms: then the process must end by _exit(). */
bool tokenizer_stage_wait(tokenizer_stage *s, uint64_t timeout_ms);

#endif
