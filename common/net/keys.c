/* CURVE keys. The file is text so that it can be pasted into a secret store:
 *
 *     public <40 characters of Z85>
 *     secret <40 characters of Z85>
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "common/base/fs.h"
#include "common/net/endpoint.h"

static rt_status check_mode(int fd, const char *path, rt_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return rt_fail(err, RT_IO, "key file %s: %s", path, strerror(errno));
    if ((info.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return rt_fail(err, RT_INVALID,
                       "key file %s: mode %03o lets others at the secret key; run chmod 600 %s",
                       path, (unsigned)info.st_mode & 0777u, path);
    return RT_OK;
}

static bool take_key(const char *text, const char *name, char key[41])
{
    size_t n_name = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, name, n_name) == 0 && line[n_name] == ' ') {
            const char *value = line + n_name + 1;
            if (strcspn(value, " \t\r\n") != 40) return false;
            memcpy(key, value, 40);
            key[40] = '\0';
            return true;
        }
        line = strchr(line, '\n');
        if (line != NULL) line++;
    }
    return false;
}

rt_status net_keys_read(const char *path, net_keys *out, rt_error *err)
{
    rt_status st = RT_OK;
    char text[512] = {0}, derived[41];
    net_keys keys;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        st = rt_fail(err, errno == ENOENT ? RT_NOTFOUND : RT_IO, "key file %s: %s%s", path,
                     strerror(errno), errno == ENOENT ? "; make one with retort keys" : "");
        goto out;
    }
    if ((st = check_mode(fd, path, err)) != RT_OK) goto out;
    n = read(fd, text, sizeof text - 1);
    if (n < 0 || !take_key(text, "public", keys.public_key) ||
        !take_key(text, "secret", keys.secret_key)) {
        st = rt_fail(err, RT_CORRUPT,
                     "key file %s: expected two lines, \"public KEY\" and \"secret KEY\", of 40 "
                     "characters each; make one with retort keys",
                     path);
        goto out;
    }
    if (zmq_curve_public(derived, keys.secret_key) != 0 || strcmp(derived, keys.public_key) != 0) {
        st = rt_fail(err, RT_CORRUPT,
                     "key file %s: its public key does not belong to its secret "
                     "key; make a new one with retort keys",
                     path);
        goto out;
    }
    *out = keys;
out:
    explicit_bzero(text, sizeof text);
    explicit_bzero(&keys, sizeof keys);
    if (fd >= 0) close(fd);
    return st;
}

rt_status net_keys_generate(net_keys *out, rt_error *err)
{
    net_keys keys;
    if (zmq_curve_keypair(keys.public_key, keys.secret_key) != 0)
        return rt_fail(err, RT_UNSUPPORTED, "this libzmq was built without CURVE: %s",
                       zmq_strerror(errno));
    *out = keys;
    explicit_bzero(&keys, sizeof keys);
    return RT_OK;
}

rt_status net_keys_write(const char *path, const net_keys *keys, rt_error *err)
{
    rt_status st = RT_OK;
    char text[128];
    int n =
        snprintf(text, sizeof text, "public %s\nsecret %s\n", keys->public_key, keys->secret_key);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        bool exists = errno == EEXIST;
        st = rt_fail(err, exists ? RT_EXISTS : RT_IO, "key file %s: %s", path,
                     exists ? "it exists already; remove it first to make another key"
                            : strerror(errno));
        goto out;
    }
    if ((st = rt_fs_write_all(fd, text, (size_t)n, path, err)) != RT_OK) goto remove;
    if (fsync(fd) != 0) {
        st = rt_fail(err, RT_IO, "key file %s: %s", path, strerror(errno));
        goto remove;
    }
    goto out;
remove:
    unlink(path);
out:
    explicit_bzero(text, sizeof text);
    if (fd >= 0) close(fd);
    return st;
}

rt_status net_keys_replace(const char *path, const net_keys *keys, rt_error *err)
{
    char fresh[PATH_MAX];
    int n = snprintf(fresh, sizeof fresh, "%s.new-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof fresh) return rt_fail(err, RT_FULL, "path too long: %s", path);
    unlink(fresh); /* of a process of this number that was killed */
    rt_status st = net_keys_write(fresh, keys, err);
    if (st != RT_OK) return st;
    if (rename(fresh, path) == 0) return RT_OK;
    st = rt_fail(err, RT_IO, "key file %s: %s", path, strerror(errno));
    unlink(fresh);
    return st;
}
