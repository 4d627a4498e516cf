#include "common/conf/expand.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/conf/config.h"
#include "common/conf/document.h"

#define VARIABLE_BYTES_MAX 255
#define SECRET_BYTES_MAX   4096

/* text stands at "${": the name's bytes, or 0 when it is not a name and a closing brace. */
static size_t variable_length(const char *text)
{
    size_t n = 0;
    while (isalnum((unsigned char)text[2 + n]) || text[2 + n] == '_') n++;
    bool ok =
        n > 0 && n <= VARIABLE_BYTES_MAX && text[2 + n] == '}' && !isdigit((unsigned char)text[2]);
    return ok ? n : 0;
}

bool expand_is_variable(const char *text)
{
    if (strncmp(text, "${", 2) != 0) return false;
    size_t n = variable_length(text);
    return n > 0 && text[n + 3] == '\0';
}

static rt_status look_up(const char *name, size_t n_name, const char **out, rt_error *err)
{
    char variable[VARIABLE_BYTES_MAX + 1];
    size_t i_bad;
    memcpy(variable, name, n_name);
    variable[n_name] = '\0';
    const char *value = getenv(variable);
    if (value == NULL)
        return rt_fail(err, RT_INVALID,
                       "the environment variable %s is not set (write $${ for the characters ${)",
                       variable);
    if (!text_is_utf8(value, strlen(value), &i_bad))
        return rt_fail(err, RT_INVALID, "the environment variable %s is not UTF-8", variable);
    *out = value;
    return RT_OK;
}

rt_status expand_text(const char *text, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, "", err); /* an empty text is a text too */
    while (st == RT_OK && *text != '\0') {
        if (strncmp(text, "$${", 3) == 0) {
            st = rt_buf_add_text(out, "${", err);
            text += 3;
        } else if (strncmp(text, "${", 2) == 0) {
            const char *value = "";
            size_t n = variable_length(text);
            if (n == 0)
                return rt_fail(err, RT_INVALID,
                               "found ${ without a variable's name and }, expected ${NAME} (write "
                               "$${ for the characters ${)");
            if ((st = look_up(text + 2, n, &value, err)) == RT_OK)
                st = rt_buf_add_text(out, value, err);
            text += n + 3;
        } else {
            size_t n = 1 + strcspn(text + 1, "$");
            st = rt_buf_add(out, text, n, err);
            text += n;
        }
    }
    return st;
}

rt_status expand_escape(const char *text, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, "", err); /* an empty text is a text too */
    while (st == RT_OK && *text != '\0') {
        if (strncmp(text, "${", 2) == 0) st = rt_buf_add_text(out, "$", err);
        size_t n = 1 + strcspn(text + 1, "$");
        if (st == RT_OK) st = rt_buf_add(out, text, n, err);
        text += n;
    }
    return st;
}

rt_status config_queue_password(const void *context, rt_buf *out, rt_error *err)
{
    const config *c = context;
    return config_secret("queue.password", c->queue.password, out, err);
}

rt_status config_secret(const char *path, const char *written, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf secret = {0};
    const char *value = "";
    size_t n;
    if (strncmp(written, "file:", 5) == 0) {
        if ((st = rt_fs_read(written + 5, SECRET_BYTES_MAX, &secret, err)) != RT_OK) goto out;
        value = secret.data == NULL ? "" : secret.data;
    } else if (expand_is_variable(written)) {
        if ((st = look_up(written + 2, strlen(written) - 3, &value, err)) != RT_OK) goto out;
    } else if (written[0] != '\0') {
        st = rt_fail(err, RT_INVALID, "expected file:PATH or ${NAME}, not the secret itself");
        goto out;
    }
    n = strcspn(value, "\r\n");
    if (written[0] != '\0' && n == 0) {
        st = rt_fail(err, RT_INVALID, "%s holds no secret in its first line", written);
        goto out;
    }
    rt_buf_clear(out);
    st = rt_buf_add(out, value, n, err);
out:
    if (secret.data != NULL) explicit_bzero(secret.data, secret.n);
    rt_buf_free(&secret);
    return st == RT_OK ? st : rt_wrap(err, st, "%s", path);
}
