/* Making, rotating and retiring the keys of a cluster: what `retort keys` does to a folder.
 *
 *     key_folder_make("keys", err);                        four pairs and the allow-list
 *     key_folder_rotate("keys", NET_ROLE_TEACHER, err);    a new pair; the old key is still allowed
 *     key_folder_retire("keys", NET_ROLE_TEACHER, err);    only the pair of now is allowed
 *
 * Each step leaves a folder that works, also when it is cut off: the list learns of a key before the
 * key is used, and forgets it after.
 */
#ifndef RT_NET_KEY_FOLDER_H
#define RT_NET_KEY_FOLDER_H

#include "common/net/keyring.h"

/* Makes the folder (mode 0700). RT_EXISTS when one of the files is there: keys are never lost. */
RT_MUST_USE rt_status key_folder_make(const char *folder, rt_error *err);
RT_MUST_USE rt_status key_folder_rotate(const char *folder, net_role role, rt_error *err);
/* *n_gone: keys of the role that were allowed until now. Comments of the list are lost. */
RT_MUST_USE rt_status key_folder_retire(const char *folder, net_role role, size_t *n_gone,
                                        rt_error *err);

#endif
