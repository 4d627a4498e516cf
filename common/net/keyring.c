/* One lock around everything: it is asked once for each handshake and each message, and answers
 * without input or output unless a file has changed. */
#include "common/net/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/file_watch.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/net/allow_list.h"

#define LIST_BYTES_MAX ((size_t)1 << 20)

struct net_keyring {
    char own_path[PATH_MAX];
    char list_path[PATH_MAX]; /* "": one pair for all */
    net_role role;            /* of the own pair */

    pthread_mutex_t mutex; /* guards all below */
    net_keys *own;         /* on a page that no core file holds */
    allow_list list;
    file_watch own_watch, list_watch;
    uint64_t generation;
};

static rt_status read_list(const char *path, allow_list *out, rt_error *err)
{
    struct stat info;
    rt_buf text = {0};
    rt_status st = rt_fs_read(path, LIST_BYTES_MAX, &text, err);
    if (st == RT_OK && stat(path, &info) == 0 && (info.st_mode & (S_IWOTH | S_IWGRP)) != 0)
        st = rt_fail(err, RT_INVALID, "mode %03o lets others write it; run chmod go-w %s",
                     (unsigned)info.st_mode & 0777u, path);
    if (st == RT_OK) st = allow_list_parse(text.n > 0 ? text.data : "", text.n, out, err);
    rt_buf_free(&text);
    return st == RT_OK ? st : rt_wrap(err, st, "allow-list %s", path);
}

/* The caller holds the mutex, or is the only one who knows the ring. */
static rt_status load_own(net_keyring *ring, rt_error *err)
{
    rt_status st = RT_OK;
    net_keys fresh = {{0}, {0}};
    allow_list one = {0};
    if ((st = net_keys_read(ring->own_path, &fresh, err)) != RT_OK) goto out;
    if (ring->list_path[0] == '\0') { /* its holder is the only one who may come */
        st = allow_list_add(&one, NET_ROLE_CLUSTER, fresh.public_key, err);
        if (st != RT_OK) goto out;
        allow_list_free(&ring->list);
        ring->list = one;
    }
    *ring->own = fresh;
    ring->generation++;
out:
    explicit_bzero(&fresh, sizeof fresh);
    return st;
}

static rt_status load_list(net_keyring *ring, rt_error *err)
{
    allow_list fresh = {0};
    if (ring->list_path[0] == '\0') return RT_OK;
    rt_status st = read_list(ring->list_path, &fresh, err);
    if (st != RT_OK) return st;
    allow_list_free(&ring->list);
    ring->list = fresh;
    ring->generation++;
    return RT_OK;
}

rt_status net_keyring_open(const char *folder, const char *pair_file, net_role role,
                           net_keyring **out, rt_error *err)
{
    rt_status st = RT_OK;
    char name[32];
    uint64_t now_ms = rt_clock_mono_ms();
    if (folder[0] == '\0' && pair_file[0] == '\0') {
        *out = NULL;
        return RT_OK;
    }
    if (folder[0] != '\0' && pair_file[0] != '\0')
        return rt_fail(err, RT_INVALID,
                       "found a folder of keys and one pair for all, expected one");
    net_keyring *ring = rt_calloc(1, sizeof *ring);
    if (ring == NULL) return rt_fail(err, RT_NOMEM, "keys");
    pthread_mutex_init(&ring->mutex, NULL);
    ring->role = role;
    if ((ring->own = rt_secret_new(sizeof *ring->own)) == NULL) {
        st = rt_fail(err, RT_NOMEM, "keys");
        goto out;
    }
    if (folder[0] != '\0') {
        snprintf(name, sizeof name, "%s.key", net_role_name(role));
        st = rt_fs_join(ring->own_path, sizeof ring->own_path, folder, name, err);
        if (st == RT_OK)
            st = rt_fs_join(ring->list_path, sizeof ring->list_path, folder, NET_ALLOWED_FILE, err);
        if (st != RT_OK) goto out;
    } else if (strlen(pair_file) >= sizeof ring->own_path) {
        st = rt_fail(err, RT_FULL, "path too long: %s", pair_file);
        goto out;
    } else {
        memcpy(ring->own_path, pair_file, strlen(pair_file) + 1);
    }
    file_watch_note(&ring->own_watch, ring->own_path, now_ms);
    file_watch_note(&ring->list_watch, ring->list_path, now_ms);
    if ((st = load_own(ring, err)) != RT_OK) goto out;
    if ((st = load_list(ring, err)) != RT_OK) goto out;
    *out = ring;
    ring = NULL;
out:
    net_keyring_free(ring);
    return st;
}

void net_keyring_free(net_keyring *ring)
{
    if (ring == NULL) return;
    rt_secret_free(ring->own, sizeof *ring->own);
    allow_list_free(&ring->list);
    pthread_mutex_destroy(&ring->mutex);
    free(ring);
}

static void tell(rt_status st, const rt_error *why, const char *path)
{
    if (st == RT_OK)
        rt_log_info("keys.read", "file=%s", path);
    else
        rt_log_error("keys.keep_old", "why=\"%s\"", why->text);
}

/* The caller holds the mutex. */
static void refresh(net_keyring *ring)
{
    rt_error why = {0};
    uint64_t now_ms = rt_clock_mono_ms();
    if (file_watch_changed(&ring->own_watch, ring->own_path, now_ms))
        tell(load_own(ring, &why), &why, ring->own_path);
    if (ring->list_path[0] != '\0' &&
        file_watch_changed(&ring->list_watch, ring->list_path, now_ms))
        tell(load_list(ring, &why), &why, ring->list_path);
}

net_role net_keyring_role_of(net_keyring *ring, const unsigned char public_key[32])
{
    pthread_mutex_lock(&ring->mutex);
    refresh(ring);
    const net_allowed *found = allow_list_find(&ring->list, public_key);
    net_role role = found != NULL ? found->role : NET_ROLE_NONE;
    pthread_mutex_unlock(&ring->mutex);
    return role;
}

void net_keyring_own(net_keyring *ring, net_keys *out)
{
    pthread_mutex_lock(&ring->mutex);
    refresh(ring);
    *out = *ring->own;
    pthread_mutex_unlock(&ring->mutex);
}

bool net_keyring_peer(net_keyring *ring, unsigned peers, unsigned turn, char public_key[41])
{
    size_t n = 0;
    peers |= NET_BIT(NET_ROLE_CLUSTER);
    pthread_mutex_lock(&ring->mutex);
    refresh(ring);
    const allow_list *list = &ring->list;
    for (size_t i = 0; i < list->n; i++) n += (NET_BIT(list->items[i].role) & peers) != 0;
    size_t i_wanted = n == 0 ? 0 : turn % n, at = 0;
    for (size_t i = 0; n > 0 && i < list->n; i++) {
        if ((NET_BIT(list->items[i].role) & peers) == 0) continue;
        if (at++ == i_wanted) memcpy(public_key, list->items[i].text, 41);
    }
    pthread_mutex_unlock(&ring->mutex);
    return n > 0;
}

uint64_t net_keyring_generation(net_keyring *ring)
{
    pthread_mutex_lock(&ring->mutex);
    refresh(ring);
    uint64_t generation = ring->generation;
    pthread_mutex_unlock(&ring->mutex);
    return generation;
}
