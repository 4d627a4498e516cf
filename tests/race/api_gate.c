/* Threads of an HTTP server ask whether a key may come in, while the file of keys changes. */
#include "common/http_server/api_gate.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "tests/race/threads.h"
#include "tests/support/temp_folder.h"

#define TURNS 300

static void *come_in(void *context)
{
    api_gate *gate = context;
    for (int i = 0; i < TURNS; i++) {
        RT_ASSERT(api_gate_allows(gate, "Bearer the-key-that-stays-in-it"));
        RT_ASSERT(!api_gate_allows(gate, i % 2 == 0 ? "Bearer a-key-of-nobody-at-all" : NULL));
        (void)api_gate_generation(gate);
        rt_sleep_ms(2);
    }
    return NULL;
}

static void *change(void *context)
{
    const char *path = context;
    for (int i = 0; i < TURNS / 3; i++) {
        char text[128];
        int n =
            snprintf(text, sizeof text, "the-key-that-stays-in-it\nanother-key-number-%06d\n", i);
        RT_ASSERT(rt_fs_write_atomic(path, text, (size_t)n, NULL) == RT_OK);
        rt_sleep_ms(6);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread;
    api_gate *gate = NULL;
    rt_error err = {0};
    char path[512];
    char *folder = temp_folder_new();
    snprintf(path, sizeof path, "%s/keys", folder);
    temp_folder_write_text(folder, "keys", "the-key-that-stays-in-it\n");
    RT_ASSERT(api_gate_open(path, &gate, &err) == RT_OK);
    RT_ASSERT(pthread_create(&thread, NULL, change, path) == 0);
    race_together(come_in, gate);
    pthread_join(thread, NULL);
    RT_ASSERT(api_gate_refused(gate) == (uint64_t)RACE_THREADS * TURNS);
    api_gate_close(gate);
    temp_folder_free(folder);
    return 0;
}
