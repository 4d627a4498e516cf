/* Who comes in through a locked door, with real sockets: roles, wrong keys, none, keys that change. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/net/allow_list.h"
#include "common/net/key_folder.h"

#define LONG_MS 10000 /* within which everything has to heal */
#define ANY     "tcp://127.0.0.1:*"

static const net_identity coordinator = {"run-1", "coordinator", 1};
static const net_identity worker = {"run-1", "worker-0", 7};

static char folder[64]; /* of keys */

static void make_folder(void)
{
    strcpy(folder, "/tmp/retort-curve-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(key_folder_make(folder, NULL), RT_OK);
}

static void drop_folder(void)
{
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}

TestSuite(curve, .init = make_folder, .fini = drop_folder);

static net_keyring *ring_in(const char *where, net_role role)
{
    net_keyring *ring = NULL;
    rt_error err = {0};
    cr_assert_eq(net_keyring_open(where, "", role, &ring, &err), RT_OK, "%s", err.text);
    return ring;
}

static net_keyring *ring_of(net_role role)
{
    return ring_in(folder, role);
}

/* A coordinator that answers whatever comes, and remembers with whose key it came. */
typedef struct echoer {
    net_keyring *ring;
    net_server *server;
    pthread_t thread;
    atomic_bool stop;
    atomic_int last_role;
} echoer;

static void *run_echo(void *arg)
{
    echoer *e = arg;
    while (!atomic_load(&e->stop)) {
        net_incoming in = {0};
        if (net_server_receive(e->server, 10, &in, NULL) != RT_OK) continue;
        atomic_store(&e->last_role, (int)in.key_role);
        wire_message m = {.type = WIRE_ACK, .message_id = in.message.message_id};
        (void)!net_server_send(e->server, &in.peer, &m, NULL, 0, NULL);
        net_incoming_free(&in);
    }
    return NULL;
}

static void start_with(echoer *e, net_keyring *ring, unsigned peers)
{
    rt_error err = {0};
    net_lock lock = {ring, peers};
    e->ring = ring;
    cr_assert_eq(net_server_open(&coordinator, ANY, &lock, &e->server, &err), RT_OK, "%s",
                 err.text);
    atomic_store(&e->stop, false);
    cr_assert_eq(pthread_create(&e->thread, NULL, run_echo, e), 0);
}

static void start(echoer *e)
{
    start_with(e, ring_of(NET_ROLE_COORDINATOR),
               NET_BIT(NET_ROLE_TEACHER) | NET_BIT(NET_ROLE_STUDENT) | NET_BIT(NET_ROLE_SERVER));
}

static void stop(echoer *e)
{
    atomic_store(&e->stop, true);
    pthread_join(e->thread, NULL);
}

static void end(echoer *e)
{
    net_server_close(e->server);
    net_keyring_free(e->ring);
}

static net_client *ask_at(const echoer *e, net_keyring *ring)
{
    net_client *c = NULL;
    rt_error err = {0};
    net_lock lock = {ring, NET_BIT(NET_ROLE_COORDINATOR)};
    cr_assert_eq(net_client_open(&worker, net_server_endpoint(e->server), &lock, &c, &err), RT_OK,
                 "%s", err.text);
    return c;
}

static rt_status ask(net_client *c, uint64_t timeout_ms)
{
    wire_message m = {.type = WIRE_PULL};
    net_incoming in = {0};
    rt_status st = net_client_request(c, &m, NULL, 0, timeout_ms, &in, NULL);
    net_incoming_free(&in);
    return st;
}

Test(curve, each_role_comes_in_with_its_key_and_is_known_by_it)
{
    static const net_role roles[] = {NET_ROLE_TEACHER, NET_ROLE_STUDENT, NET_ROLE_SERVER};
    echoer e = {0};
    start(&e);
    for (size_t i = 0; i < RT_COUNT(roles); i++) {
        net_keyring *ring = ring_of(roles[i]);
        net_client *c = ask_at(&e, ring);
        cr_expect_eq(ask(c, LONG_MS), RT_OK);
        cr_expect_eq(atomic_load(&e.last_role), (int)roles[i]);
        net_client_close(c);
        net_keyring_free(ring);
    }
    stop(&e);
    end(&e);
}

Test(curve, a_role_that_has_no_business_here_stays_out_and_is_counted)
{
    echoer e = {0};
    start_with(&e, ring_of(NET_ROLE_COORDINATOR), NET_BIT(NET_ROLE_STUDENT));
    net_keyring *teacher = ring_of(NET_ROLE_TEACHER), *student = ring_of(NET_ROLE_STUDENT);
    net_client *bad = ask_at(&e, teacher), *good = ask_at(&e, student);
    cr_expect_eq(ask(bad, 400), RT_TIMEOUT);
    cr_expect_eq(ask(good, LONG_MS), RT_OK);
    stop(&e);
    cr_expect_geq(net_server_counts(e.server)->n_denied, 1);
    cr_expect_eq(net_server_counts(e.server)->n_received, 1);
    net_client_close(bad);
    net_client_close(good);
    net_keyring_free(teacher);
    net_keyring_free(student);
    end(&e);
}

Test(curve, who_has_the_key_of_a_worker_cannot_pose_as_the_coordinator)
{
    echoer e = {0};
    start_with(&e, ring_of(NET_ROLE_TEACHER), NET_BIT(NET_ROLE_STUDENT));
    net_keyring *student = ring_of(NET_ROLE_STUDENT);
    net_client *c = ask_at(&e, student);
    cr_expect_eq(ask(c, 600), RT_TIMEOUT);
    stop(&e);
    cr_expect_eq(net_server_counts(e.server)->n_received, 0);
    net_client_close(c);
    net_keyring_free(student);
    end(&e);
}

Test(curve, a_wrong_key_no_key_and_plain_text_stay_out_and_others_go_on)
{
    char strangers[80];
    snprintf(strangers, sizeof strangers, "%s/strangers", folder);
    cr_assert_eq(key_folder_make(strangers, NULL), RT_OK);
    echoer e = {0};
    start(&e);
    net_keyring *ours = ring_of(NET_ROLE_STUDENT), *theirs = ring_in(strangers, NET_ROLE_STUDENT);
    net_client *good = ask_at(&e, ours), *other = ask_at(&e, theirs), *plain = ask_at(&e, NULL);
    cr_assert_eq(ask(good, LONG_MS), RT_OK);
    cr_assert_eq(ask(plain, 300), RT_TIMEOUT);
    cr_assert_eq(ask(other, 300), RT_TIMEOUT);
    cr_assert_eq(ask(good, LONG_MS), RT_OK);
    stop(&e);
    cr_expect_geq(net_server_counts(e.server)->n_foreign, 1);
    cr_expect_eq(net_server_counts(e.server)->n_received, 2);
    net_client_close(plain);
    net_client_close(other);
    net_client_close(good);
    net_keyring_free(ours);
    net_keyring_free(theirs);
    end(&e);
}

/* Knows whom to ask, but has a key of its own: the doorkeeper must stop it, not CURVE. */
Test(curve, a_stranger_who_knows_the_public_key_is_denied_and_counted)
{
    net_keys ours, theirs;
    echoer e = {0};
    start(&e);
    net_keyring_own(e.ring, &ours);
    cr_assert_eq(net_keys_generate(&theirs, NULL), RT_OK);
    void *context = zmq_ctx_new(), *z = zmq_socket(context, ZMQ_DEALER);
    int zero = 0;
    zmq_setsockopt(z, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(z, ZMQ_CURVE_SERVERKEY, ours.public_key, 41);
    zmq_setsockopt(z, ZMQ_CURVE_PUBLICKEY, theirs.public_key, 41);
    zmq_setsockopt(z, ZMQ_CURVE_SECRETKEY, theirs.secret_key, 41);
    cr_assert_eq(zmq_connect(z, net_server_endpoint(e.server)), 0);
    zmq_send(z, "hello", 5, 0);
    stop(&e);
    net_incoming in = {0};
    for (int i = 0; i < 500 && net_server_counts(e.server)->n_denied == 0; i++)
        cr_assert_eq(net_server_receive(e.server, 20, &in, NULL), RT_TIMEOUT);
    cr_assert_eq(net_server_counts(e.server)->n_denied, 1);
    cr_assert_eq(net_server_counts(e.server)->n_dropped, 0, "its message came in");
    zmq_close(z);
    zmq_ctx_term(context);
    end(&e);
}

static rt_status ask_until_silent(net_client *c)
{
    uint64_t until_ms = rt_clock_mono_ms() + LONG_MS;
    while (rt_clock_mono_ms() < until_ms)
        if (ask(c, 300) != RT_OK) return RT_TIMEOUT;
    return RT_OK;
}

Test(curve, a_key_that_is_taken_out_of_the_list_is_deaf_at_once_and_heals_with_a_new_one)
{
    char away[80], path[160], listed[1024];
    snprintf(away, sizeof away, "%s/away", folder);
    snprintf(path, sizeof path, "%s/teacher.key", away);
    cr_assert_eq(rt_fs_mkdirs(away, NULL), RT_OK);
    /* the teacher's own folder: an old key that the others are going to forget */
    snprintf(listed, sizeof listed, "cp %s/teacher.key %s/allowed %s/", folder, folder, away);
    cr_assert_eq(system(listed), 0);
    echoer e = {0};
    start(&e);
    net_keyring *teacher = ring_in(away, NET_ROLE_TEACHER), *student = ring_of(NET_ROLE_STUDENT);
    net_client *old = ask_at(&e, teacher), *other = ask_at(&e, student);
    cr_assert_eq(ask(old, LONG_MS), RT_OK);
    size_t n_gone = 0;
    cr_assert_eq(key_folder_rotate(folder, NET_ROLE_TEACHER, NULL), RT_OK);
    cr_assert_eq(ask(old, LONG_MS), RT_OK, "both keys are good until the old one is retired");
    cr_assert_eq(key_folder_retire(folder, NET_ROLE_TEACHER, &n_gone, NULL), RT_OK);
    cr_assert_eq(n_gone, 1);
    cr_assert_eq(ask_until_silent(old), RT_TIMEOUT, "its open connection must not survive");
    cr_assert_eq(ask(other, LONG_MS), RT_OK);
    snprintf(listed, sizeof listed, "cp %s/teacher.key %s.new && mv %s.new %s", folder, path, path,
             path);
    cr_assert_eq(system(listed), 0);
    cr_assert_eq(ask(old, LONG_MS), RT_OK, "the new key heals it within ten seconds");
    stop(&e);
    net_client_close(old);
    net_client_close(other);
    net_keyring_free(teacher);
    net_keyring_free(student);
    end(&e);
}

Test(curve, the_coordinators_own_key_is_replaced_while_all_go_on)
{
    echoer e = {0};
    char before[41], after[41];
    net_keys own;
    start(&e);
    net_keyring *student = ring_of(NET_ROLE_STUDENT);
    net_client *c = ask_at(&e, student);
    cr_assert_eq(ask(c, LONG_MS), RT_OK);
    net_keyring_own(e.ring, &own);
    strcpy(before, own.public_key);
    size_t n_gone = 0;
    cr_assert_eq(key_folder_rotate(folder, NET_ROLE_COORDINATOR, NULL), RT_OK);
    cr_assert_eq(key_folder_retire(folder, NET_ROLE_COORDINATOR, &n_gone, NULL), RT_OK);
    uint64_t until_ms = rt_clock_mono_ms() + LONG_MS;
    do { /* asking makes both sides look at their files */
        cr_assert_eq(ask(c, LONG_MS), RT_OK);
        net_keyring_own(e.ring, &own);
        strcpy(after, own.public_key);
    } while (strcmp(before, after) == 0 && rt_clock_mono_ms() < until_ms);
    cr_assert_str_neq(before, after);
    cr_assert_eq(ask(c, LONG_MS), RT_OK);
    /* and one that comes only now finds the new key at the door */
    net_keyring *late_ring = ring_of(NET_ROLE_SERVER);
    net_client *late = ask_at(&e, late_ring);
    cr_assert_eq(ask(late, LONG_MS), RT_OK);
    stop(&e);
    net_client_close(late);
    net_client_close(c);
    net_keyring_free(late_ring);
    net_keyring_free(student);
    end(&e);
}

/* One pair for all, as `retort keygen` makes it. */
Test(curve, the_shared_key_of_a_cluster_opens_and_another_one_does_not)
{
    char paths[2][96];
    net_keyring *rings[3];
    echoer e = {0};
    for (int i = 0; i < 2; i++) {
        net_keys keys;
        snprintf(paths[i], sizeof paths[i], "%s/cluster-%d", folder, i);
        cr_assert_eq(net_keys_generate(&keys, NULL), RT_OK);
        cr_assert_eq(net_keys_write(paths[i], &keys, NULL), RT_OK);
    }
    for (int i = 0; i < 3; i++)
        cr_assert_eq(net_keyring_open("", paths[i / 2], NET_ROLE_COORDINATOR, &rings[i], NULL),
                     RT_OK);
    start_with(&e, rings[0], NET_BIT(NET_ROLE_STUDENT));
    net_client *good = ask_at(&e, rings[1]), *bad = ask_at(&e, rings[2]);
    cr_assert_eq(ask(bad, 400), RT_TIMEOUT);
    cr_assert_eq(ask(good, LONG_MS), RT_OK);
    cr_assert_eq(atomic_load(&e.last_role), NET_ROLE_CLUSTER);
    stop(&e);
    net_client_close(good);
    net_client_close(bad);
    end(&e);
    net_keyring_free(rings[1]);
    net_keyring_free(rings[2]);
}

static int raw_connect(const char *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Connections that never get through the handshake, and more of them than it has patience for. */
Test(curve, a_flood_of_half_open_connections_is_sent_off_and_others_are_served)
{
    enum { N = 300 };
    static const unsigned char greeting[12] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1};
    int fds[N];
    size_t n_open = 0;
    echoer e = {0};
    start(&e);
    net_keyring *ring = ring_of(NET_ROLE_STUDENT);
    for (size_t i = 0; i < N; i++) {
        fds[i] = raw_connect(net_server_endpoint(e.server));
        if (fds[i] < 0) continue;
        n_open++;
        if (i % 2 == 0) (void)!send(fds[i], greeting, sizeof greeting, MSG_NOSIGNAL);
    }
    cr_assert_gt(n_open, N / 2);
    net_client *c = ask_at(&e, ring);
    cr_expect_eq(ask(c, LONG_MS), RT_OK, "a client must come in beside them");
    struct timeval patience = {.tv_sec = 30};
    for (size_t i = 0; i < N; i++) { /* each is hung up on, without a word of ours */
        char sink[256];
        if (fds[i] < 0) continue;
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ssize_t n;
        while ((n = recv(fds[i], sink, sizeof sink, 0)) > 0) continue;
        cr_expect(n == 0 || errno == ECONNRESET, "connection %zu is still there", i);
        close(fds[i]);
    }
    cr_expect_eq(ask(c, LONG_MS), RT_OK);
    stop(&e);
    cr_expect_geq(net_server_counts(e.server)->n_foreign, n_open / 2);
    net_client_close(c);
    net_keyring_free(ring);
    end(&e);
}

/* A doorkeeper that denies the first connections, as during the rotation of a key: ZeroMQ's own
 * socket would never try again. */
typedef struct moody_door {
    void *context;
    void *socket;
    pthread_t thread;
    int n_denials;
} moody_door;

static void *keep_moody_door(void *arg)
{
    moody_door *d = arg;
    for (;;) {
        char id[64], part[256];
        int n_id = 0, more = 1, n = 0;
        size_t size = sizeof more;
        for (int i = 0; more; i++) {
            n = zmq_recv(d->socket, i == 1 ? id : part, i == 1 ? sizeof id : sizeof part, 0);
            if (n < 0) break;
            if (i == 1) n_id = n;
            zmq_getsockopt(d->socket, ZMQ_RCVMORE, &more, &size);
        }
        if (n < 0) break;
        zmq_send(d->socket, "1.0", 3, ZMQ_SNDMORE);
        zmq_send(d->socket, id, (size_t)n_id, ZMQ_SNDMORE);
        zmq_send(d->socket, d->n_denials > 0 ? "400" : "200", 3, ZMQ_SNDMORE);
        zmq_send(d->socket, "", 0, ZMQ_SNDMORE);
        zmq_send(d->socket, "", 0, ZMQ_SNDMORE);
        zmq_send(d->socket, "", 0, 0);
        if (d->n_denials > 0) d->n_denials--;
    }
    zmq_close(d->socket);
    return NULL;
}

Test(curve, a_client_heals_after_a_denial_within_one_request)
{
    net_keys ours;
    net_keyring *ring = ring_of(NET_ROLE_COORDINATOR), *student = ring_of(NET_ROLE_STUDENT);
    net_keyring_own(ring, &ours);
    moody_door d = {.context = zmq_ctx_new(), .n_denials = 1};
    char endpoint[128];
    size_t n_endpoint = sizeof endpoint;
    int one = 1;
    d.socket = zmq_socket(d.context, ZMQ_REP);
    cr_assert_eq(zmq_bind(d.socket, "inproc://zeromq.zap.01"), 0);
    cr_assert_eq(pthread_create(&d.thread, NULL, keep_moody_door, &d), 0);
    void *router = zmq_socket(d.context, ZMQ_ROUTER);
    zmq_setsockopt(router, ZMQ_CURVE_SERVER, &one, sizeof one);
    zmq_setsockopt(router, ZMQ_ZAP_DOMAIN, "x", 1);
    zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, ours.secret_key, 41);
    cr_assert_eq(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &n_endpoint), 0);
    net_client *c = NULL;
    net_lock lock = {student, NET_BIT(NET_ROLE_COORDINATOR)};
    cr_assert_eq(net_client_open(&worker, endpoint, &lock, &c, NULL), RT_OK);
    cr_assert_eq(ask(c, 2500), RT_TIMEOUT); /* nobody answers, but the message must arrive */
    zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};
    cr_assert_eq(zmq_poll(&item, 1, 0), 1, "the client never came back");
    cr_assert_geq(net_client_counts(c)->n_foreign, 1);
    net_client_close(c);
    zmq_close(router);
    zmq_ctx_shutdown(d.context);
    pthread_join(d.thread, NULL);
    zmq_ctx_term(d.context);
    net_keyring_free(ring);
    net_keyring_free(student);
}

/* ---- the files ---- */

typedef struct list_case {
    const char *text;
    rt_status status;
    size_t n;
    const char *says;
} list_case;

#define KEY_A "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define KEY_B "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

Test(curve, an_allow_list_is_read_strictly_and_never_quoted)
{
    static const list_case cases[] = {
        {"# c\n\n  teacher\t" KEY_A " \r\nstudent " KEY_B, RT_OK, 2, ""},
        {"teacher " KEY_A "\nteacher " KEY_B "\nteacher " KEY_A "\n", RT_OK, 2, ""},
        {"", RT_CORRUPT, 0, "no key"},
        {"# nobody\n", RT_CORRUPT, 0, "no key"},
        {"teacher " KEY_A "\nserver " KEY_A "\n", RT_CORRUPT, 0, "line 2"},
        {"cluster " KEY_A "\n", RT_CORRUPT, 0, "line 1"},
        {"Teacher " KEY_A "\n", RT_CORRUPT, 0, "line 1"},
        {"teacher\n", RT_CORRUPT, 0, "line 1"},
        {"teacher " KEY_A "x\n", RT_CORRUPT, 0, "line 1"},
        {"teacher " KEY_A " x\n", RT_CORRUPT, 0, "line 1"},
        {"secret " KEY_A "\n", RT_CORRUPT, 0, "line 1"},
        {"teacher ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n", RT_CORRUPT, 0, "line 1"},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        allow_list list = {0};
        rt_error err = {0};
        const list_case *k = &cases[i];
        cr_expect_eq(allow_list_parse(k->text, strlen(k->text), &list, &err), k->status, "%zu: %s",
                     i, err.text);
        cr_expect_eq(list.n, k->n, "%zu", i);
        cr_expect_not_null(strstr(err.text, k->says), "%zu: %s", i, err.text);
        cr_expect_null(strstr(err.text, KEY_A));
        allow_list_free(&list);
    }
}

Test(curve, a_list_that_became_unreadable_changes_nothing)
{
    char path[80];
    net_keys own;
    unsigned char key[32];
    net_keyring *ring = ring_of(NET_ROLE_TEACHER);
    net_keyring_own(ring, &own);
    cr_assert_not_null(zmq_z85_decode(key, own.public_key));
    snprintf(path, sizeof path, "%s/allowed", folder);
    uint64_t generation = net_keyring_generation(ring);
    cr_assert_eq(rt_fs_write_atomic(path, "teacher", 7, NULL), RT_OK);
    rt_sleep_ms(600); /* longer than it waits between two looks */
    cr_assert_eq(net_keyring_role_of(ring, key), NET_ROLE_TEACHER);
    cr_assert_eq(net_keyring_generation(ring), generation);
    net_keyring_free(ring);
}

Test(curve, keys_are_private_and_are_never_overwritten)
{
    rt_error err = {0};
    net_keyring *ring = NULL;
    char command[512];
    cr_expect_eq(key_folder_make(folder, &err), RT_EXISTS);
    snprintf(command, sizeof command,
             "test $(stat -c %%a %s/teacher.key) = 600 && test $(stat -c %%a %s) = 700", folder,
             folder);
    cr_expect_eq(system(command), 0);
    snprintf(command, sizeof command, "chmod 666 %s/allowed", folder);
    cr_assert_eq(system(command), 0);
    cr_expect_eq(net_keyring_open(folder, "", NET_ROLE_TEACHER, &ring, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "chmod"), "%s", err.text);
    cr_expect_eq(net_keyring_open(folder, "x", NET_ROLE_TEACHER, &ring, &err), RT_INVALID);
    cr_expect_eq(net_keyring_open("", "", NET_ROLE_TEACHER, &ring, &err), RT_OK);
    cr_expect_null(ring);
}
