/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): what record files of other tools check their bytes with.
 * Our own files use XXH3. For short records: a bit at a time, no table. */
#ifndef RT_BASE_CRC32C_H
#define RT_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t rt_crc32c(const void *bytes, size_t n_bytes);

#endif
