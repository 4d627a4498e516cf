/* The keys of one process: its own pair, and the public keys of those it talks to, by role.
 *
 *     keys/                        made by `retort keys`
 *       teacher.key                the pair of a role, mode 0600; a process needs only its own
 *       allowed                    one line for each key that may come in: ROLE PUBLIC
 *
 *     net_keyring *ring = NULL;
 *     st = net_keyring_open("keys", "", NET_ROLE_TEACHER, &ring, err);
 *     net_lock lock = {ring, NET_BIT(NET_ROLE_COORDINATOR)};
 *     st = net_client_open(&identity, endpoint, &lock, &client, err);
 *
 * The files are looked at again while the process runs: a new key of its own is used for the next
 * socket, a key that is no longer in the list is out at once, connections that it has open included.
 * A file that has become unreadable changes nothing, and is told in the log.
 *
 * The older way is one pair for all (`retort keygen`): whoever holds it may be anything.
 * All functions are safe from any thread.
 */
#ifndef RT_NET_KEYRING_H
#define RT_NET_KEYRING_H

#include "common/net/endpoint.h"

#define NET_KEYS_MAX 4096 /* lines of an allow-list */

#define NET_ALLOWED_FILE "allowed"

/* "keys" and "" for a folder, "" and "file" for one pair for all, "" and "" for none: *out is NULL
 * then. RT_NOTFOUND, RT_INVALID (mode, both given) or RT_CORRUPT with the file and the line. */
RT_MUST_USE rt_status net_keyring_open(const char *folder, const char *pair_file, net_role role,
                                       net_keyring **out, rt_error *err);
/* After every endpoint that uses it. */
void net_keyring_free(net_keyring *ring);

/* Role of a public key in the list of now, NET_ROLE_NONE when it is not there. */
net_role net_keyring_role_of(net_keyring *ring, const unsigned char public_key[32]);
/* The pair in use now. */
void net_keyring_own(net_keyring *ring, net_keys *out);
/* Public key number `turn` (round and round) of the roles in `peers`; false when there is none. */
bool net_keyring_peer(net_keyring *ring, unsigned peers, unsigned turn, char public_key[41]);
/* Grows whenever a file was read anew. */
uint64_t net_keyring_generation(net_keyring *ring);

#endif
