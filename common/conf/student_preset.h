/* Shapes by name: what `student.preset` puts in the place of the defaults. A setting that the file
 * writes itself keeps its value.
 *
 *     const student_preset *p = student_preset_find("t5-small");
 *     const char *text = student_preset_value(p, "d_model", number);      // "512"
 */
#ifndef RT_CONF_STUDENT_PRESET_H
#define RT_CONF_STUDENT_PRESET_H

#include "common/base/status.h"

typedef struct student_preset {
    const char *name;
    const char *arch, *ff_act; /* as in the settings */
    uint32_t d_model, n_layers, n_decoder_layers, n_heads, n_kv_heads, d_head, d_ff;
    bool tied;
    uint32_t rope_theta;
    uint32_t n_vocab; /* of the published model; a student's is that of its tokenizer */
    const char *about;
} student_preset;

size_t student_preset_count(void);
const student_preset *student_preset_at(size_t i);
/* NULL for an unknown name. */
const student_preset *student_preset_find(const char *name);
/* The known name nearest to a wrong one, or NULL. */
const char *student_preset_nearest(const char *name);
/* Text of a setting of the section `student` ("d_model", "tied", ...), or NULL when the preset does
 * not decide it. Numbers are printed into `number`. */
const char *student_preset_value(const student_preset *p, const char *key, char number[16]);

#endif
