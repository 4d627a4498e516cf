#include "common/net/allow_list.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/net/keyring.h"

const char *net_role_name(net_role role)
{
    static const char *const names[NET_ROLE_COUNT] = {
        "none", "cluster", "coordinator", "server", "teacher", "student",
    };
    return (unsigned)role < NET_ROLE_COUNT ? names[role] : "none";
}

net_role net_role_parse(const char *word, size_t n)
{
    for (net_role r = NET_ROLE_COORDINATOR; r < NET_ROLE_COUNT; r++)
        if (strlen(net_role_name(r)) == n && memcmp(net_role_name(r), word, n) == 0) return r;
    return NET_ROLE_NONE;
}

void allow_list_free(allow_list *list)
{
    free(list->items);
    *list = (allow_list){0};
}

const net_allowed *allow_list_find(const allow_list *list, const unsigned char public_key[32])
{
    for (size_t i = 0; i < list->n; i++)
        if (memcmp(list->items[i].public_key, public_key, 32) == 0) return &list->items[i];
    return NULL;
}

rt_status allow_list_add(allow_list *list, net_role role, const char *public_key, rt_error *err)
{
    net_allowed a = {.role = role};
    if (strlen(public_key) != 40 || zmq_z85_decode(a.public_key, public_key) == NULL)
        return rt_fail(err, RT_CORRUPT, "expected a public key of 40 characters of Z85");
    memcpy(a.text, public_key, 41);
    const net_allowed *known = allow_list_find(list, a.public_key);
    if (known != NULL && known->role == role) return RT_OK;
    if (known != NULL)
        return rt_fail(err, RT_CORRUPT, "this key is the key of a %s already",
                       net_role_name(known->role));
    if (list->n == NET_KEYS_MAX) return rt_fail(err, RT_FULL, "more than %d keys", NET_KEYS_MAX);
    net_allowed *more = reallocarray(list->items, list->n + 1, sizeof *more);
    if (more == NULL) return rt_fail(err, RT_NOMEM, "allow-list");
    list->items = more;
    more[list->n++] = a;
    return RT_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* "ROLE PUBLIC", without its newline. What a bad line holds is not quoted: it may be a secret key. */
static rt_status take_line(const char *line, size_t n, allow_list *list, rt_error *err)
{
    char key[41];
    size_t at = 0;
    while (n > 0 && is_blank(line[n - 1])) n--;
    while (at < n && is_blank(line[at])) at++;
    if (at == n || line[at] == '#') return RT_OK;
    size_t word = at;
    while (at < n && !is_blank(line[at])) at++;
    net_role role = net_role_parse(line + word, at - word);
    while (at < n && is_blank(line[at])) at++;
    if (role == NET_ROLE_NONE || n - at != 40 || memchr(line + at, '\0', 40) != NULL)
        return rt_fail(err, RT_CORRUPT,
                       "expected a role (coordinator, server, teacher or student) and a public key "
                       "of 40 characters");
    memcpy(key, line + at, 40);
    key[40] = '\0';
    return allow_list_add(list, role, key, err);
}

rt_status allow_list_parse(const char *text, size_t n, allow_list *out, rt_error *err)
{
    rt_status st = RT_OK;
    size_t i_line = 0;
    allow_list list = {0};
    for (size_t at = 0; st == RT_OK && at < n;) {
        const char *line = text + at, *end = memchr(line, '\n', n - at);
        size_t n_line = end != NULL ? (size_t)(end - line) : n - at;
        at += n_line + 1;
        i_line++;
        st = take_line(line, n_line, &list, err);
        if (st != RT_OK) st = rt_wrap(err, st, "line %zu", i_line);
    }
    if (st == RT_OK && list.n == 0) st = rt_fail(err, RT_CORRUPT, "it holds no key");
    if (st != RT_OK) {
        allow_list_free(&list);
        return st;
    }
    *out = list;
    return RT_OK;
}
