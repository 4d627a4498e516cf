/* Any text gives a status under every kind of label; a label that is accepted is valid UTF-8, and
 * reading it again as a bare label does not fail. The first byte chooses the kind and whether the
 * text was cut; what is before the first zero byte is the input with its choices. */
#include <stdlib.h>
#include <string.h>

#include "common/text/answer.h"
#include "common/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *const markers[] = {"The answer is", "Answer:"};
static const char *const stop_marks[] = {"\n\nQ:", "\n\nPremise"};
static const char *const classes[] = {"entailment", "neutral", "contradiction", "no"};

static void check(const answer_rules *rules, const char *input, const parsed_answer *a)
{
    parse_status status = PARSE_EMPTY;
    char *again = NULL;
    if ((a->status == PARSE_OK) != (a->label != NULL)) abort();
    if (a->rationale != NULL && !utf8_is_valid(a->rationale, strlen(a->rationale))) abort();
    if (a->label == NULL) return;
    if (!utf8_is_valid(a->label, strlen(a->label))) abort();
    if (answer_canonical(rules, input, a->label, &status, &again, NULL) != RT_OK) abort();
    if ((status == PARSE_OK) != (again != NULL)) abort();
    if (rules->kind == RULE_NUMBER && (again == NULL || strcmp(again, a->label) != 0)) abort();
    (void)answer_equal(rules, a->label, again == NULL ? "" : again);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    answer_rules rules = {
        .kind = (answer_rule_kind)(bytes[0] % 5),
        .markers = markers,
        .n_markers = bytes[0] & 0x20 ? 0 : RT_COUNT(markers),
        .stop_marks = stop_marks,
        .n_stop_marks = RT_COUNT(stop_marks),
        .classes = classes,
        .n_classes = RT_COUNT(classes),
        .lenient = (bytes[0] & 0x40) != 0,
    };
    const uint8_t *zero = memchr(bytes + 1, 0, n - 1);
    size_t n_input = zero == NULL ? 0 : (size_t)(zero - bytes) - 1;
    char *input = rt_strndup((const char *)bytes + 1, n_input);
    parsed_answer a = {0};
    if (input == NULL) return 0;
    const uint8_t *raw = zero == NULL ? bytes + 1 : zero + 1;
    if (answer_parse(&rules, input, (const char *)raw, (size_t)(bytes + n - raw),
                     (bytes[0] & 0x80) != 0, &a, NULL) != RT_OK)
        abort();
    check(&rules, input, &a);
    parsed_answer_free(&a);
    free(input);
    return 0;
}
