/* The coordinator's one thread:
 *
 *   messages ─► LABELS into the archive ─► training ─► BATCHES ─► deaths and leases ─► picture
 *      └─────────────── waits here when there is nothing to do (at most 20 ms) ───────────┘
 *
 * Here is what opens, receives and ends; turn.c has what is done between two looks at the socket.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "coordinator/shell.h"

#define IDLE_MS      20
#define MESSAGES_MAX 256 /* a turn */

static rt_status open_dataset(coordinator *co, rt_error *err)
{
    char folder[RUN_PATH_SIZE];
    rt_status st;
    if (co->stage == STAGE_TRAIN) {
        if (co->dataset == NULL)
            return rt_fail(err, RT_INVALID,
                           "stage train: give the dataset, --dataset FOLDER with labels.jsonl");
        if ((st = archive_open_read_only(co->dataset, &co->archive, err)) != RT_OK) return st;
        return corpus_source_of_dataset(co->archive, &co->corpus, err);
    }
    if ((st = run_folder_path(&co->folder, "corpus", folder, err)) != RT_OK) return st;
    st = corpus_source_of_corpus(co->config, folder, &co->corpus, err);
    if (st != RT_OK) return st;
    if ((st = run_folder_path(&co->folder, "dataset", folder, err)) != RT_OK) return st;
    archive_options options = {.corpus = corpus_source_index(co->corpus)};
    return archive_open_with(folder, &options, &co->archive, err);
}

static rt_status open_leases(coordinator *co, rt_error *err)
{
    const config *c = co->config;
    uint64_t n = corpus_source_n(co->corpus);
    if (n == 0)
        return rt_fail(err, RT_CORRUPT, "%s holds no example",
                       co->stage == STAGE_TRAIN ? co->dataset : "corpus.files");
    rt_status st = lease_table_new(n, c->label.shard_size, c->label.lease_ms, &co->leases, err);
    if (st != RT_OK) return st;
    lease_table_blame_after(co->leases, c->label.deaths_max);
    co->archiving = (archive_stage){
        .archive = co->archive, .corpus = co->corpus, .leases = co->leases, .link = co->link};
    archive_stage_begin(&co->archiving);
    return smoke_begin(co, err);
}

/* Training must go on with the labels it began with. */
static rt_status open_money(coordinator *co, rt_error *err)
{
    const run_folder *folder = co->stage == STAGE_TRAIN ? NULL : &co->folder;
    reopening how = REOPEN_FREELY;
    rt_status st = RT_OK;
    if (folder != NULL && (st = reopening_now(co, &how, err)) != RT_OK) return st;
    st = quota_stage_open(&co->money, co->config, folder, co->leases, how != REOPEN_NEVER,
                          co->now_ms, err);
    if (st != RT_OK || !co->money.reopened) return st;
    rt_log_info("budget.reopened", "plan=%s", how == REOPEN_FREELY ? "kept" : "made-again");
    return how == REOPEN_WITH_NEW_PLAN ? training_files_drop(folder, co->config, err) : RT_OK;
}

static rt_status open_link(coordinator *co, rt_error *err)
{
    const config *c = co->config;
    queue_login login = {.user = c->queue.user,
                         .read_password =
                             c->queue.password[0] != '\0' ? config_queue_password : NULL,
                         .context = c,
                         .ca_file = c->queue.ca_file,
                         .cert_file = c->queue.cert_file,
                         .key_file = c->queue.key_file};
    return queue_link_new(c->queue.url, &login, c->name, co->folder.is_new, &co->link, err);
}

static rt_status open_net(coordinator *co, rt_error *err)
{
    const net_config *n = &co->config->net;
    net_identity identity = {
        .run_id = co->config->name, .sender = "coordinator", .incarnation = rt_clock_wall_ms()};
    const char *bind = n->coordinator_bind[0] != '\0' ? n->coordinator_bind
                       : n->coordinator[0] != '\0'    ? n->coordinator
                                                      : "tcp://127.0.0.1:*";
    rt_status st =
        net_keyring_open(n->keys, n->curve_key_file, NET_ROLE_COORDINATOR, &co->ring, err);
    if (st != RT_OK) return st;
    net_lock lock = {co->ring, NET_BIT(NET_ROLE_TEACHER) | NET_BIT(NET_ROLE_STUDENT) |
                                   NET_BIT(NET_ROLE_SERVER)};
    st = net_server_open(&identity, bind, &lock, &co->net, err);
    if (st != RT_OK) return rt_wrap(err, st, "net.coordinator_bind");
    if (strcmp(n->http, "off") == 0) return RT_OK;
    /* A predecessor that was killed a moment ago may still hold the port. */
    for (int tries = 0; tries < 50; tries++) {
        st = http_server_open(n->http[0] == '\0' ? "127.0.0.1:0" : n->http, n->http_key_file,
                              co->pictures, &co->http, err);
        if (st != RT_EXISTS) break;
        rt_sleep_ms(100);
    }
    return st;
}

/* The figures of an earlier end are not those of this start. */
static rt_status remove_result(coordinator *co, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    rt_status st = run_folder_path(&co->folder, "result.json", path, err);
    if (st != RT_OK || unlink(path) == 0 || errno == ENOENT) return st;
    return rt_fail(err, RT_IO, "remove %s: %s", path, strerror(errno));
}

static rt_status open_all(coordinator *co, rt_error *err)
{
    const config *c = co->config;
    rt_status st;
    if ((st = run_folder_open(c, &co->folder, err)) != RT_OK) return st;
    if ((st = remove_result(co, err)) != RT_OK) return st;
    if ((st = open_link(co, err)) != RT_OK) return st;
    if ((st = open_dataset(co, err)) != RT_OK) return st;
    if ((st = open_leases(co, err)) != RT_OK) return st;
    if ((st = open_money(co, err)) != RT_OK) return st;
    if ((st = membership_new(c->net.dead_after_ms, &co->members, err)) != RT_OK) return st;
    co->peers = rt_calloc(c->launch.servers, sizeof *co->peers);
    if (co->peers == NULL) return rt_fail(err, RT_NOMEM, "coordinator");
    if ((st = train_stage_begin(co, err)) != RT_OK) return st;
    seconds_load(co);
    if ((st = watch_open(co, err)) != RT_OK) return st;
    if (co->money.reopened) tell(co, EVENT_MONEY, "", "there is money again: labelling goes on");
    if ((st = open_net(co, err)) != RT_OK) return st;
    const char *http = co->http == NULL ? "" : http_server_address(co->http);
    st = run_folder_announce(&co->folder, net_server_endpoint(co->net), http, err);
    if (st != RT_OK) return st;
    rt_log_info("coordinator.ready",
                "endpoint=%s http=%s examples=%zu labelled=%" PRIu64 " rejected=%" PRIu64,
                net_server_endpoint(co->net), http[0] == '\0' ? "off" : http,
                corpus_source_n(co->corpus), archive_n_labelled(co->archive),
                archive_n_rejected(co->archive));
    return RT_OK;
}

static void close_all(coordinator *co)
{
    http_server_close(co->http);
    watch_close(co);
    net_server_close(co->net);
    net_keyring_free(co->ring);
    coordinator_stages_free(co);
    run_folder_close(&co->folder);
}

/* Handle what has arrived; wait for the first message when there is nothing else to do. True when
 * the socket was read empty. */
static bool take_messages(coordinator *co, uint64_t wait_ms)
{
    for (int i = 0; i < MESSAGES_MAX; i++) {
        net_incoming in = {0};
        rt_error why = {0};
        rt_status st = net_server_receive(co->net, i == 0 ? wait_ms : 0, &in, &why);
        co->now_ms = rt_clock_mono_ms();
        if (st != RT_OK) {
            if (st != RT_TIMEOUT && st != RT_CANCELLED) rt_log_warn("net.receive", "%s", why.text);
            return true;
        }
        on_message(co, &in);
        net_incoming_free(&in);
    }
    return false;
}

static void loop(coordinator *co)
{
    coordinator_turn_state turn = {0};
    do {
        bool read_empty = take_messages(co, turn.busy ? 0 : IDLE_MS);
        coordinator_turn(co, read_empty, &turn);
        show_picture(co);
    } while (!coordinator_is_over(co, &turn));
}

rt_status coordinator_run(const config *c, const coordinator_options *options, rt_error *err)
{
    rt_error why = {0};
    coordinator *co = rt_calloc(1, sizeof *co);
    if (co == NULL) return rt_fail(err, RT_NOMEM, "coordinator");
    co->config = c;
    co->stage = options->stage;
    co->dataset = options->dataset;
    co->stays = options->stays;
    co->folder.lock_fd = -1;
    co->now_ms = co->start_ms = rt_clock_mono_ms();
    rt_status st = open_all(co, err);
    if (st != RT_OK) goto out;
    loop(co);
    seconds_save(co);
    quota_stage_save(&co->money, co->now_ms);
    if (co->ending == RUN_FAILED) {
        st = rt_fail(err, co->why_status, "%s", co->why.text);
        if (result_write(co, &why) != RT_OK) rt_log_warn("result.write", "%s", why.text);
    }
    rt_log_info("coordinator.end", "ending=%s version=%" PRIu64,
                co->ending == RUN_COMPLETE   ? "complete"
                : co->ending == RUN_DRAINING ? "drained"
                                             : "failed",
                step_control_version(co->steps));
    if (co->tokenizer != NULL && !tokenizer_stage_wait(co->tokenizer, 1500)) {
        /* Everything on disk is whole; a library thread cannot be stopped any other way. */
        fflush(NULL);
        _exit(0);
    }
out:
    close_all(co);
    free(co);
    return st;
}
