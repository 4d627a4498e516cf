/* The text of an allow-list: which public key has which role.
 *
 *     # teachers of the second data centre
 *     teacher  rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7
 *
 * One key a line; a role may have several (old and new while a key is rotated, or one for each
 * machine), a key has one role. Bytes in, values out: reads no file.
 */
#ifndef RT_NET_ALLOW_LIST_H
#define RT_NET_ALLOW_LIST_H

#include "common/net/endpoint.h"

typedef struct net_allowed {
    net_role role;
    unsigned char public_key[32];
    char text[41]; /* the same key, Z85 */
} net_allowed;

typedef struct allow_list {
    net_allowed *items;
    size_t n;
} allow_list;

/* RT_CORRUPT with the line for a bad one, for a key with two roles, and for a list without a key.
 * Returns new; allow_list_free(). */
RT_MUST_USE rt_status allow_list_parse(const char *text, size_t n, allow_list *out, rt_error *err);
void allow_list_free(allow_list *list);
/* NULL when it is not there. */
const net_allowed *allow_list_find(const allow_list *list, const unsigned char public_key[32]);
/* RT_FULL beyond NET_KEYS_MAX. Fine when the same key has the same role already. */
RT_MUST_USE rt_status allow_list_add(allow_list *list, net_role role, const char *public_key,
                                     rt_error *err);

#endif
