/* Committed checkpoints: slices written by the shards, one manifest that makes them count.
 *
 *     checkpoints/step-500.partial/   being written
 *     checkpoints/step-500/           committed by rename
 *         model-00001-of-00002.safetensors   optim-00001-of-00002.safetensors   ...
 *         manifest.json
 *
 * Target rt::ckpt: no tensors' meaning, no nn. Used by the coordinator (commit, list, prune), by
 * the parameter server (write a slice, restore) and by export.
 */
#ifndef RT_CKPT_MANIFEST_H
#define RT_CKPT_MANIFEST_H

#include "common/ckpt/safetensors.h"

typedef struct ckpt_file {
    char name[96];
    uint64_t n_bytes;
    char sha256[RT_SHA256_HEX_SIZE];
} ckpt_file;

/* Owns `files`; ckpt_manifest_free(). */
typedef struct ckpt_manifest {
    uint64_t version;
    uint32_t n_shards;
    ckpt_file *files;
    size_t n_files;
    char fingerprint[33];
    char tokenizer_sha256[RT_SHA256_HEX_SIZE];
} ckpt_manifest;
void ckpt_manifest_free(ckpt_manifest *m);

/* "<root>/step-N" or "<root>/step-N.partial" into out[0..n_out). */
RT_MUST_USE rt_status ckpt_folder(const char *root, uint64_t version, bool partial, char *out,
                                  size_t n_out, rt_error *err);
/* Write manifest.json into step-N.partial, sync, rename to step-N, sync. An existing step-N with
 * the same files is fine (a repeat). */
RT_MUST_USE rt_status ckpt_commit(const char *root, const ckpt_manifest *m, rt_error *err);
/* The text of a manifest.json; reads no other file. Returns new; ckpt_manifest_free(). */
RT_MUST_USE rt_status ckpt_manifest_parse(const char *text, size_t n, ckpt_manifest *out,
                                          rt_error *err);
/* Read a manifest and check every file's size and SHA-256. RT_CORRUPT names the file and both
 * values. */
RT_MUST_USE rt_status ckpt_open(const char *folder, ckpt_manifest *out, rt_error *err);
/* Versions of committed folders, ascending (not verified). *versions freed with free(). */
RT_MUST_USE rt_status ckpt_list(const char *root, uint64_t **versions, size_t *n, rt_error *err);
/* Newest version that verifies, skipping bad ones with a warning. RT_NOTFOUND when none does. */
RT_MUST_USE rt_status ckpt_newest_good(const char *root, ckpt_manifest *out, rt_error *err);
/* Remove committed folders except the newest n_keep and those listed, and stale partial ones. */
RT_MUST_USE rt_status ckpt_prune(const char *root, size_t n_keep, const uint64_t *always,
                                 size_t n_always, rt_error *err);

/* Tensors of a checkpoint by name, in whichever slice they lie. */
typedef struct ckpt_reader ckpt_reader;
RT_MUST_USE rt_status ckpt_reader_open(const char *folder, ckpt_reader **out, rt_error *err);
void ckpt_reader_close(ckpt_reader *r);
/* out[n] receives tensor `name` ("model.norm.weight", "m.model.norm.weight", ...). RT_CORRUPT when
 * absent or of another size. */
RT_MUST_USE rt_status ckpt_reader_get(const ckpt_reader *r, const char *name, size_t n, float *out,
                                      rt_error *err);
/* Where tensor `name` of n elements lies, for safetensors_read_range(). Valid as long as `r`. */
typedef struct ckpt_tensor {
    const safetensors *file;
    const tensor_entry *entry;
} ckpt_tensor;
RT_MUST_USE rt_status ckpt_reader_find(const ckpt_reader *r, const char *name, size_t n,
                                       ckpt_tensor *out, rt_error *err);
const ckpt_manifest *ckpt_reader_manifest(const ckpt_reader *r);

#endif
