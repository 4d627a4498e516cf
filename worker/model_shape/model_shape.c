#include "worker/model_shape/model_shape.h"

#include <inttypes.h>

#include "common/ckpt/hf_model.h"

static model_arch arch_of(const student_config *s)
{
    return s->arch == STUDENT_T5 ? MODEL_ARCH_T5 : MODEL_ARCH_LLAMA;
}

static model_config shape_of_settings(const student_config *s, const vocabulary *v)
{
    model_config shape = {
        .arch = arch_of(s),
        .n_vocab = v->n_vocab,
        .d_model = s->d_model,
        .n_layers = s->n_layers,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads != 0 ? s->n_kv_heads : s->n_heads,
        .d_head = s->d_head != 0 ? s->d_head : (s->n_heads != 0 ? s->d_model / s->n_heads : 0),
        .d_ff = s->d_ff,
        .rope_theta = (float)s->rope_theta,
        .norm_eps = (float)s->norm_eps,
        .tied = s->tied,
    };
    shape.n_layer_groups = s->layer_groups;
    shape.d_embed = s->d_embed;
    if (shape.arch != MODEL_ARCH_T5) return shape;
    shape.n_decoder_layers = s->n_decoder_layers != 0 ? s->n_decoder_layers : s->n_layers;
    shape.ff_act = s->ff_act == FF_RELU ? MODEL_FF_RELU : MODEL_FF_GATED_GELU;
    shape.decoder_start_id = v->pad_id; /* as T5 */
    shape.rel_buckets = s->rel_buckets;
    shape.rel_distance_max = s->rel_distance_max;
    return shape;
}

/* A published vocabulary may be padded beyond its tokenizer, never be shorter. */
static rt_status shape_of_folder(const student_config *s, const vocabulary *v, model_config *out,
                                 rt_error *err)
{
    const char *folder = s->init_from;
    rt_status st = hf_config_read(folder, out, err);
    if (st != RT_OK) return rt_wrap(err, st, "student.init_from");
    if (out->arch != arch_of(s))
        return rt_fail(err, RT_INVALID,
                       "student.init_from: %s holds a %s, but student.arch is %s: set student.arch "
                       "to %s",
                       folder, model_arch_name(out->arch), model_arch_name(arch_of(s)),
                       model_arch_name(out->arch));
    if (out->n_vocab < v->n_vocab)
        return rt_fail(err, RT_INVALID,
                       "student.init_from: %s knows %zu token ids, the tokenizer has %" PRIu32
                       ": set tokenizer.model to the tokenizer of that model",
                       folder, out->n_vocab, v->n_vocab);
    return RT_OK;
}

rt_status model_shape_of(const config *c, const vocabulary *v, model_config *out, rt_error *err)
{
    rt_status st = RT_OK;
    const student_config *s = &c->student;
    if (v->n_vocab == 0)
        return rt_fail(err, RT_INVALID, "the shape of the student needs a vocabulary, found none");
    model_config shape = shape_of_settings(s, v);
    if (s->init_from[0] != '\0' && (st = shape_of_folder(s, v, &shape, err)) != RT_OK) return st;
    shape.seq_len_max = s->seq_len_max;
    shape.dropout = (float)s->dropout;
    shape.bos_id = v->bos_id;
    shape.eos_id = v->eos_id;
    shape.pad_id = v->pad_id;
    if ((st = model_config_check(&shape, err)) != RT_OK) return rt_wrap(err, st, "student");
    *out = shape;
    return RT_OK;
}
