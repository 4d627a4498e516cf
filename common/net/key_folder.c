#include "common/net/key_folder.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fs.h"
#include "common/net/allow_list.h"

#define LIST_BYTES_MAX ((size_t)1 << 20)

static const char heading[] =
    "# Who may come in, and as what: ROLE PUBLIC-KEY. Read again whenever "
    "it changes.\n# Made by `retort keys`; keys of your own may be added.\n";

static rt_status key_path(const char *folder, net_role role, char path[PATH_MAX], rt_error *err)
{
    char name[32];
    snprintf(name, sizeof name, "%s.key", net_role_name(role));
    return rt_fs_join(path, PATH_MAX, folder, name, err);
}

static rt_status read_list(const char *folder, allow_list *out, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf text = {0};
    rt_status st = rt_fs_join(path, sizeof path, folder, NET_ALLOWED_FILE, err);
    if (st == RT_OK) st = rt_fs_read(path, LIST_BYTES_MAX, &text, err);
    if (st == RT_OK) {
        st = allow_list_parse(text.n > 0 ? text.data : "", text.n, out, err);
        if (st != RT_OK) st = rt_wrap(err, st, "%s", path);
    }
    rt_buf_free(&text);
    return st;
}

static rt_status write_list(const char *folder, const allow_list *list, rt_error *err)
{
    char path[PATH_MAX];
    rt_buf text = {0};
    rt_status st = rt_fs_join(path, sizeof path, folder, NET_ALLOWED_FILE, err);
    if (st == RT_OK) st = rt_buf_add_text(&text, heading, err);
    for (size_t i = 0; st == RT_OK && i < list->n; i++)
        st = rt_buf_printf(&text, err, "%s %s\n", net_role_name(list->items[i].role),
                           list->items[i].text);
    if (st == RT_OK) st = rt_fs_write_atomic(path, text.data, text.n, err);
    if (st == RT_OK && chmod(path, 0600) != 0)
        st = rt_fail(err, RT_IO, "chmod 600 %s: %s", path, strerror(errno));
    rt_buf_free(&text);
    return st;
}

static rt_status check_empty(const char *folder, rt_error *err)
{
    char path[PATH_MAX];
    rt_status st = rt_fs_join(path, sizeof path, folder, NET_ALLOWED_FILE, err);
    for (net_role r = NET_ROLE_COORDINATOR; st == RT_OK && r <= NET_ROLE_COUNT; r++) {
        if (rt_fs_exists(path))
            return rt_fail(
                err, RT_EXISTS,
                "%s exists already; --rotate ROLE makes a new key in the place of an old "
                "one, or remove the folder first",
                path);
        if (r < NET_ROLE_COUNT) st = key_path(folder, r, path, err);
    }
    return st;
}

rt_status key_folder_make(const char *folder, rt_error *err)
{
    rt_status st = RT_OK;
    char path[PATH_MAX];
    net_keys keys = {{0}, {0}};
    allow_list list = {0};
    bool is_new = !rt_fs_exists(folder);
    if ((st = check_empty(folder, err)) != RT_OK) goto out;
    if ((st = rt_fs_mkdirs(folder, err)) != RT_OK) goto out;
    if (is_new && chmod(folder, 0700) != 0) {
        st = rt_fail(err, RT_IO, "chmod 700 %s: %s", folder, strerror(errno));
        goto out;
    }
    for (net_role r = NET_ROLE_COORDINATOR; r < NET_ROLE_COUNT; r++) {
        if ((st = net_keys_generate(&keys, err)) != RT_OK) goto out;
        if ((st = allow_list_add(&list, r, keys.public_key, err)) != RT_OK) goto out;
        if ((st = key_path(folder, r, path, err)) != RT_OK) goto out;
        if ((st = net_keys_write(path, &keys, err)) != RT_OK) goto out;
    }
    st = write_list(folder, &list, err);
out:
    explicit_bzero(&keys, sizeof keys);
    allow_list_free(&list);
    return st;
}

rt_status key_folder_rotate(const char *folder, net_role role, rt_error *err)
{
    rt_status st = RT_OK;
    char path[PATH_MAX];
    net_keys keys = {{0}, {0}};
    allow_list list = {0};
    if ((st = read_list(folder, &list, err)) != RT_OK) goto out;
    if ((st = net_keys_generate(&keys, err)) != RT_OK) goto out;
    if ((st = allow_list_add(&list, role, keys.public_key, err)) != RT_OK) goto out;
    if ((st = key_path(folder, role, path, err)) != RT_OK) goto out;
    if ((st = write_list(folder, &list, err)) != RT_OK) goto out;
    st = net_keys_replace(path, &keys, err);
out:
    explicit_bzero(&keys, sizeof keys);
    allow_list_free(&list);
    return st;
}

rt_status key_folder_retire(const char *folder, net_role role, size_t *n_gone, rt_error *err)
{
    rt_status st = RT_OK;
    char path[PATH_MAX];
    net_keys keys = {{0}, {0}};
    allow_list list = {0};
    size_t n = 0;
    if ((st = read_list(folder, &list, err)) != RT_OK) goto out;
    if ((st = key_path(folder, role, path, err)) != RT_OK) goto out;
    if ((st = net_keys_read(path, &keys, err)) != RT_OK) goto out;
    for (size_t i = 0; i < list.n; i++) {
        bool goes = list.items[i].role == role && strcmp(list.items[i].text, keys.public_key) != 0;
        if (!goes) list.items[n++] = list.items[i];
    }
    size_t n_old = list.n - n;
    list.n = n;
    if ((st = allow_list_add(&list, role, keys.public_key, err)) != RT_OK) goto out;
    if ((st = write_list(folder, &list, err)) != RT_OK) goto out;
    *n_gone = n_old;
out:
    explicit_bzero(&keys, sizeof keys);
    allow_list_free(&list);
    return st;
}
