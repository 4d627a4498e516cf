/* "${NAME}" in a text, replaced from the environment; "$${" writes "${" itself. */
#ifndef RT_CONF_EXPAND_H
#define RT_CONF_EXPAND_H

#include "common/base/bytes.h"

/* Add the expanded text to *out. RT_INVALID names the variable that is not set, is not UTF-8, or
 * is not written as ${NAME}; no value is ever in the message. */
RT_MUST_USE rt_status expand_text(const char *text, rt_buf *out, rt_error *err);
/* Add the text with "${" written as "$${": expand_text() of it gives the text back. */
RT_MUST_USE rt_status expand_escape(const char *text, rt_buf *out, rt_error *err);
/* True when the text is one "${NAME}" and nothing else. */
bool expand_is_variable(const char *text);

#endif
