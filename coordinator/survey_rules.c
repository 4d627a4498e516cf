#include "coordinator/survey_rules.h"

static unsigned flags_of(const text_list *names)
{
    unsigned flags = 0;
    for (unsigned i = 0; i < names->n; i++) flags |= rationale_flag_of(names->items[i]);
    return flags;
}

survey_settings survey_settings_of(const config *c)
{
    const quality_config *q = &c->quality;
    return (survey_settings){.note = flags_of(&q->note_if),
                             .drop_rationale = flags_of(&q->drop_rationale_if),
                             .reject = flags_of(&q->reject_if),
                             .boilerplate_share = q->boilerplate_share,
                             .boilerplate_min = q->boilerplate_min,
                             .chunk_size = (size_t)RT_MIN(c->train.chunk_size, (uint64_t)SIZE_MAX)};
}
