/* What must not stand in a prompt: found at start, before anything is spent. */
#ifndef RT_TEXT_PROMPT_LINT_H
#define RT_TEXT_PROMPT_LINT_H

#include "common/base/status.h"

/* A model that thinks by itself answers worse when it is told to think. RT_INVALID names the
 * setting and the phrase that tells it so, whatever its letter case and line breaks. Pure. */
RT_MUST_USE rt_status prompt_lint_reasoning(const char *setting, const char *text, rt_error *err);

#endif
