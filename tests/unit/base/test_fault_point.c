/* Fault points, in builds that have them. Rules come from the environment and are read once, so each
 * test is a process of its own, as Criterion's are. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fault_point.h"
#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

#ifdef RT_FAULTS

static void choose(const char *folder, const char *rules)
{
    setenv("RETORT_FAULTS", rules, 1);
    setenv("RETORT_FAULTS_DIR", folder, 1);
}

static bool is_noted(const char *folder, const char *name)
{
    return access(temp_folder_path(folder, name), F_OK) == 0;
}

/* The signal that ended a process which passes the point n times; 0: it lived. */
static int pass_in_child(const char *point, int n)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < n; i++) fault_point(point);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

Test(fault_point, kills_at_the_nth_passing_and_as_often_as_told)
{
    char *folder = temp_folder_new();
    choose(folder, "here:kill:3:2");
    cr_expect_eq(pass_in_child("here", 2), 0);
    cr_expect_eq(pass_in_child("elsewhere", 9), 0);
    cr_expect_eq(pass_in_child("here", 3), SIGKILL);
    cr_expect_eq(pass_in_child("here", 3), SIGKILL);
    cr_expect_eq(pass_in_child("here", 9), 0, "a third strike was not asked for");
    cr_expect(is_noted(folder, "here.1") && is_noted(folder, "here.2"));
    temp_folder_free(folder);
}

Test(fault_point, strikes_at_the_text_it_is_about)
{
    char *folder = temp_folder_new();
    int status = 0;
    choose(folder, "hears(one, two):delay=1,reads(poison):kill:1:9");
    pid_t pid = fork();
    if (pid == 0) {
        fault_point_about("hears", "one");
        if (!is_noted(folder, "hears(one, two).1")) fault_point_about("hears", "zero, one, two");
        fault_point_about("reads", "bread");
        fault_point_about("writes", "poison");
        if (!is_noted(folder, "reads(poison).1")) fault_point_about("reads", "some poison too");
        _exit(0);
    }
    waitpid(pid, &status, 0);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect(is_noted(folder, "reads(poison).1"));
    cr_expect(is_noted(folder, "hears(one, two).1"), "a comma inside the brackets is no end");
    temp_folder_free(folder);
}

Test(fault_point, refuses_a_write_and_leaves_a_part_of_it)
{
    struct stat info;
    rt_error why = {0};
    char *folder = temp_folder_new();
    const char *path = temp_folder_path(folder, "some.txt");
    choose(folder, "write(some.txt):error=ENOSPC");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_expect_eq(rt_fs_write_all(fd, "0123456789", 10, path, &why), RT_IO);
    cr_expect(strstr(why.text, strerror(ENOSPC)) != NULL, "%s", why.text);
    fstat(fd, &info);
    cr_expect_eq(info.st_size, 5);
    cr_expect_eq(rt_fs_write_all(fd, "0123456789", 10, path, &why), RT_OK, "once is enough");
    close(fd);
    temp_folder_free(folder);
}

Test(fault_point, is_full_while_the_file_is_there)
{
    char *folder = temp_folder_new();
    const char *path = temp_folder_path(folder, "some.txt");
    const char *full = temp_folder_path(folder, "full");
    choose(folder, "write(some.txt):full");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_expect_eq(rt_fs_write_all(fd, "x", 1, path, NULL), RT_OK);
    close(open(full, O_WRONLY | O_CREAT, 0600));
    cr_expect_eq(rt_fs_write_all(fd, "x", 1, path, NULL), RT_IO);
    cr_expect_eq(rt_fs_write_all(fd, "x", 1, path, NULL), RT_IO);
    unlink(full);
    cr_expect_eq(rt_fs_write_all(fd, "x", 1, path, NULL), RT_OK);
    close(fd);
    temp_folder_free(folder);
}

Test(fault_point, tears_a_write_and_dies)
{
    int status = 0;
    struct stat info;
    char *folder = temp_folder_new();
    const char *path = temp_folder_path(folder, "some.txt");
    choose(folder, "write(some.txt):torn=3");
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        rt_status st = rt_fs_write_all(fd, "0123456789", 10, path, NULL);
        _exit((int)st);
    }
    waitpid(pid, &status, 0);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect_eq(stat(path, &info), 0);
    cr_expect_eq(info.st_size, 3);
    temp_folder_free(folder);
}

#else

Test(fault_point, is_nothing_without_the_option)
{
    setenv("RETORT_FAULTS", "here:kill:1:0", 1);
    setenv("RETORT_FAULTS_DIR", "/tmp", 1);
    fault_point("here");
    cr_expect_eq(fault_write(1, "x", 1, "here"), 0);
}

#endif
