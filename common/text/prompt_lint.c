#include "common/text/prompt_lint.h"

#include <ctype.h>
#include <string.h>

/* Small letters, one blank for white space or a hyphen. */
static const char *const phrases[] = {
    "step by step",       "chain of thought",       "think carefully",  "think aloud",
    "think out loud",     "think through",          "think before",     "let's think",
    "let us think",       "explain your reasoning", "show your work",   "show your reasoning",
    "show your thinking", "reason through",         "reason carefully", "explain your thinking",
};

static bool is_gap(char c)
{
    return isspace((unsigned char)c) || c == '-';
}

/* Does the phrase stand at text? */
static bool stands_at(const char *text, const char *phrase)
{
    for (; *phrase != '\0'; phrase++) {
        if (*phrase == ' ') {
            if (!is_gap(*text)) return false;
            while (is_gap(*text)) text++;
        } else if (*phrase == '\'' && strncmp(text, "\xe2\x80\x99", 3) == 0) {
            text += 3; /* the curly apostrophe */
        } else if (tolower((unsigned char)*text++) != *phrase) {
            return false;
        }
    }
    return true;
}

rt_status prompt_lint_reasoning(const char *setting, const char *text, rt_error *err)
{
    for (const char *at = text; *at != '\0'; at++)
        for (size_t i = 0; i < RT_COUNT(phrases); i++)
            if (stands_at(at, phrases[i]))
                return rt_fail(
                    err, RT_INVALID,
                    "%s: found \"%s\", but prompt.kind is reasoning: such a model thinks "
                    "by itself and answers worse when told to; take the phrase out, or "
                    "set prompt.kind: classic",
                    setting, phrases[i]);
    return RT_OK;
}
