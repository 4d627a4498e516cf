/* "Did you mean": the name nearest to a mistyped one. */
#ifndef RT_CONF_NEAREST_H
#define RT_CONF_NEAREST_H

#include <stddef.h>

/* The name at the smallest edit distance (insert, delete, replace, swap neighbours) from `text`,
 * or NULL when none is near enough to be a slip: at most a third of the longer one, and 3. `names`
 * ends with NULL. */
const char *name_nearest(const char *text, const char *const *names);

#endif
