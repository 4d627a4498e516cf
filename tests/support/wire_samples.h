/* One message of each kind with every field set, for round trips, golden files and fuzz seeds. */
#ifndef RT_TESTS_WIRE_SAMPLES_H
#define RT_TESTS_WIRE_SAMPLES_H

#include "common/wire/messages.h"

#define WIRE_SAMPLE_FIRST WIRE_REGISTER
#define WIRE_SAMPLE_LAST  WIRE_QUOTA_GRANT

/* Borrows static storage: never free it, and never change what it points to. */
wire_message wire_sample(wire_type type);
/* Messages with fields that came later than their golden file: one more each. */
#define WIRE_LATE_SAMPLES 5
wire_message wire_sample_late(size_t i, const char **name);
label_record wire_sample_label(bool rejected);
micro_batch wire_sample_micro_batch(void);

#endif
