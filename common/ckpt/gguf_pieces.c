/* The tokenizer inside a GGUF file. Of what is not written there, llama.cpp's defaults hold. */
#include <string.h>

#include "common/base/bytes.h"
#include "common/ckpt/gguf_model.h"
#include "common/text/utf8.h"

static rt_status add_pieces(const char *name, const gguf *file, piece_list *list, rt_error *err)
{
    const gguf_entry *tokens = gguf_find(file, "tokenizer.ggml.tokens");
    const gguf_entry *scores = gguf_find(file, "tokenizer.ggml.scores");
    const gguf_entry *types = gguf_find(file, "tokenizer.ggml.token_type");
    if (tokens == NULL)
        return rt_fail(err, RT_NOTFOUND, "%s: holds no tokenizer (tokenizer.ggml.tokens)", name);
    gguf_items text_items = gguf_items_of(tokens), score_items = gguf_items_of(scores),
               type_items = gguf_items_of(types);
    if ((scores != NULL && score_items.n_left != text_items.n_left) ||
        (types != NULL && type_items.n_left != text_items.n_left))
        return rt_fail(err, RT_CORRUPT, "%s: tokens, scores and token_type are not equally many",
                       name);
    rt_status st = RT_OK;
    const char *text;
    size_t n;
    while (st == RT_OK && gguf_next_text(&text_items, &text, &n)) {
        double score = 0, type = PIECE_NORMAL;
        if ((scores != NULL && !gguf_next_number(&score_items, &score)) ||
            (types != NULL && !gguf_next_number(&type_items, &type)) ||
            !(type >= PIECE_NORMAL && type <= PIECE_BYTE) || !(score > -1e30 && score < 1e30))
            return rt_fail(err, RT_CORRUPT, "%s: score or type of token %zu makes no sense", name,
                           list->n);
        if (!utf8_is_valid(text, n))
            return rt_fail(err, RT_CORRUPT, "%s: token %zu is not UTF-8", name, list->n);
        st = piece_list_add(list, text, n, (float)score, (piece_type)type, err);
    }
    if (st == RT_OK && text_items.n_left > 0)
        st = rt_fail(err, RT_CORRUPT, "%s: tokenizer.ggml.tokens holds no texts", name);
    return st;
}

/* Id of a key within the list; `missing` when there is no such key. */
static rt_status read_id(const char *name, const gguf *file, const char *key,
                         const piece_list *list, int missing, int *out, rt_error *err)
{
    uint64_t id;
    const gguf_entry *e = gguf_find(file, key);
    *out = missing < (int)list->n ? missing : -1;
    if (e == NULL) return RT_OK;
    if (!gguf_size(e, &id) || id >= list->n)
        return rt_fail(err, RT_CORRUPT, "%s: %s is not one of the %zu tokens", name, key, list->n);
    *out = (int)id;
    return RT_OK;
}

static rt_status read_ids(const char *name, const gguf *file, piece_list *list, rt_error *err)
{
    const struct {
        const char *key;
        int llama, t5;
        int *out;
    } ids[] = {
        {"tokenizer.ggml.unknown_token_id", 0, 2, &list->unk_id},
        {"tokenizer.ggml.bos_token_id", 1, -1, &list->bos_id},
        {"tokenizer.ggml.eos_token_id", 2, 1, &list->eos_id},
        {"tokenizer.ggml.padding_token_id", -1, 0, &list->pad_id},
    };
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < RT_COUNT(ids); i++)
        st = read_id(name, file, ids[i].key, list, list->bpe ? ids[i].llama : ids[i].t5, ids[i].out,
                     err);
    return st;
}

static rt_status read_charsmap(const char *name, const gguf *file, piece_list *list, rt_error *err)
{
    const gguf_entry *e = gguf_find(file, "tokenizer.ggml.precompiled_charsmap");
    if (e == NULL) return RT_OK;
    if (e->type != GGUF_ARRAY || gguf_value_size(e->item_type) != 1)
        return rt_fail(err, RT_CORRUPT, "%s: precompiled_charsmap is no array of bytes", name);
    return e->n_items == 0 ? RT_OK : rt_buf_add(&list->charsmap, e->at, (size_t)e->n_items, err);
}

rt_status gguf_pieces_read(const char *name, const gguf *file, piece_list *out, rt_error *err)
{
    const gguf_entry *model = gguf_find(file, "tokenizer.ggml.model");
    piece_list list = {.bpe = gguf_text_is(model, "llama")};
    list.add_dummy_prefix = true;
    list.remove_extra_whitespaces = !list.bpe;
    if (model == NULL) return rt_fail(err, RT_NOTFOUND, "%s: holds no tokenizer", name);
    if (!list.bpe && !gguf_text_is(model, "t5"))
        return rt_fail(err, RT_UNSUPPORTED,
                       "%s: its tokenizer is no sentencepiece model (tokenizer.ggml.model is "
                       "neither llama nor t5); name one with --tokenizer",
                       name);
    (void)gguf_truth(gguf_find(file, "tokenizer.ggml.add_space_prefix"), &list.add_dummy_prefix);
    (void)gguf_truth(gguf_find(file, "tokenizer.ggml.remove_extra_whitespaces"),
                     &list.remove_extra_whitespaces);
    rt_status st = add_pieces(name, file, &list, err);
    if (st == RT_OK) st = read_ids(name, file, &list, err);
    if (st == RT_OK) st = read_charsmap(name, file, &list, err);
    /* As gguf_model_write() does it, the other way: sentencepiece must not normalise it. */
    size_t newline = list.bpe ? piece_list_newline(&list) : SIZE_MAX;
    if (newline != SIZE_MAX && list.pieces[newline].type == PIECE_NORMAL)
        list.pieces[newline].type = PIECE_USER;
    if (st == RT_OK)
        *out = list;
    else
        piece_list_free(&list);
    return st;
}
