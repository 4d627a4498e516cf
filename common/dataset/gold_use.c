#include "common/dataset/gold_use.h"

#include <jansson.h>
#include <string.h>

gold_use gold_use_of(const char *meta)
{
    /* Most records have none: they are not parsed for it. */
    if (meta == NULL || strstr(meta, "\"gold\"") == NULL) return GOLD_USE_NONE;
    json_t *top = json_loads(meta, 0, NULL);
    const json_t *gold = json_object_get(top, "gold");
    gold_use use = GOLD_USE_NONE;
    if (json_is_string(json_object_get(gold, "by")))
        use = json_is_string(json_object_get(gold, "said")) ? GOLD_USE_LABEL : GOLD_USE_REJECTED;
    json_decref(top);
    return use;
}
