/* Any bytes have units, and any text a verdict: shares stay within [0, 1], what normalising gives
 * is valid UTF-8 and has the same units. The first byte chooses the kind of label; zero bytes part
 * input, label and rationale. */
#include <stdlib.h>
#include <string.h>

#include "common/text/rationale_filter.h"
#include "common/text/text_units.h"
#include "common/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *const markers[] = {"The answer is"};
static const char *const classes[] = {"entailment", "neutral", "contradiction", "no"};

static void require(bool condition)
{
    if (!condition) abort();
}

static void check_units(const char *bytes, size_t n)
{
    text_units once = {0}, twice = {0};
    rt_buf normal = {0};
    size_t n_common = 0;
    require(text_units_of(bytes, n, &once, NULL) == RT_OK);
    require(text_units_normalise(bytes, n, &normal, NULL) == RT_OK);
    require(utf8_is_valid(normal.data == NULL ? "" : normal.data, normal.n));
    require(text_units_of(normal.data == NULL ? "" : normal.data, normal.n, &twice, NULL) == RT_OK);
    require(once.n == twice.n);
    require(text_units_common_run(&once, &twice, &n_common, NULL) == RT_OK);
    require(n_common == once.n);
    text_units_free(&once);
    text_units_free(&twice);
    rt_buf_free(&normal);
}

/* The next stretch up to a zero byte, as a string. */
static char *take(const uint8_t **p, size_t *n)
{
    const uint8_t *zero = *n == 0 ? NULL : memchr(*p, 0, *n);
    size_t length = zero == NULL ? *n : (size_t)(zero - *p);
    char *text = rt_strndup((const char *)*p, length);
    size_t taken = RT_MIN(length + 1, *n);
    *p += taken;
    *n -= taken;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const rationale_limits limits = {
        .words_min = 8, .words_max = 60, .copied_max = 0.9, .leaked_max = 0.8, .repeated_max = 0.3};
    if (n == 0) return 0;
    check_units((const char *)bytes, n);
    answer_rules rules = {.kind = (answer_rule_kind)(bytes[0] % 5),
                          .markers = markers,
                          .n_markers = RT_COUNT(markers),
                          .classes = classes,
                          .n_classes = RT_COUNT(classes)};
    const uint8_t *p = bytes + 1;
    size_t left = n - 1;
    char *input = take(&p, &left), *label = take(&p, &left), *rationale = take(&p, &left);
    if (input != NULL && label != NULL && rationale != NULL) {
        rationale_question q = {.rules = &rules, .input = input, .label = label, .gold = input};
        rationale_verdict v;
        require(rationale_judge(&limits, &q, rationale, &v, NULL) == RT_OK);
        require(v.copied >= 0 && v.copied <= 1 && v.leaked >= 0 && v.leaked <= 1);
        require(v.repeated >= 0 && v.repeated <= 1 && v.score >= 0 && v.score <= 1);
    }
    free(input);
    free(label);
    free(rationale);
    return 0;
}
