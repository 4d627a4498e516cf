/* docs/config.md: an introduction, then one table a section, from the table of settings. */
#include <string.h>

#include "common/conf/settings.h"

static const char introduction[] =
    "# Settings\n"
    "\n"
    "Made by `retort config reference`; a test keeps this page equal to the program.\n"
    "\n"
    "One YAML file describes a run; every process of the run reads the same file. The smallest one:\n"
    "\n"
    "```yaml\n"
    "name: arithmetic\n"
    "corpus: {files: [questions.jsonl]}\n"
    "teacher: {backend: recorded, files: [answers.jsonl], match_field: \"{input}\"}\n"
    "```\n"
    "\n"
    "- `retort config validate --config FILE` says what is wrong and on which line;\n"
    "  `retort config print` shows every setting as resolved.\n"
    "- `--set train.steps=500` replaces one setting; a list is written as YAML:\n"
    "  `--set 'corpus.files=[\"a.jsonl\", \"b.jsonl\"]'`.\n"
    "- `${NAME}` inside a value is replaced from the environment; a variable that is not set is an\n"
    "  error. `$${` stands for the characters `${`.\n"
    "- A secret is written `file:PATH` (its first line is the secret) or `${NAME}`, never as itself.\n"
    "  It is not printed and not logged.\n"
    "- Relative paths are relative to the current folder.\n"
    "- A setting marked ● decides the student: a run folder refuses to go on when one of them\n"
    "  differs from the run's start.\n"
    "- An unknown name, a wrong type, a value out of range or a name given twice is an error. YAML\n"
    "  aliases and tags are not allowed.\n";

static const struct {
    const char *section;
    const char *title;
} titles[] = {
    {"", "The run"},
    {"task", "What is asked"},
    {"corpus", "Unlabeled examples"},
    {"teacher", "Where labels come from"},
    {"prompt", "What the teacher is shown"},
    {"quality", "How far a teacher is trusted"},
    {"escalate", "A second teacher"},
    {"label", "Labelling"},
    {"cache", "Answers that were paid for"},
    {"limits", "What all teachers share: flow and money"},
    {"queue", "Redis"},
    {"tokenizer", "The student's tokenizer"},
    {"student", "The student's shape"},
    {"train", "Training"},
    {"eval", "Scoring"},
    {"launch", "Processes that `retort run` starts"},
    {"net", "Addresses and waits"},
    {"export", "The exported student"},
};

/* A cell of a table: a bar would end it, an end of line would end the row. */
static rt_status add_cell(rt_buf *out, const char *text, rt_error *err)
{
    rt_status st = RT_OK;
    for (; st == RT_OK && *text != '\0'; text++) {
        if (*text == '\n')
            st = rt_buf_add_text(out, "\\n", err);
        else if (*text == '|')
            st = rt_buf_add_text(out, "\\|", err);
        else
            st = rt_buf_add(out, text, 1, err);
    }
    return st;
}

static rt_status add_default(rt_buf *out, const setting *s, rt_error *err)
{
    rt_status st;
    if (s->type == SETTING_LIST) return rt_buf_add_text(out, "`[]`", err);
    bool is_text = s->type == SETTING_TEXT || s->type == SETTING_SECRET;
    if ((st = rt_buf_add_text(out, is_text ? "`\"" : "`", err)) != RT_OK) return st;
    if ((st = add_cell(out, s->default_text, err)) != RT_OK) return st;
    return rt_buf_add_text(out, is_text ? "\"`" : "`", err);
}

static rt_status add_expected(rt_buf *out, const setting *s, rt_error *err)
{
    switch (s->type) {
    case SETTING_TEXT: return rt_buf_add_text(out, "text", err);
    case SETTING_SECRET: return rt_buf_add_text(out, "secret", err);
    case SETTING_LIST:
        return s->names == NULL ? rt_buf_add_text(out, "list of texts", err)
                                : settings_expected(s, out, err);
    case SETTING_BOOL: return rt_buf_add_text(out, "true, false", err);
    case SETTING_U64: return rt_buf_printf(out, err, "%.0f … %.0f", s->min, s->max);
    case SETTING_DOUBLE: return rt_buf_printf(out, err, "%.10g … %.10g, real", s->min, s->max);
    case SETTING_ENUM: return settings_expected(s, out, err);
    }
    return RT_OK;
}

static rt_status add_row(rt_buf *out, const setting *s, rt_error *err)
{
    rt_status st;
    if ((st = rt_buf_printf(out, err, "| `%s` %s| ", s->path, s->decides_student ? "● " : "")) !=
        RT_OK)
        return st;
    if ((st = add_expected(out, s, err)) != RT_OK) return st;
    if ((st = rt_buf_add_text(out, " | ", err)) != RT_OK) return st;
    if ((st = add_default(out, s, err)) != RT_OK) return st;
    if ((st = rt_buf_printf(out, err, " | %s | ", s->unit)) != RT_OK) return st;
    if ((st = add_cell(out, s->help, err)) != RT_OK) return st;
    return rt_buf_add_text(out, " |\n", err);
}

rt_status config_reference(rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, introduction, err);
    size_t i_title = RT_COUNT(titles); /* none yet */
    for (size_t i = 0; st == RT_OK && i < settings_count(); i++) {
        const setting *s = settings_at(i);
        if (i_title == RT_COUNT(titles) || strcmp(titles[i_title].section, s->section) != 0) {
            for (i_title = 0; strcmp(titles[i_title].section, s->section) != 0; i_title++)
                RT_ASSERT(i_title + 1 < RT_COUNT(titles));
            bool is_top = s->section[0] == '\0';
            st = rt_buf_printf(out, err,
                               "\n## %s%s%s\n\n| setting | value | default | unit | meaning |\n"
                               "|---|---|---|---|---|\n",
                               s->section, is_top ? "" : ": ", titles[i_title].title);
        }
        if (st == RT_OK) st = add_row(out, s, err);
    }
    return st;
}
