#include "coordinator/cut_text.h"

#include <string.h>

#include "common/text/utf8.h"

static const char ellipsis[] = "\xe2\x80\xa6";

void cut_text(const char *text, char *out, size_t n_out)
{
    RT_ASSERT(n_out >= 2 * sizeof ellipsis);
    if (text == NULL) text = "";
    size_t n = strnlen(text, n_out);
    bool cut = n >= n_out;
    if (cut) {
        n = n_out - sizeof ellipsis;
        /* Not in the middle of a character: at most three bytes are its rest. */
        for (int i = 0; i < 3 && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; i++) n--;
    }
    memcpy(out, text, n);
    for (size_t at = 0; (at += utf8_valid_prefix(out + at, n - at)) < n; at++) out[at] = '?';
    memcpy(out + n, cut ? ellipsis : "", cut ? sizeof ellipsis : 1);
}
