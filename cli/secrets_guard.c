#include "cli/secrets_guard.h"

#include "common/base/secret.h"
#include "common/conf/settings.h"

static bool names_secret(const config *c)
{
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        const char *const *text = (const void *)((const char *)c + s->offset);
        if (s->type == SETTING_SECRET && (*text)[0] != '\0') return true;
    }
    return c->net.keys[0] != '\0' || c->net.curve_key_file[0] != '\0' ||
           c->net.http_key_file[0] != '\0' || c->queue.key_file[0] != '\0';
}

void secrets_guard(const config *c, bool peers_read_memory)
{
    if (names_secret(c)) rt_secret_no_core(peers_read_memory);
}
