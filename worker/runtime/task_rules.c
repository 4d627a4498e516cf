#include "worker/runtime/task_rules.h"

static answer_rule_kind rule_kind_of(answer_kind kind)
{
    switch (kind) {
    case ANSWER_CHOICE: return RULE_CHOICE;
    case ANSWER_NUMBER: return RULE_NUMBER;
    case ANSWER_EQUATION: return RULE_EQUATION;
    case ANSWER_TEXT: return RULE_TEXT;
    case ANSWER_CLASS: return RULE_CLASS;
    }
    return RULE_TEXT;
}

answer_rules answer_rules_of_task(const task_config *task)
{
    answer_rules rules = {
        .kind = rule_kind_of(task->answer),
        .markers = (const char *const *)task->markers.items,
        .n_markers = task->markers.n,
        .stop_marks = (const char *const *)task->stop_marks.items,
        .n_stop_marks = task->stop_marks.n,
        .classes = (const char *const *)task->classes.items,
        .n_classes = task->classes.n,
    };
    return rules;
}

answer_rules answer_rules_of(const config *c)
{
    return answer_rules_of_task(&c->task);
}
