#include <string.h>

#include "cli/command.h"
#include "cli/secrets_guard.h"
#include "cli/stay.h"
#include "common/base/open_files.h"
#include "common/base/stop.h"
#include "worker/model_shape/param_slice.h"
#include "worker/param_server/run.h"

/* "3", or a name that ends in "-3": the pods of a StatefulSet are numbered that way. */
static rt_status read_shard(const options *o, uint64_t *out, rt_error *err)
{
    const char *text = options_value(o, "--shard"), *dash = strrchr(text, '-');
    uint64_t n = 0;
    if (!rt_parse_u64(dash != NULL && dash != text ? dash + 1 : text, &n) || n >= PARAM_SHARDS_MAX)
        return rt_fail(
            err, RT_INVALID,
            "--shard: found '%.80s', expected a whole number from 0 to %d, or a name that "
            "ends in one, such as server-1",
            text, PARAM_SHARDS_MAX - 1);
    *out = n;
    return RT_OK;
}

static int run_server(const options *o)
{
    rt_error err = {0};
    config *c = NULL;
    uint64_t shard = 0;
    int code = EXIT_CODE_OK;
    if (read_shard(o, &shard, &err) != RT_OK) return command_fail(o, &err);
    rt_stop_install();
    if (options_load_config(o, &c, &err) != RT_OK) {
        code = command_fail(o, &err);
        goto out;
    }
    secrets_guard(c, c->net.shared_memory);
    (void)rt_open_files_raise();
    rt_status st = param_server_run(c, (uint32_t)shard, &err);
    if (st == RT_OK && options_has(o, "--stay")) stay_until_stopped(c);
    if (st != RT_OK && st != RT_CANCELLED) code = command_fail(o, &err);
out:
    config_free(c);
    return code;
}

static const option_def server_options[] = {
    {"--shard", "I", "which shard this is, from 0; or a name that ends in -I", "0"},
    STAY_OPTION,
    {0},
};

const command cmd_server = {
    .name = "server",
    .summary = "hold a slice of the student's parameters",
    .synopsis = "--config FILE --shard I [--stay] [--set KEY=VALUE]...",
    .description = "Parameter-server shard I of launch.servers. Gathers the students' gradients,\n"
                   "runs the optimizer when the coordinator says so, and writes its slice of\n"
                   "each checkpoint. The result does not depend on the number of shards. When a\n"
                   "shard dies, all go back to the last checkpoint together.\n"
                   "Binds net.server_bind and tells students net.server_advertise, both with\n"
                   "{shard} replaced. A pod of a StatefulSet gives its name as the shard.\n",
    .options = server_options,
    .examples = "retort server --config gsm8k.yaml --shard 1\n",
    .run = run_server,
};
