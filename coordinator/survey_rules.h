/* Settings `quality`, as far as they judge rationales beside each other. Pure. */
#ifndef RT_COORDINATOR_SURVEY_RULES_H
#define RT_COORDINATOR_SURVEY_RULES_H

#include "common/conf/config.h"
#include "common/dataset/rationale_survey.h"

survey_settings survey_settings_of(const config *c);

#endif
