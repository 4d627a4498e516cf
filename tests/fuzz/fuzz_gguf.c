/* Any bytes are a GGUF file or are refused; what is in one can be read to the end. */
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/gguf_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void read_entry(const gguf_entry *e)
{
    uint64_t size;
    double number;
    bool truth;
    const char *text;
    size_t n, n_seen = 0;
    (void)gguf_size(e, &size);
    (void)gguf_number(e, &number);
    (void)gguf_truth(e, &truth);
    if (gguf_text(e, &text, &n) && n > 0 && text[n - 1] == 'x') n_seen++;
    gguf_items items = gguf_items_of(e);
    while (gguf_next_text(&items, &text, &n)) n_seen += n;
    while (gguf_next_number(&items, &number)) n_seen++;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    rt_error err = {0};
    gguf *f = NULL;
    piece_list list = {0};
    rt_status st = gguf_open_bytes("bytes", bytes, n, &f, &err);
    if ((st == RT_OK) != (strlen(err.text) == 0)) abort(); /* a refusal says why */
    if (st != RT_OK) return 0;
    for (size_t i = 0; i < gguf_count(f); i++) read_entry(gguf_at(f, i));
    for (size_t i = 0; i < gguf_count_tensors(f); i++) {
        const gguf_tensor *t = gguf_tensor_at(f, i);
        float out[64];
        for (size_t at = 0; gguf_can_read(t) && at < t->n; at += 64)
            gguf_read(f, t, at, RT_MIN(t->n - at, (size_t)64), out);
    }
    (void)!gguf_pieces_read("bytes", f, &list, NULL);
    piece_list_free(&list);
    gguf_close(f);
    return 0;
}
