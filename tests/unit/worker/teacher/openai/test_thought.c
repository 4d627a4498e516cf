#include <criterion/criterion.h>
#include <string.h>

#include "worker/teacher/openai/thought.h"

static void expect_parts(const char *text, thought_kind kind, const char *thought,
                         const char *answer)
{
    thought_parts p = thought_split(text, strlen(text));
    cr_expect_eq(p.kind, kind, "%s", text);
    cr_expect(p.n_thought == strlen(thought) && memcmp(text + p.thought, thought, p.n_thought) == 0,
              "%s: thought", text);
    cr_expect(p.n_answer == strlen(answer) && memcmp(text + p.answer, answer, p.n_answer) == 0,
              "%s: answer", text);
}

Test(thought, is_told_from_the_answer)
{
    expect_parts("", THOUGHT_NONE, "", "");
    expect_parts("a", THOUGHT_NONE, "", "a");
    expect_parts(" a", THOUGHT_NONE, "", " a");
    expect_parts("<think> t </think>\na ", THOUGHT_CLOSED, "t", "a ");
    expect_parts("\n<think></think>", THOUGHT_CLOSED, "", "");
    expect_parts("t\n</think>a", THOUGHT_CLOSED, "t", "a");
    expect_parts("<think> t", THOUGHT_OPEN, "t", "");
    expect_parts("<think>", THOUGHT_OPEN, "", "");
    expect_parts("<think>a<think>b</think>c</think>d", THOUGHT_CLOSED, "a<think>b", "c</think>d");
    expect_parts("a <think>t", THOUGHT_NONE, "", "a <think>t");
    expect_parts("<thin", THOUGHT_NONE, "", "<thin");
}
