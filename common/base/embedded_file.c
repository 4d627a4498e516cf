#include "common/base/embedded_file.h"

#include <string.h>

const rt_embedded_file *rt_embedded_find(const rt_embedded_file *table, const char *name)
{
    for (const rt_embedded_file *f = table; f->name != NULL; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}
