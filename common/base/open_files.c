#include "common/base/open_files.h"

#include <sys/resource.h>

#include "common/base/bytes.h"

uint64_t rt_open_files_raise(void)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) != 0) return 0;
    rlim_t wanted = RT_MIN(now.rlim_max, (rlim_t)RT_OPEN_FILES_MAX);
    if (wanted <= now.rlim_cur) return now.rlim_cur;
    struct rlimit raised = {.rlim_cur = wanted, .rlim_max = now.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? wanted : now.rlim_cur;
}
