/* The model that is served: its weights, its tokenizer, and what its folder says of its task.
 *
 *     served_model *m = NULL;
 *     if ((st = served_model_open("student", NULL, false, &m, err)) != RT_OK) goto out;
 *     served_model_encode(m, "solve: 1+1\n", 11, &ids, err);
 */
#ifndef RT_WORKER_SERVE_SERVED_MODEL_H
#define RT_WORKER_SERVE_SERVED_MODEL_H

#include "common/nn/model.h"
#include "common/text/token_table.h"
#include "worker/runtime/task_file.h"

typedef struct served_model {
    char *id; /* as requests name it */
    model *model;
    tokenizer *tokenizer;
    token_table *tokens;
    bool is_student; /* the folder has a retort.json */
    student_spec spec;
} served_model;

/* `name` NULL: the folder's own name. `halves`: as model_decode_in_halves(). Returns new; served_model_close(). */
RT_MUST_USE rt_status served_model_open(const char *folder, const char *name, bool halves,
                                        served_model **out, rt_error *err);
void served_model_close(served_model *m);
/* Append the ids of a prompt, bos first. Safe from any thread. */
RT_MUST_USE rt_status served_model_encode(const served_model *m, const char *text, size_t n,
                                          id_list *out, rt_error *err);

#endif
