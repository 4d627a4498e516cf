/* The addresses that the settings fix for this machine, and whether they are free.
 *
 *     size_t n = bind_places_of(config, places);
 *     for (size_t i = 0; i < n; i++) {
 *         int problem = bind_place_try(&places[i]);       // thin: sockets
 *         finding f = bind_verdict(&places[i], problem);  // pure
 *     }
 */
#ifndef RT_CLI_DOCTOR_BIND_PLACE_H
#define RT_CLI_DOCTOR_BIND_PLACE_H

#include "cli/doctor/finding.h"
#include "common/conf/config.h"

#define BIND_PLACES_MAX 3

typedef struct bind_place {
    const char *path; /* the setting */
    const char *text; /* as written there; borrowed from the config */
    bool is_ipc;
    char host[128]; /* "0.0.0.0" for "*"; of ipc: empty */
    char port[8];
    const char *file;   /* of ipc */
    uint64_t n_binders; /* processes of this machine that want it */
} bind_place;

/* Those with a fixed port or a path; what the launcher chooses is free by itself. Pure. */
size_t bind_places_of(const config *c, bind_place out[BIND_PLACES_MAX]);

/* Bind, and let go: 0, or an errno (EADDRINUSE: somebody listens there). -1: no such host. */
int bind_place_try(const bind_place *p);

/* Pure. */
finding bind_verdict(const bind_place *p, int problem);

#endif
