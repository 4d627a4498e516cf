/* Somebody's text into a place of fixed size, fit for JSON: cut on a UTF-8 border with "…" where it is
 * too long, invalid bytes replaced by "?". Pure.
 *
 *     char who[64];
 *     cut_text(m->sender, who, sizeof who);
 */
#ifndef RT_COORDINATOR_CUT_TEXT_H
#define RT_COORDINATOR_CUT_TEXT_H

#include "common/base/bytes.h"

/* `text` may be NULL ("" then); n_out at least 8. */
void cut_text(const char *text, char *out, size_t n_out);

#endif
