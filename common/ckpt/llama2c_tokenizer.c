/* llama2.c's tokenizer.bin is made from a sentencepiece model: its pieces and scores are there, with
 * spaces as spaces and line breaks around the two marks of a sequence. What is not in the file is
 * fixed by run.c: byte pair merges, a space before the text, no normalisation.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/ckpt/llama2c.h"
#include "common/ckpt/mapped_file.h"
#include "common/text/utf8.h"

#define FIRST_BYTE_ID 3
#define N_BYTES       256
#define PIECE_MAX     65536
#define SPACE_MARK    "\xE2\x96\x81" /* U+2581 */

static const char *const fixed_pieces[] = {"<unk>", "<s>", "</s>"};

static uint32_t u32_at(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static rt_status mark_spaces(const char *text, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf_clear(out);
    for (size_t i = 0; st == RT_OK && i < n; i++)
        st = text[i] == ' ' ? rt_buf_add_text(out, SPACE_MARK, err)
                            : rt_buf_add(out, text + i, 1, err);
    return st;
}

static piece_type type_of(size_t id, const char *text, size_t n)
{
    char byte_name[8];
    if (id == 0) return PIECE_UNKNOWN;
    if (id < RT_COUNT(fixed_pieces)) return PIECE_CONTROL;
    snprintf(byte_name, sizeof byte_name, "<0x%02X>", (unsigned)(id - FIRST_BYTE_ID) & 0xFF);
    bool is_byte =
        id < FIRST_BYTE_ID + N_BYTES && n == strlen(byte_name) && memcmp(text, byte_name, n) == 0;
    return is_byte ? PIECE_BYTE : PIECE_NORMAL;
}

static rt_status add_piece(const char *name, piece_list *list, const char *text, size_t n,
                           float score, rt_buf *marked, rt_error *err)
{
    size_t id = list->n;
    if (id < RT_COUNT(fixed_pieces)) {
        text = fixed_pieces[id];
        n = strlen(text);
    }
    if (n == 0 || !utf8_is_valid(text, n))
        return rt_fail(err, RT_CORRUPT, "%s: piece %zu is %s", name, id,
                       n == 0 ? "empty" : "not UTF-8");
    rt_status st = mark_spaces(text, n, marked, err);
    if (st != RT_OK) return st;
    return piece_list_add(list, marked->data, marked->n, score, type_of(id, text, n), err);
}

static rt_status read_pieces(const char *name, const uint8_t *bytes, size_t n_bytes,
                             piece_list *list, rt_buf *marked, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t at = 4; st == RT_OK && at < n_bytes;) {
        float score;
        if (n_bytes - at < 8)
            return rt_fail(err, RT_CORRUPT, "%s: broken off in piece %zu", name, list->n);
        uint32_t bits = u32_at(bytes + at), n = u32_at(bytes + at + 4);
        memcpy(&score, &bits, sizeof score);
        at += 8;
        if (n > PIECE_MAX || n > n_bytes - at)
            return rt_fail(err, RT_CORRUPT,
                           "%s: piece %zu claims %u bytes, %zu are left in the file", name, list->n,
                           n, n_bytes - at);
        if (!(score > -1e30f && score < 1e30f))
            return rt_fail(err, RT_CORRUPT, "%s: the score of piece %zu is not a number", name,
                           list->n);
        st = add_piece(name, list, (const char *)bytes + at, n, score, marked, err);
        at += n;
    }
    return st;
}

rt_status llama2c_tokenizer_parse(const char *name, const void *bytes, size_t n_bytes,
                                  size_t n_vocab, piece_list *out, rt_error *err)
{
    rt_buf marked = {0};
    piece_list list = {
        .bpe = true, .add_dummy_prefix = true, .unk_id = 0, .bos_id = 1, .eos_id = 2, .pad_id = -1};
    rt_status st = RT_OK;
    if (n_bytes < 4)
        st = rt_fail(err, RT_CORRUPT, "%s: %zu bytes, expected a tokenizer of llama2.c", name,
                     n_bytes);
    if (st == RT_OK) st = read_pieces(name, bytes, n_bytes, &list, &marked, err);
    if (st == RT_OK && (list.n != n_vocab || list.n < RT_COUNT(fixed_pieces)))
        st = rt_fail(err, RT_CORRUPT,
                     "%s: %zu pieces, expected the model's %zu: take the tokenizer that the model "
                     "was trained with",
                     name, list.n, n_vocab);
    rt_buf_free(&marked);
    if (st == RT_OK)
        *out = list;
    else
        piece_list_free(&list);
    return st;
}

rt_status llama2c_tokenizer_read(const char *path, size_t n_vocab, piece_list *out, rt_error *err)
{
    mapped_file f = {0};
    rt_status st = mapped_file_open(path, &f, err);
    if (st != RT_OK) return st;
    st = llama2c_tokenizer_parse(path, f.bytes, f.n_bytes, n_vocab, out, err);
    mapped_file_close(&f);
    return st;
}
