#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/net/endpoint.h"

static char folder[64];
static char path[128];

static void make_folder(void)
{
    strcpy(folder, "/tmp/retort-keys-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/cluster.key", folder);
}

static void drop_folder(void)
{
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}

TestSuite(keys, .init = make_folder, .fini = drop_folder);

Test(keys, a_written_key_file_is_private_and_reads_back)
{
    net_keys made, read;
    struct stat info;
    cr_assert_eq(net_keys_generate(&made, NULL), RT_OK);
    cr_assert_eq(net_keys_write(path, &made, NULL), RT_OK);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600);
    cr_assert_eq(net_keys_read(path, &read, NULL), RT_OK);
    cr_assert_str_eq(made.public_key, read.public_key);
    cr_assert_str_eq(made.secret_key, read.secret_key);
}

Test(keys, an_existing_key_file_is_never_overwritten)
{
    net_keys first, second, read;
    cr_assert_eq(net_keys_generate(&first, NULL), RT_OK);
    cr_assert_eq(net_keys_generate(&second, NULL), RT_OK);
    cr_assert_eq(net_keys_write(path, &first, NULL), RT_OK);
    cr_assert_eq(net_keys_write(path, &second, NULL), RT_EXISTS);
    cr_assert_eq(net_keys_read(path, &read, NULL), RT_OK);
    cr_assert_str_eq(read.secret_key, first.secret_key);
}

Test(keys, a_file_that_others_may_read_is_refused_with_the_fix)
{
    net_keys keys;
    rt_error err = {0};
    cr_assert_eq(net_keys_generate(&keys, NULL), RT_OK);
    cr_assert_eq(net_keys_write(path, &keys, NULL), RT_OK);
    cr_assert_eq(chmod(path, 0644), 0);
    cr_assert_eq(net_keys_read(path, &keys, &err), RT_INVALID);
    cr_assert_not_null(strstr(err.text, "chmod 600"), "%s", err.text);
    cr_assert_eq(chmod(path, 0440), 0); /* as Kubernetes mounts secrets */
    cr_assert_eq(net_keys_read(path, &keys, &err), RT_OK);
}

static void write_text(const char *text)
{
    cr_assert_eq(rt_fs_write_atomic(path, text, strlen(text), NULL), RT_OK);
    cr_assert_eq(chmod(path, 0600), 0);
}

Test(keys, files_that_hold_no_key_pair_are_refused_without_quoting_them)
{
    net_keys a, b, got;
    char text[256];
    rt_error err = {0};
    cr_assert_eq(net_keys_read(path, &got, &err), RT_NOTFOUND);
    write_text("");
    cr_assert_eq(net_keys_read(path, &got, &err), RT_CORRUPT);
    write_text("public short\nsecret short\n");
    cr_assert_eq(net_keys_read(path, &got, &err), RT_CORRUPT);
    cr_assert_eq(net_keys_generate(&a, NULL), RT_OK);
    cr_assert_eq(net_keys_generate(&b, NULL), RT_OK);
    snprintf(text, sizeof text, "public %s\nsecret %s\n", a.public_key, b.secret_key);
    write_text(text);
    cr_assert_eq(net_keys_read(path, &got, &err), RT_CORRUPT);
    cr_assert_null(strstr(err.text, b.secret_key));
}

typedef struct local_case {
    char endpoint[64];
    bool local;
} local_case;

ParameterizedTestParameters(address, only_loopback_and_ipc_are_local)
{
    static local_case cases[] = {
        {"ipc:///tmp/x", true},
        {"inproc://x", true},
        {"tcp://127.0.0.1:7100", true},
        {"tcp://127.9.9.9:*", true},
        {"tcp://[::1]:7100", true},
        {"tcp://localhost:7100", true},
        {"tcp://[::ffff:127.0.0.1]:1", true},
        {"tcp://0.0.0.0:7100", false},
        {"tcp://*:7100", false},
        {"tcp://128.0.0.1:7100", false},
        {"tcp://[::]:7100", false},
        {"tcp://localhost.evil:1", false},
        {"tcp://127.0.0.1.evil.org:1", false},
        {"tcp://10.0.0.1;127.0.0.1:1", false},
        {"tcp://127.0.0.1", false},
        {"udp://127.0.0.1:1", false},
        {"", false},
    };
    return cr_make_param_array(local_case, cases, RT_COUNT(cases));
}

ParameterizedTest(local_case *c, address, only_loopback_and_ipc_are_local)
{
    cr_assert_eq(net_is_local(c->endpoint), c->local, "%s", c->endpoint);
}
