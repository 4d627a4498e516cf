/* Rules between settings, checked once all of them have their values. */
#ifndef RT_CONF_CHECK_H
#define RT_CONF_CHECK_H

#include "common/conf/document.h"

/* RT_INVALID names the setting to change, and the line it stands on when it is written. */
RT_MUST_USE rt_status check_config(const document *d, const config *c, rt_error *err);

#endif
