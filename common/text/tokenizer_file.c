/* The file is a protobuf message:
 *
 *     1 pieces (repeated message)   2 trainer_spec   3 normalizer_spec   5 denormalizer_spec
 *     normalizer_spec: 2 precompiled_charsmap = [u32 n_trie][trie: u32 units][replacement texts]
 *
 * The library walks the trie (a Darts double array) with offsets out of the file and does not check
 * them, so a flipped bit may read far outside. In such an array the child of unit p under byte c is
 * p ^ offset(p) ^ c; as c < 256 flips only the low eight bits, all children lie in one block of 256
 * units, and it is enough that each unit's block lies inside.
 */
#include "common/text/tokenizer_file.h"

#include "common/text/protobuf_walk.h"

#define FIELD_PIECES       1u
#define FIELD_NORMALIZER   3u
#define FIELD_DENORMALIZER 5u
#define FIELD_CHARSMAP     2u
#define TRIE_BLOCK         256u

static uint32_t unit_at(const unsigned char *trie, size_t i)
{
    return (uint32_t)trie[4 * i] | (uint32_t)trie[4 * i + 1] << 8 |
           (uint32_t)trie[4 * i + 2] << 16 | (uint32_t)trie[4 * i + 3] << 24;
}

static bool is_sound_charsmap(protobuf_cursor map)
{
    size_t n = (size_t)(map.end - map.p);
    if (n == 0) return true;
    if (n < 4) return false;
    size_t n_trie = unit_at(map.p, 0);
    if (n_trie >= n - 4 || n_trie % (4 * TRIE_BLOCK) != 0 || n_trie == 0) return false;
    const unsigned char *trie = map.p + 4;
    size_t n_units = n_trie / 4;
    size_t n_texts = n - 4 - n_trie;
    if (trie[n_trie + n_texts - 1] != '\0') return false;
    for (size_t i = 0; i < n_units; i++) {
        uint32_t unit = unit_at(trie, i);
        if (i > 0 && unit >> 31) continue; /* a leaf: read only through its parent, checked there */
        size_t child = i ^ ((size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6));
        if (child >= n_units) return false;
        bool has_leaf = (unit >> 8) & 1;
        if (has_leaf && (unit_at(trie, child) & 0x7FFFFFFFu) >= n_texts) return false;
    }
    return true;
}

static bool is_sound_normalizer(protobuf_cursor c)
{
    protobuf_field f;
    while (c.p < c.end) {
        if (!protobuf_next(&c, &f)) return false;
        if (f.number == FIELD_CHARSMAP && f.wire_type == PROTOBUF_BYTES &&
            !is_sound_charsmap(f.bytes))
            return false;
    }
    return true;
}

rt_status tokenizer_file_check(const char *bytes, size_t n, rt_error *err)
{
    protobuf_cursor c = {.p = (const unsigned char *)bytes,
                         .end = (const unsigned char *)bytes + n};
    size_t n_pieces = 0;
    protobuf_field f;
    while (c.p < c.end) {
        size_t at = (size_t)(c.p - (const unsigned char *)bytes);
        if (!protobuf_next(&c, &f))
            return rt_fail(err, RT_CORRUPT,
                           "not a sentencepiece model: broken off or damaged at "
                           "byte %zu",
                           at);
        if (f.number == FIELD_PIECES && f.wire_type == PROTOBUF_BYTES) n_pieces++;
        if ((f.number == FIELD_NORMALIZER || f.number == FIELD_DENORMALIZER) &&
            f.wire_type == PROTOBUF_BYTES && !is_sound_normalizer(f.bytes))
            return rt_fail(err, RT_CORRUPT,
                           "sentencepiece model with a damaged normalisation "
                           "table (field at byte %zu)",
                           at);
    }
    if (n_pieces == 0) return rt_fail(err, RT_CORRUPT, "not a sentencepiece model: no pieces");
    return RT_OK;
}
