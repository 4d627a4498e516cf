#include "cli/stay.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "worker/runtime/alive_sign.h"

#define SIGN_MS 1000
#define LOOK_MS 100 /* at most, between a request to stop and the end */

void stay_until_stopped(const config *c)
{
    uint64_t next_ms = 0;
    bool failed = false;
    if (rt_stop_requested() == RT_STOP_NONE)
        rt_log_info("role.stays", "why=\"the run is over\" until=SIGTERM");
    while (rt_stop_requested() == RT_STOP_NONE) {
        rt_error err = {0};
        uint64_t now_ms = rt_clock_mono_ms();
        if (c->net.alive_file[0] != '\0' && now_ms >= next_ms) {
            const alive_sign sign = {now_ms, now_ms, now_ms};
            bool wrote = alive_sign_write(c->net.alive_file, &sign, &err) == RT_OK;
            if (!wrote && !failed) rt_log_warn("role.alive_file", "%s", err.text);
            failed = !wrote;
            next_ms = now_ms + SIGN_MS;
        }
        rt_sleep_ms(LOOK_MS);
    }
}
