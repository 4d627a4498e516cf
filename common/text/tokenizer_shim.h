/* The C++ border of sentencepiece: plain C on this side, no exception ever crosses.
 *
 * Internal to common/text. Messages are written to a caller's buffer, because the project's status
 * header is C only. Every function returns one of sp_result.
 */
#ifndef RT_TEXT_TOKENIZER_SHIM_H
#define RT_TEXT_TOKENIZER_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum sp_result { SP_OK, SP_REFUSED, SP_NOMEM, SP_STOPPED } sp_result;

typedef struct sp_message {
    char text[512];
} sp_message;

typedef struct sp_model sp_model;

/* bytes[0..n) is a serialised model. Returns new; sp_model_free(). */
sp_result sp_model_load(const char *bytes, size_t n, sp_model **out, sp_message *message);
void sp_model_free(sp_model *m);
int sp_model_size(const sp_model *m);
/* -1: the model has none. */
int sp_model_unk(const sp_model *m);
int sp_model_bos(const sp_model *m);
int sp_model_eos(const sp_model *m);
int sp_model_pad(const sp_model *m);
/* `id` in [0, size). Valid as long as the model. */
const char *sp_model_piece(const sp_model *m, int id);

/* Called with each id list or text; false when the receiver ran out of memory. */
typedef bool (*sp_ids_sink)(void *context, const int *ids, size_t n);
typedef bool (*sp_text_sink)(void *context, const char *text, size_t n);
sp_result sp_model_encode(const sp_model *m, const char *text, size_t n, sp_ids_sink sink,
                          void *context, sp_message *message);
/* Every id is in [0, size). */
sp_result sp_model_decode(const sp_model *m, const uint32_t *ids, size_t n, sp_text_sink sink,
                          void *context, sp_message *message);

typedef struct sp_option {
    const char *name;
    const char *value;
} sp_option;

/* Next sentence: 1 with text, 0 at the end, -1 on failure (training stops with SP_STOPPED). */
typedef int (*sp_source)(void *context, const char **text, size_t *n);
sp_result sp_train(const sp_option *options, size_t n_options, sp_source source, void *context,
                   sp_text_sink model_sink, void *sink_context, sp_message *message);

#ifdef __cplusplus
}
#endif

#endif
