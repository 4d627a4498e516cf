/* Data beside the checkout that is no part of the product: "../shared/data/NAME", or under
 * RT_SHARED. A test that needs it is skipped, with a word on stderr, where it is absent.
 *
 *     if (!shared_data_path("weights/tok512.bin", path, sizeof path)) cr_skip_test("not here");
 */
#ifndef RT_TESTS_SHARED_DATA_H
#define RT_TESTS_SHARED_DATA_H

#include "common/base/status.h"

/* False when the file is not there. */
bool shared_data_path(const char *name, char *out, size_t n_out);

#endif
