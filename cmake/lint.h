/* Only for clang-tidy, which ./dev lint runs with this file in front of every source. It sees one
 * file at a time and so cannot know that a failure never returns RT_OK: tell it what status.h says,
 * that rt_fail and rt_wrap return the status they are given. */
#include "common/base/status.h"

#define rt_fail(err, status, ...) ((void)(rt_fail)(err, status, __VA_ARGS__), (status))
#define rt_wrap(err, status, ...) ((void)(rt_wrap)(err, status, __VA_ARGS__), (status))
