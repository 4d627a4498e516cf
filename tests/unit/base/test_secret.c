#include "common/base/secret.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The line of /proc/self/smaps that tells the flags of the mapping at `p`. */
static void flags_of(const void *p, char *out, size_t n_out)
{
    char line[512];
    bool inside = false;
    unsigned long from, to;
    FILE *f = fopen("/proc/self/smaps", "re");
    cr_assert_not_null(f);
    out[0] = '\0';
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (unsigned long)p >= from && (unsigned long)p < to;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) snprintf(out, n_out, "%s", line);
    }
    fclose(f);
}

Test(secret, memory_is_zero_and_kept_out_of_core_files)
{
    char flags[512];
    unsigned char *p = rt_secret_new(41);
    cr_assert_not_null(p);
    for (int i = 0; i < 41; i++) cr_assert_eq(p[i], 0);
    memset(p, 7, 41);
    flags_of(p, flags, sizeof flags);
    cr_expect_not_null(strstr(flags, " dd"), "found %s, expected dd (do not dump)", flags);
    rt_secret_free(p, 41);
    rt_secret_free(NULL, 41);
    cr_expect_null(rt_secret_new(0));
}

/* What a child of this test is, after it shut itself off: bits of what is not as it should be. */
static int look_at_child(bool peers_read_memory)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit core;
        char filter[32] = "";
        rt_secret_no_core(peers_read_memory);
        int fd = open("/proc/self/coredump_filter", O_RDONLY);
        ssize_t n = fd < 0 ? 0 : read(fd, filter, sizeof filter - 1);
        int bad = getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0;
        bad |= (n > 0 && strtoul(filter, NULL, 16) != 0) ? 2 : 0;
        bad |= prctl(PR_GET_DUMPABLE) != peers_read_memory ? 4 : 0;
        _exit(bad);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

Test(secret, a_process_that_holds_them_leaves_no_core)
{
    cr_expect_eq(look_at_child(false), 0);
    cr_expect_eq(look_at_child(true), 0);
}
