#include "common/http_server/api_gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/file_watch.h"
#include "common/base/log.h"

struct api_gate {
    char *path;
    pthread_mutex_t mutex; /* guards all below */
    file_watch watch;
    api_keys *keys;
    uint64_t n_refused, generation;
};

static void warn_of_mode(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0)
        rt_log_warn("api_keys.mode", "file=%s mode=%03o: others of this machine can read the keys",
                    path, (unsigned)info.st_mode & 0777u);
}

rt_status api_gate_open(const char *path, api_gate **out, rt_error *err)
{
    rt_status st;
    api_gate *gate = rt_calloc(1, sizeof *gate);
    if (gate == NULL || (gate->path = rt_strndup(path, strlen(path))) == NULL) {
        free(gate);
        return rt_fail(err, RT_NOMEM, "API keys");
    }
    pthread_mutex_init(&gate->mutex, NULL);
    file_watch_note(&gate->watch, path, rt_clock_mono_ms());
    if ((st = api_keys_load(path, &gate->keys, err)) != RT_OK) {
        api_gate_close(gate);
        return st;
    }
    warn_of_mode(path);
    *out = gate;
    return RT_OK;
}

void api_gate_close(api_gate *gate)
{
    if (gate == NULL) return;
    api_keys_free(gate->keys);
    pthread_mutex_destroy(&gate->mutex);
    free(gate->path);
    free(gate);
}

/* The caller holds the mutex. */
static void refresh(api_gate *gate)
{
    rt_error why = {0};
    api_keys *fresh = NULL;
    if (!file_watch_changed(&gate->watch, gate->path, rt_clock_mono_ms())) return;
    if (api_keys_load(gate->path, &fresh, &why) != RT_OK) {
        rt_log_error("api_keys.keep_old", "why=\"%s\"", why.text);
        return;
    }
    api_keys_free(gate->keys);
    gate->keys = fresh;
    gate->generation++;
    rt_log_info("api_keys.read", "file=%s", gate->path);
}

bool api_gate_allows(api_gate *gate, const char *authorization)
{
    pthread_mutex_lock(&gate->mutex);
    refresh(gate);
    bool allowed = api_keys_allow(gate->keys, authorization);
    gate->n_refused += !allowed;
    pthread_mutex_unlock(&gate->mutex);
    return allowed;
}

uint64_t api_gate_generation(api_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    refresh(gate);
    uint64_t generation = gate->generation;
    pthread_mutex_unlock(&gate->mutex);
    return generation;
}

uint64_t api_gate_refused(api_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    uint64_t n = gate->n_refused;
    pthread_mutex_unlock(&gate->mutex);
    return n;
}
