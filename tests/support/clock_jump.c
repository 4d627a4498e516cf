/* A wall clock that jumps, for LD_PRELOAD. The seconds to add stand as text in the file that
 * CLOCK_JUMP_FILE names and are read at every call, so a test may change them at any time:
 *
 *     CLOCK_JUMP_FILE=/tmp/jump LD_PRELOAD=build/faults/clock-jump.so redis-server ...
 *     echo 7200 > /tmp/jump
 *
 * Monotonic clocks are left alone: no clock of a real machine lets them jump.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long seconds_to_add(void)
{
    char text[32] = {0};
    const char *path = getenv("CLOCK_JUMP_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

typedef int (*clock_gettime_call)(clockid_t, struct timespec *);

static int real_clock(clockid_t id, struct timespec *out)
{
    static clock_gettime_call real;
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    return real(id, out);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int code = real_clock(id, out);
    if (code == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        out->tv_sec += seconds_to_add();
    return code;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}
