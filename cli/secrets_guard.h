/* A process that holds secrets writes no core file: one call per role, once the settings are read. */
#ifndef RT_CLI_SECRETS_GUARD_H
#define RT_CLI_SECRETS_GUARD_H

#include "common/conf/config.h"

/* Nothing happens where the settings name no secret. peers_read_memory: as rt_secret_no_core(). */
void secrets_guard(const config *c, bool peers_read_memory);

#endif
