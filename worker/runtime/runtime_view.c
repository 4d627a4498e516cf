#include "worker/runtime/runtime_view.h"

#include <stdlib.h>
#include <string.h>

/* A run has a handful of shards; a message that claims more is wrong. */
#define SERVERS_MAX 4096u

void runtime_view_free(runtime_view *view)
{
    if (view == NULL) return;
    free(view->tokenizer_path);
    free(view->tokenizer_sha256);
    free(view->queue_url);
    for (uint32_t i = 0; view->servers != NULL && i < view->n_servers; i++) free(view->servers[i]);
    free(view->servers);
    memset(view, 0, sizeof *view);
}

static char *copy_text(const char *text)
{
    return strdup(text != NULL ? text : "");
}

/* Endpoints by shard, or NULL in *out when one is missing. */
static rt_status collect_servers(const wire_run_state *state, char ***out, rt_error *err)
{
    char **servers = NULL;
    rt_status st = RT_OK;
    size_t n_known = 0;
    if (state->n_servers == 0 || state->n_servers > SERVERS_MAX) goto out;
    servers = rt_calloc(state->n_servers, sizeof *servers);
    if (servers == NULL) {
        st = rt_fail(err, RT_NOMEM, "endpoints of %u shards", state->n_servers);
        goto out;
    }
    for (size_t i = 0; i < state->n_addresses; i++) {
        const wire_server_address *a = &state->servers[i];
        if (a->shard >= state->n_servers || servers[a->shard] != NULL) continue;
        servers[a->shard] = copy_text(a->endpoint);
        if (servers[a->shard] == NULL) {
            st = rt_fail(err, RT_NOMEM, "endpoint of shard %u", a->shard);
            goto out;
        }
        n_known++;
    }
    if (n_known == state->n_servers) {
        *out = servers;
        servers = NULL;
    }
out:
    if (servers != NULL) {
        for (uint32_t i = 0; i < state->n_servers; i++) free(servers[i]);
        free(servers);
    }
    return st;
}

rt_status runtime_view_of(const wire_run_state *state, runtime_view *out, rt_error *err)
{
    runtime_view v = {
        .phase = state->phase,
        .generation = state->generation,
        .version = state->version,
        .n_vocab = state->n_vocab,
        .bos_id = state->bos_id,
        .eos_id = state->eos_id,
        .pad_id = state->pad_id,
        .n_servers = state->n_servers,
    };
    rt_status st = collect_servers(state, &v.servers, err);
    if (st != RT_OK) return st;
    v.tokenizer_path = copy_text(state->tokenizer_path);
    v.tokenizer_sha256 = copy_text(state->tokenizer_sha256);
    v.queue_url = copy_text(state->queue_url);
    if (v.tokenizer_path == NULL || v.tokenizer_sha256 == NULL || v.queue_url == NULL) {
        runtime_view_free(&v);
        return rt_fail(err, RT_NOMEM, "state of the run");
    }
    *out = v;
    return RT_OK;
}

rt_status runtime_view_copy(const runtime_view *from, runtime_view *out, rt_error *err)
{
    rt_status st = RT_OK;
    wire_run_state state = {
        .phase = from->phase,
        .generation = from->generation,
        .version = from->version,
        .n_vocab = from->n_vocab,
        .bos_id = from->bos_id,
        .eos_id = from->eos_id,
        .pad_id = from->pad_id,
        .tokenizer_path = from->tokenizer_path,
        .tokenizer_sha256 = from->tokenizer_sha256,
        .queue_url = from->queue_url,
        .n_servers = from->n_servers,
    };
    if (from->servers != NULL) {
        state.servers = rt_calloc(from->n_servers, sizeof *state.servers);
        if (state.servers == NULL) return rt_fail(err, RT_NOMEM, "state of the run");
        for (uint32_t i = 0; i < from->n_servers; i++)
            state.servers[i] = (wire_server_address){.shard = i, .endpoint = from->servers[i]};
        state.n_addresses = from->n_servers;
    }
    st = runtime_view_of(&state, out, err);
    free(state.servers);
    return st;
}
