/* Writes the files that a new task begins with; never over others. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/init_text.h"
#include "common/base/fs.h"

#define NAME_SIZE 64

typedef struct init_files {
    char config[PATH_MAX], exemplars[PATH_MAX];
    rt_buf yaml, lines;
} init_files;

/* A run's name from a folder's: small letters, digits, '.', '_' and '-'. */
static void name_after(const char *folder, char out[NAME_SIZE])
{
    char whole[PATH_MAX];
    size_t n = 0;
    if (realpath(folder, whole) == NULL) snprintf(whole, sizeof whole, "%s", folder);
    const char *slash = strrchr(whole, '/');
    for (const char *c = slash == NULL ? whole : slash + 1; *c != '\0' && n < NAME_SIZE - 1; c++) {
        bool upper = *c >= 'A' && *c <= 'Z';
        char small = upper ? (char)(*c - 'A' + 'a') : *c;
        bool word = (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9');
        if (word || (n > 0 && strchr("._-", small) != NULL)) out[n++] = small;
    }
    out[n] = '\0';
    if (n == 0) snprintf(out, NAME_SIZE, "my-task");
}

/* What is written must load: the settings know best what they accept. */
static rt_status check_config(const rt_buf *yaml, const init_choice *choice, rt_error *err)
{
    config *c = NULL;
    rt_error why = {0};
    rt_status st = config_parse(INIT_CONFIG_FILE, yaml->data, yaml->n, NULL, &c, &why);
    config_free(c);
    if (st == RT_OK) return RT_OK;
    return rt_fail(err, st, "settings for --teacher %s would not be valid: %s", choice->teacher,
                   why.text);
}

static rt_status compose(const options *o, const char *folder, init_choice *choice,
                         char name[NAME_SIZE], init_files *files, rt_error *err)
{
    rt_status st;
    const char *own_name = options_value(o, "--name");
    *choice = (init_choice){.corpus = options_value(o, "--corpus")};
    if ((st = init_find_task(options_value(o, "--task"), &choice->task, err)) != RT_OK) return st;
    if ((st = init_find_teacher(options_value(o, "--teacher"), &choice->teacher, err)) != RT_OK)
        return st;
    name_after(folder, name);
    choice->name = own_name != NULL ? own_name : name;
    choice->model = options_value(o, "--model") != NULL ? options_value(o, "--model") : "";
    st = rt_fs_join(files->config, sizeof files->config, folder, INIT_CONFIG_FILE, err);
    if (st == RT_OK)
        st =
            rt_fs_join(files->exemplars, sizeof files->exemplars, folder, INIT_EXEMPLARS_FILE, err);
    if (st == RT_OK) st = init_config(choice, &files->yaml, err);
    if (st == RT_OK && init_has_exemplars(choice)) st = init_exemplars(choice, &files->lines, err);
    return st == RT_OK ? check_config(&files->yaml, choice, err) : st;
}

static rt_status write_new(const char *path, const rt_buf *text, rt_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST)
        return rt_fail(err, RT_EXISTS,
                       "%s is there already and was left alone; choose another "
                       "folder, or move it away",
                       path);
    if (fd < 0) return rt_fail(err, RT_IO, "create %s: %s", path, strerror(errno));
    rt_status st = rt_fs_write_all(fd, text->data, text->n, path, err);
    if (close(fd) != 0 && st == RT_OK)
        st = rt_fail(err, RT_IO, "close %s: %s", path, strerror(errno));
    if (st != RT_OK) unlink(path);
    return st;
}

/* Both or none. */
static rt_status write_all(const char *folder, const init_files *files, rt_error *err)
{
    rt_status st = rt_fs_mkdirs(folder, err);
    if (st == RT_OK) st = write_new(files->config, &files->yaml, err);
    if (st != RT_OK || files->lines.n == 0) return st;
    st = write_new(files->exemplars, &files->lines, err);
    if (st != RT_OK) unlink(files->config);
    return st;
}

static void print_next(const init_choice *choice, const char *folder, const init_files *files)
{
    bool here = strcmp(folder, ".") == 0;
    bool recorded = strcmp(choice->teacher, "recorded") == 0;
    printf("wrote %s%s%s\n\n", files->config, files->lines.n > 0 ? " and " : "",
           files->lines.n > 0 ? files->exemplars : "");
    printf("Its comments say what to change. The rows to label belong into %s%s%s. Then:\n\n",
           choice->corpus, recorded ? ", what the teacher wrote into " : "",
           recorded ? INIT_RECORDED_FILE : "");
    if (!here) printf("  cd %s\n", folder);
    printf("  retort doctor           is everything here that a run needs?\n"
           "  retort run --dry-run    see the prompts, and what they will cost\n"
           "  retort run              label, train, and score\n");
}

static void print_json(const init_choice *choice, const init_files *files)
{
    json_t *list = json_pack("[s]", files->config);
    if (files->lines.n > 0) json_array_append_new(list, json_string(files->exemplars));
    json_t *root = json_pack("{s:s, s:s, s:o}", "name", choice->name, "teacher", choice->teacher,
                             "files", list);
    json_dumpf(root, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(root);
}

static int run(const options *o)
{
    rt_error err = {0};
    init_choice choice;
    init_files *files = rt_calloc(1, sizeof *files);
    char name[NAME_SIZE];
    const char *folder = options_n_args(o) > 0 ? options_arg(o, 0) : ".";
    rt_status st = files == NULL ? rt_fail(&err, RT_NOMEM, "init")
                                 : compose(o, folder, &choice, name, files, &err);
    if (st == RT_OK) st = write_all(folder, files, &err);
    if (st == RT_OK && options_json(o))
        print_json(&choice, files);
    else if (st == RT_OK)
        print_next(&choice, folder, files);
    if (files != NULL) {
        rt_buf_free(&files->yaml);
        rt_buf_free(&files->lines);
    }
    free(files);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

static const option_def own_options[] = {
    {"--task", "KIND", "kind of label: class, choice, number or text", "class",
     "class choice number text"},
    {"--teacher", "BACKEND", "recorded, native or openai", "native", "recorded native openai"},
    {"--corpus", "FILE", "rows to label: a path or a glob", "corpus.jsonl"},
    {"--model", "MODEL", "the teacher's model: a folder for native, a name for openai", NULL},
    {"--name", "NAME", "name of the run (default: after the folder)", NULL},
    {0},
};

const command cmd_init = {
    .name = "init",
    .summary = "write a commented config for a new task",
    .synopsis = "[FOLDER] [--task KIND] [--teacher BACKEND] [--corpus FILE] [--model MODEL]",
    .description =
        "Writes FOLDER/retort.yaml (default: the current folder) for one kind of label and of\n"
        "teacher, with comments on what to change; and for teachers that are asked, worked\n"
        "examples in FOLDER/exemplars.jsonl, which show them how to reason and to answer. What\n"
        "is there already is left alone: then nothing is written.\n"
        "\n"
        "class    one of a list of labels, such as positive, neutral, negative\n"
        "choice   one of the choices that each question lists\n"
        "number   the result of a problem\n"
        "text     a short answer in free words\n"
        "\n"
        "recorded texts that a model wrote before, in a file\n"
        "native   a model folder, run by Retort on this machine\n"
        "openai   a server that speaks the OpenAI protocol; its key comes from OPENAI_API_KEY\n",
    .options = own_options,
    .examples = "retort init reviews --task class --teacher native --model models/teacher\n"
                "retort init math --task number --teacher recorded\n",
    .n_args_max = 1,
    .run = run,
};
