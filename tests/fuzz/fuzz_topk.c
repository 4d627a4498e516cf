/* Any text is probabilities of tokens or is refused; of what is read each place is whole. */
#include <stdlib.h>
#include <string.h>

#include "common/dataset/topk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_place(const topk_place *p)
{
    if (p->n == 0 || p->n > TOPK_ENTRIES_MAX || !(p->log_tail <= 0)) abort();
    for (size_t i = 0; i < p->n; i++)
        if (!(p->entries[i].logprob <= 0) || p->entries[i].n > TOPK_TOKEN_BYTES_MAX) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    topk_reader r = {0};
    topk_writer w = {0};
    topk_place place;
    rt_buf text = {0};
    if (topk_open((const char *)bytes, n, &r, NULL) != RT_OK) {
        if (r.bytes.data != NULL) abort();
        return 0;
    }
    uint32_t n_places = 0;
    rt_status st = RT_OK;
    while (topk_next(&r, &place) == RT_OK) {
        check_place(&place);
        n_places++;
        if (st == RT_OK) st = topk_add(&w, &place, NULL); /* others' sums may be above 1 */
    }
    if (n_places != r.n_places) abort();
    if (st == RT_OK && topk_text(&w, &text, NULL) != RT_OK) abort();
    rt_buf_free(&text);
    topk_writer_free(&w);
    topk_close(&r);
    return 0;
}
