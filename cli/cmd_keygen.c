#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "common/net/endpoint.h"

static const option_def keygen_options[] = {
    {"--output", "FILE", "where to write the key; an existing file is left alone",
     "retort-cluster.key"},
    {0},
};

static int run_keygen(const options *o)
{
    rt_error err = {0};
    net_keys keys;
    const char *path = options_value(o, "--output");
    rt_status st = net_keys_generate(&keys, &err);
    if (st == RT_OK) st = net_keys_write(path, &keys, &err);
    explicit_bzero(keys.secret_key, sizeof keys.secret_key);
    if (st != RT_OK) return command_fail(o, &err);
    if (options_json(o)) { /* the secret half is never printed */
        json_t *root = json_pack("{s:s,s:s}", "file", path, "public", keys.public_key);
        if (root != NULL) json_dumpf(root, stdout, JSON_COMPACT);
        json_decref(root);
        putchar('\n');
    } else {
        printf("wrote %s\nSet net.curve_key_file to it, and give the same file to every process of "
               "the cluster.\n",
               path);
    }
    return EXIT_CODE_OK;
}

const command cmd_keygen = {
    .name = "keygen",
    .summary = "make one key for all roles of a cluster",
    .synopsis = "[--output FILE]",
    .description =
        "The simple way: writes a new CURVE key pair into FILE, readable by its owner only;\n"
        "all processes hold the same file (net.curve_key_file), and whoever has it may be\n"
        "anything. `retort keys` makes a key for each role instead, which can be replaced\n"
        "while the run goes on. A connection with another key, or with none, is refused\n"
        "and counted.\n",
    .options = keygen_options,
    .examples = "retort keygen --output cluster.key\n"
                "retort run --set net.curve_key_file=cluster.key\n",
    .run = run_keygen,
};
