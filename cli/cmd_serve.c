#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "common/base/fs.h"
#include "common/base/stop.h"
#include "worker/serve/server.h"

#define SLOTS_MAX      1024
#define WAITING_MAX    1000000
#define TOKENS_MAX     1000000
#define BODY_MAX       ((uint64_t)1 << 30)
#define TIMEOUT_MS_MAX ((uint64_t)24 * 3600 * 1000)

static rt_status read_settings(const options *o, server_settings *out, rt_error *err)
{
    rt_status st = RT_OK;
    *out = (server_settings){.model = options_value(o, "--model"),
                             .name = options_value(o, "--name"),
                             .bind = options_value(o, "--bind"),
                             .key_file = options_value(o, "--api-key-file")};
    const struct {
        const char *name;
        uint64_t min, max, *value;
    } numbers[] = {
        {"--port", 0, 65535, &out->port},
        {"--slots", 1, SLOTS_MAX, &out->n_slots},
        {"--queue-max", 1, WAITING_MAX, &out->n_waiting_max},
        {"--max-tokens", 1, TOKENS_MAX, &out->n_tokens_max},
        {"--max-body-bytes", 1024, BODY_MAX, &out->n_body_bytes_max},
        {"--threads", 1, 1024, &out->n_threads},
        {"--timeout-ms", 100, TIMEOUT_MS_MAX, &out->timeout_ms},
    };
    if (out->model == NULL) return rt_fail(err, RT_INVALID, "serve: needs --model FOLDER");
    if (out->name != NULL && out->name[0] == '\0')
        return rt_fail(err, RT_INVALID, "--name: is empty");
    st = options_halves(o, &out->halves, err);
    for (size_t i = 0; st == RT_OK && i < RT_COUNT(numbers); i++)
        st = options_u64(o, numbers[i].name, numbers[i].min, numbers[i].max, numbers[i].value, err);
    return st;
}

/* One line on stdout, at once: a script waits for it. */
static rt_status announce(const options *o, const server *s, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf line = {0};
    const char *file = options_value(o, "--address-file");
    if (options_json(o)) {
        json_t *root = json_pack("{s:s, s:s, s:I}", "address", server_address(s), "model",
                                 server_model(s), "pid", (json_int_t)getpid());
        if (root == NULL) return rt_fail(err, RT_NOMEM, "address as JSON");
        json_dumpf(root, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(root);
    } else {
        printf("retort serve: %s\n", server_address(s));
    }
    if (fflush(stdout) != 0) return rt_fail(err, RT_IO, "standard output cannot be written");
    if (file == NULL) return RT_OK;
    st = rt_buf_printf(&line, err, "%s\n", server_address(s));
    if (st == RT_OK) st = rt_fs_write_atomic(file, line.data, line.n, err);
    rt_buf_free(&line);
    return st;
}

static int run_serve(const options *o)
{
    rt_error err = {0};
    server_settings how;
    server *s = NULL;
    rt_stop_install();
    rt_status st = read_settings(o, &how, &err);
    if (st == RT_OK) st = server_open(&how, &s, &err);
    if (st == RT_OK) st = announce(o, s, &err);
    if (st == RT_OK) server_run(s);
    server_close(s);
    return st == RT_OK ? EXIT_CODE_OK : command_fail(o, &err);
}

static const option_def serve_options[] = {
    {"--model", "FOLDER", "model to serve: a student, or any in the same layout", NULL},
    {"--port", "N", "port to listen at; 0 takes any free one", "8000"},
    {"--bind", "ADDRESS", "numeric address to listen at; beyond loopback needs keys", "127.0.0.1"},
    {"--api-key-file", "FILE", "keys that clients may use, one a line (default: none needed)",
     NULL},
    {"--name", "NAME", "what requests call the model (default: the folder's name)", NULL},
    {"--slots", "N", "sequences decoded together", "16"},
    {"--queue-max", "N", "requests that wait for a slot; more are refused with 429", "256"},
    {"--max-tokens", "N", "new tokens a request may ask for, and gets without asking", "1024"},
    {"--max-body-bytes", "N", "largest request; more is refused with 413", "1048576"},
    {"--timeout-ms", "N", "longest time for an answer; then 503", "120000"},
    {"--dtype", "DTYPE", "kept while decoding: f32, or bf16, the faster", "f32", "f32 bf16"},
    {"--threads", "N", "threads that decode, each with its share of the slots", "1"},
    {"--address-file", "FILE", "also write the address to a file, once it answers", NULL},
    {0},
};

const command cmd_serve = {
    .name = "serve",
    .summary = "answer over HTTP, as the OpenAI interface has it",
    .synopsis = "--model FOLDER [--port N] [options]\n",
    .description =
        "Serves /v1/chat/completions, /v1/completions, /v1/models, /health and\n"
        "/metrics. Requests are decoded together, each token by token, and come and go\n"
        "as they like; the same request gets the same greedy answer whatever runs beside\n"
        "it. The last user message of a chat is the student's input, and retort.json in\n"
        "its folder says how it is asked; a request may choose the part of the answer with\n"
        "\"retort\":{\"answer\":\"label\"|\"rationale\"|\"both\"}. docs/serve.md has all fields.\n"
        "\n"
        "Prints its address as one line once it answers. SIGTERM or SIGINT drains: what\n"
        "was taken is finished, new requests get 503, and the command ends with 0.\n",
    .options = serve_options,
    .examples = "retort serve --model runs/arithmetic/student\n"
                "retort serve --model student --bind 0.0.0.0 --api-key-file keys.txt\n",
    .run = run_serve,
};
