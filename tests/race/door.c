/* Clients of two roles ask a server behind a locked door, whose thread looks every one of them up,
 * while the list of keys that may come in is replaced and everybody reads it anew. */
#include <stdatomic.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/net/allow_list.h"
#include "common/net/endpoint.h"
#include "common/net/key_folder.h"
#include "common/net/keyring.h"
#include "tests/race/threads.h"
#include "tests/support/temp_folder.h"

#define WORK_MS 3000

static char *folder;
static char endpoint[128];
static atomic_bool over;
static atomic_uint n_answers, n_clients;

static net_keyring *ring_of(net_role role)
{
    net_keyring *ring = NULL;
    RT_ASSERT(net_keyring_open(folder, "", role, &ring, NULL) == RT_OK);
    return ring;
}

static void *ask(void *context)
{
    unsigned me = atomic_fetch_add(&n_clients, 1);
    net_role role = me % 2 == 0 ? NET_ROLE_TEACHER : NET_ROLE_STUDENT;
    net_identity who = {"run-1", me % 2 == 0 ? "teacher" : "student", me};
    net_keyring *ring = ring_of(role);
    net_lock lock = {ring, NET_BIT(NET_ROLE_COORDINATOR)};
    (void)context;
    while (!atomic_load(&over)) {
        net_client *c = NULL;
        RT_ASSERT(net_client_open(&who, endpoint, &lock, &c, NULL) == RT_OK);
        for (int i = 0; i < 5 && !atomic_load(&over); i++) {
            net_incoming in = {0};
            wire_message m = {.type = WIRE_LEASE_REQUEST};
            if (net_client_request(c, &m, NULL, 0, 500, &in, NULL) == RT_OK)
                atomic_fetch_add(&n_answers, 1);
            net_incoming_free(&in);
        }
        net_client_close(c);
    }
    net_keyring_free(ring);
    return NULL;
}

static void *answer(void *context)
{
    net_server *server = context;
    while (!atomic_load(&over)) {
        net_incoming in = {0};
        if (net_server_receive(server, 10, &in, NULL) != RT_OK) continue;
        wire_message m = {.type = WIRE_ACK, .message_id = in.message.message_id};
        (void)!net_server_send(server, &in.peer, &m, NULL, 0, NULL);
        net_incoming_free(&in);
    }
    return NULL;
}

/* The same keys in another file: each look at it finds it changed. */
static void *replace_list(void *context)
{
    const net_keyring *ring = context;
    rt_buf text = {0};
    temp_folder_read(folder, NET_ALLOWED_FILE, &text);
    while (!atomic_load(&over)) {
        unsigned char key[32] = {0};
        net_keys own;
        RT_ASSERT(rt_buf_printf(&text, NULL, "\n") == RT_OK);
        temp_folder_write(folder, "fresh", text.data, text.n);
        char from[512], to[512];
        snprintf(from, sizeof from, "%s/fresh", folder);
        snprintf(to, sizeof to, "%s/%s", folder, NET_ALLOWED_FILE);
        RT_ASSERT(rename(from, to) == 0);
        (void)net_keyring_role_of((net_keyring *)ring, key);
        net_keyring_own((net_keyring *)ring, &own);
        (void)net_keyring_generation((net_keyring *)ring);
        rt_sleep_ms(20);
    }
    rt_buf_free(&text);
    return NULL;
}

int main(void)
{
    pthread_t server_thread, list_thread, clients[RACE_THREADS];
    net_identity who = {"run-1", "coordinator", 1};
    net_server *server = NULL;
    rt_error err = {0};
    folder = temp_folder_new();
    RT_ASSERT(key_folder_make(folder, NULL) == RT_OK);
    net_keyring *ring = ring_of(NET_ROLE_COORDINATOR);
    net_lock lock = {ring, NET_BIT(NET_ROLE_TEACHER) | NET_BIT(NET_ROLE_STUDENT)};
    RT_ASSERT(net_server_open(&who, "tcp://127.0.0.1:*", &lock, &server, &err) == RT_OK);
    snprintf(endpoint, sizeof endpoint, "%s", net_server_endpoint(server));
    RT_ASSERT(pthread_create(&server_thread, NULL, answer, server) == 0);
    RT_ASSERT(pthread_create(&list_thread, NULL, replace_list, ring) == 0);
    for (int i = 0; i < RACE_THREADS; i++)
        RT_ASSERT(pthread_create(&clients[i], NULL, ask, NULL) == 0);
    rt_sleep_ms(WORK_MS);
    atomic_store(&over, true);
    for (int i = 0; i < RACE_THREADS; i++) pthread_join(clients[i], NULL);
    pthread_join(list_thread, NULL);
    pthread_join(server_thread, NULL);
    RT_ASSERT(atomic_load(&n_answers) > 0);
    RT_ASSERT(net_keyring_generation(ring) > 0);
    net_server_close(server);
    net_keyring_free(ring);
    temp_folder_free(folder);
    return 0;
}
