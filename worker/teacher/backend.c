#include "worker/teacher/backend.h"

#include <stdlib.h>
#include <string.h>

void backend_answers_free(backend_answer *answers, size_t n)
{
    for (size_t i = 0; answers != NULL && i < n; i++) {
        free(answers[i].text);
        free(answers[i].reasoning);
        free(answers[i].topk);
        memset(&answers[i], 0, sizeof answers[i]);
    }
}

rt_status backend_new(const backend_ops *ops, void *self, backend **out, rt_error *err)
{
    backend *b = rt_calloc(1, sizeof *b);
    if (b == NULL) return rt_fail(err, RT_NOMEM, "backend %s", ops->name);
    b->ops = ops;
    b->self = self;
    *out = b;
    return RT_OK;
}

rt_status backend_open(const config *c, backend **out, rt_error *err)
{
    switch (c->teacher.backend) {
    case TEACHER_RECORDED: return backend_open_recorded(c, out, err);
    case TEACHER_NATIVE: return backend_open_native(c, out, err);
    case TEACHER_OPENAI: return backend_open_openai(c, out, err);
    }
    return rt_fail(err, RT_UNSUPPORTED, "teacher.backend: number %d is not known here",
                   (int)c->teacher.backend);
}

void backend_close(backend *b)
{
    if (b == NULL) return;
    if (b->ops->close != NULL) b->ops->close(b->self);
    free(b);
}

void backend_use(backend *b, const backend_means *means)
{
    if (b->ops->use != NULL) b->ops->use(b->self, means);
}

const char *backend_name(const backend *b)
{
    return b->ops->name;
}

bool backend_can(const backend *b, unsigned flags)
{
    return (b->ops->flags & flags) == flags;
}

rt_status backend_complete(backend *b, const backend_request *requests, size_t n,
                           const backend_sampling *sampling, backend_answer *answers, rt_error *err)
{
    if (n == 0) return RT_OK;
    return b->ops->complete(b->self, requests, n, sampling, answers, err);
}

rt_status backend_score(backend *b, const backend_request *requests, const char *const *texts,
                        size_t n, double *out, rt_error *err)
{
    if (!backend_can(b, BACKEND_CAN_SCORE))
        return rt_fail(err, RT_UNSUPPORTED, "teacher backend %s cannot score a text", b->ops->name);
    if (n == 0) return RT_OK;
    return b->ops->score(b->self, requests, texts, n, out, err);
}
