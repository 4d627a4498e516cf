/* What a role does with --stay when its run is over: nothing, until it is told to leave.
 *
 * For supervisors that start again whatever ends, whatever its exit code, such as a Kubernetes
 * Deployment or StatefulSet: leaving would be the beginning of an endless loop of restarts.
 */
#ifndef RT_CLI_STAY_H
#define RT_CLI_STAY_H

#include "common/conf/config.h"

#define STAY_OPTION                                                                       \
    {                                                                                     \
        "--stay", NULL, "when the run is over, wait for SIGTERM instead of leaving", NULL \
    }

/* Returns when a stop is requested. Goes on giving signs of life (net.alive_file). */
void stay_until_stopped(const config *c);

#endif
