/* Any bytes are an answer or are refused; of an answer every part is whole, and in JSON it becomes a
 * text or is refused. */
#include <stdlib.h>
#include <string.h>

#include "common/dataset/topk.h"
#include "worker/teacher/openai/json_answer.h"
#include "worker/teacher/openai/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const json_answer_rules rules = {.label_key = "label",
                                            .rationale_key = "rationale",
                                            .label_format = "{marker} {label}",
                                            .marker = "The answer is"};
    openai_reply reply = {0};
    topk_reader topk = {0};
    rt_buf text = {0}, rationale = {0};
    rt_status st = openai_reply_read((const char *)bytes, n, &reply, NULL);
    if (st != RT_OK && (reply.n_choices != 0 || reply.choices != NULL)) abort();
    if (reply.usage.n_cached > reply.usage.n_prompt) abort();
    for (size_t i = 0; i < reply.n_choices; i++) {
        const openai_choice *c = &reply.choices[i];
        if (i > 0 && reply.choices[i - 1].index >= c->index) abort();
        if (c->finish_reason == NULL) abort();
        if (c->reasoning.n > 0 && strlen(c->reasoning.data) != c->reasoning.n) abort();
        if ((c->reasoning.n > 0) != (c->rationale_source != NULL)) abort();
        if (c->topk.n > 0 && topk_open(c->topk.data, c->topk.n, &topk, NULL) != RT_OK) abort();
        topk_close(&topk);
        st = json_answer_text(&rules, c->text.data, c->text.n, &text, &rationale, NULL);
        if (st == RT_OK && strstr(text.data, "The answer is") == NULL &&
            memchr(text.data, 0, text.n) == NULL)
            abort();
    }
    openai_reply_free(&reply);
    rt_buf_free(&text);
    rt_buf_free(&rationale);
    return 0;
}
