#include "worker/serve/served_model.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"
#include "common/text/utf8.h"
#include "worker/runtime/model_tokenizer.h"

void served_model_close(served_model *m)
{
    if (m == NULL) return;
    student_spec_free(&m->spec);
    token_table_free(m->tokens);
    tokenizer_free(m->tokenizer);
    model_free(m->model);
    free(m->id);
    free(m);
}

/* The last part of the folder's real path, so that "." has a name too. */
static rt_status name_model(served_model *m, const char *folder, const char *name, rt_error *err)
{
    char *path = name == NULL ? realpath(folder, NULL) : NULL;
    if (path != NULL) {
        const char *slash = strrchr(path, '/');
        name = slash != NULL && slash[1] != '\0' ? slash + 1 : "model";
    }
    if (name == NULL) name = "model";
    rt_status st = RT_OK;
    if (!utf8_is_valid(name, strlen(name)))
        st =
            rt_fail(err, RT_INVALID, "%s: its name is not UTF-8, give another with --name", folder);
    else if ((m->id = strdup(name)) == NULL)
        st = rt_fail(err, RT_NOMEM, "name of the model");
    free(path);
    return st;
}

rt_status served_model_open(const char *folder, const char *name, bool halves, served_model **out,
                            rt_error *err)
{
    rt_status st = RT_OK;
    served_model *m = rt_calloc(1, sizeof *m);
    if (m == NULL) return rt_fail(err, RT_NOMEM, "model %s", folder);
    if (!rt_fs_exists(folder)) {
        st = rt_fail(err, RT_NOTFOUND, "%s: no such folder, expected a model's", folder);
        goto out;
    }
    nn_set_threads(1); /* the engine has threads of its own, each with whole products */
    if ((st = name_model(m, folder, name, err)) != RT_OK) goto out;
    if ((st = model_tokenizer_load(folder, &m->tokenizer, err)) != RT_OK) goto out;
    if ((st = hf_model_load(folder, &m->model, err)) != RT_OK) goto out;
    model_decode_in_halves(m->model, halves);
    size_t n_rows = model_get_config(m->model)->n_vocab;
    if (tokenizer_size(m->tokenizer) > n_rows) {
        st = rt_fail(err, RT_CORRUPT, "%s: the tokenizer has %zu pieces, the model only %zu rows",
                     folder, tokenizer_size(m->tokenizer), n_rows);
        goto out;
    }
    if ((st = token_table_new(m->tokenizer, &m->tokens, err)) != RT_OK) goto out;
    st = student_spec_read(folder, &m->spec, err);
    m->is_student = st == RT_OK;
    if (st == RT_NOTFOUND) st = RT_OK;
    if (st != RT_OK) goto out;
    *out = m;
    m = NULL;
out:
    served_model_close(m);
    return st;
}

rt_status served_model_encode(const served_model *m, const char *text, size_t n, id_list *out,
                              rt_error *err)
{
    const model_config *c = model_get_config(m->model);
    return tokenizer_encode_prompt(m->tokenizer, text, n, model_config_has_encoder(c),
                                   model_config_prompt_id(c), out, err);
}
