#include "worker/teacher/openai/thought.h"

#include <string.h>

static const char open_mark[] = "<think>", close_mark[] = "</think>";
#define N_OPEN  (sizeof open_mark - 1)
#define N_CLOSE (sizeof close_mark - 1)

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

thought_parts thought_split(const char *text, size_t n)
{
    thought_parts p = {.n_answer = n};
    size_t begin = 0, end;
    if (n == 0) return p;
    while (begin < n && is_space(text[begin])) begin++;
    bool opened = n - begin >= N_OPEN && memcmp(text + begin, open_mark, N_OPEN) == 0;
    if (opened) begin += N_OPEN;
    const char *close = memmem(text + begin, n - begin, close_mark, N_CLOSE);
    if (close == NULL && !opened) return p;
    p.kind = close == NULL ? THOUGHT_OPEN : THOUGHT_CLOSED;
    end = close == NULL ? n : (size_t)(close - text);
    p.answer = close == NULL ? n : end + N_CLOSE;
    while (p.answer < n && is_space(text[p.answer])) p.answer++;
    p.n_answer = n - p.answer;
    while (begin < end && is_space(text[begin])) begin++;
    while (end > begin && is_space(text[end - 1])) end--;
    p.thought = begin;
    p.n_thought = end - begin;
    return p;
}
