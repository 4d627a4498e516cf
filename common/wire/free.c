#include <stdlib.h>

#include "common/wire/messages.h"

static void free_lease_grant(wire_lease_grant *g)
{
    for (size_t i = 0; i < g->n_examples; i++) {
        free(g->examples[i].input);
        free(g->examples[i].source_id);
        free(g->examples[i].gold);
    }
    free(g->examples);
}

void wire_server_report_free(wire_server_report *r)
{
    for (size_t i = 0; i < r->n_saved_files; i++) {
        free(r->saved_files[i].name);
        free(r->saved_files[i].sha256);
    }
    free(r->saved_files);
    free(r->param_index);
    free(r->sum_squares);
    free(r->received);
    free(r->problem);
    *r = (wire_server_report){0};
}

static void free_run_state(wire_run_state *s)
{
    for (size_t i = 0; i < s->n_addresses; i++) free(s->servers[i].endpoint);
    free(s->servers);
    free(s->tokenizer_path);
    free(s->tokenizer_sha256);
    free(s->queue_url);
}

static void free_heartbeat(wire_heartbeat *h)
{
    for (size_t i = 0; i < h->n_counters; i++) free(h->counters[i].name);
    free(h->counters);
    for (size_t i = 0; i < h->n_histograms; i++) {
        free(h->histograms[i].name);
        free(h->histograms[i].buckets);
    }
    free(h->histograms);
    free(h->busy_with);
}

void wire_message_free(wire_message *m)
{
    if (m == NULL) return;
    free(m->run_id);
    free(m->sender);
    switch (m->type) {
    case WIRE_REGISTER:
        free(m->register_.endpoint);
        free(m->register_.host);
        free(m->register_.fingerprint);
        break;
    case WIRE_HEARTBEAT: free_heartbeat(&m->heartbeat); break;
    case WIRE_RUN_STATE: free_run_state(&m->run_state); break;
    case WIRE_LEASE_GRANT: free_lease_grant(&m->lease_grant); break;
    case WIRE_SERVER_REPORT: wire_server_report_free(&m->server_report); break;
    case WIRE_SERVER_ORDER: free(m->server_order.folder); break;
    case WIRE_PUSH: free(m->push.rows.ids); break;
    case WIRE_REFUSED:
        free(m->refused.status);
        free(m->refused.text);
        break;
    default: break;
    }
    *m = (wire_message){0};
}
