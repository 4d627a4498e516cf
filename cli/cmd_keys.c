#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "common/net/key_folder.h"

static const option_def keys_options[] = {
    {"--output", "FOLDER", "folder of the keys", "keys"},
    {"--rotate", "ROLE", "make a new key for a role; the old one is still allowed", NULL,
     "coordinator server teacher student"},
    {"--retire", "ROLE", "allow no key of a role but the present one", NULL,
     "coordinator server teacher student"},
    {0},
};

static rt_status parse_role(const char *option, const char *word, net_role *out, rt_error *err)
{
    *out = net_role_parse(word, strlen(word));
    if (*out != NET_ROLE_NONE) return RT_OK;
    return rt_fail(err, RT_INVALID,
                   "%s: found '%.40s', expected coordinator, server, teacher or student", option,
                   word);
}

static rt_status act(const options *o, const char *folder, char *text, size_t n_text, rt_error *err)
{
    net_role role;
    size_t n_gone = 0;
    const char *rotate = options_value(o, "--rotate"), *retire = options_value(o, "--retire");
    rt_status st = RT_OK;
    if (rotate != NULL && retire != NULL)
        return rt_fail(
            err, RT_INVALID,
            "found --rotate and --retire, expected one: between the two, those that hold "
            "the old key must be given the new one");
    if (rotate != NULL) {
        if ((st = parse_role("--rotate", rotate, &role, err)) != RT_OK) return st;
        st = key_folder_rotate(folder, role, err);
        snprintf(text, n_text,
                 "%s/%s.key is new, and %s/" NET_ALLOWED_FILE
                 " allows the old one too. Give both to those who need them,\nthe list first; then "
                 "run retort keys --output %s --retire %s.\n",
                 folder, net_role_name(role), folder, folder, net_role_name(role));
    } else if (retire != NULL) {
        if ((st = parse_role("--retire", retire, &role, err)) != RT_OK) return st;
        st = key_folder_retire(folder, role, &n_gone, err);
        snprintf(text, n_text,
                 "%zu older %s of a %s no longer allowed by %s/" NET_ALLOWED_FILE "\n", n_gone,
                 n_gone == 1 ? "key" : "keys", net_role_name(role), folder);
    } else {
        st = key_folder_make(folder, err);
        snprintf(text, n_text,
                 "wrote coordinator.key, server.key, teacher.key, student.key and " NET_ALLOWED_FILE
                 " into %s\nSet net.keys to a folder that holds the key of the process's own role "
                 "and " NET_ALLOWED_FILE ".\n",
                 folder);
    }
    return st;
}

static int run_keys(const options *o)
{
    rt_error err = {0};
    char text[2048];
    const char *folder = options_value(o, "--output");
    if (act(o, folder, text, sizeof text, &err) != RT_OK) return command_fail(o, &err);
    if (options_json(o)) { /* no key is ever printed */
        json_t *root = json_pack("{s:s}", "folder", folder);
        if (root != NULL) json_dumpf(root, stdout, JSON_COMPACT);
        json_decref(root);
        putchar('\n');
    } else {
        fputs(text, stdout);
    }
    return EXIT_CODE_OK;
}

const command cmd_keys = {
    .name = "keys",
    .summary = "make, replace and retire the keys of a cluster",
    .synopsis = "[--output FOLDER] [--rotate ROLE | --retire ROLE]",
    .description =
        "Writes a CURVE key pair for each role (coordinator, server, teacher, student) into\n"
        "FOLDER, readable by its owner only, and `allowed`, the list of public keys by role.\n"
        "Processes that talk beyond one machine need net.keys: a folder with `allowed` and\n"
        "the key of their own role; no process needs more. A key is good for its role only:\n"
        "with the key of a teacher nobody can be a server. The files are read again when\n"
        "they change, so a key is replaced while the run goes on: --rotate makes the new\n"
        "key, and when all have it, --retire takes the old one out; connections that still\n"
        "use it are deaf at once.\n",
    .options = keys_options,
    .examples = "retort keys --output keys\n"
                "retort run --set net.keys=keys\n"
                "retort keys --output keys --rotate teacher\n"
                "retort keys --output keys --retire teacher\n",
    .run = run_keys,
};
