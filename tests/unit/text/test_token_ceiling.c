#include <criterion/criterion.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/text/token_ceiling.h"

/* Counts of the published tokenizers: cl100k_base (GPT-4), o200k_base (GPT-4o), Llama 2, Llama 3;
 * without marks of beginning and end. */
typedef struct counted_text {
    const char *text;
    size_t counts[4];
} counted_text;

static const counted_text texts[] = {
    {"Nina fills 4 trays with 6 shells each. She gives 9 shells to her brother and finds 12 more at the beach. How many shells does she have now?",
     {37, 37, 43, 37}},
    {"What is a place where you can buy bread and cakes?\nAnswer Choices:\n(a) bakery\n(b) hardware store\n(c) library\n(d) parking lot\n(e) university",
     {36, 36, 48, 36}},
    {"3.14159, 2,718,281 and -1.5e-7; 12:30 on 2024-02-29; (8 - 2) * 100 = 600", {45, 45, 62, 45}},
    {"WARNING: THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG AND NOBODY KNOWS WHY", {22, 22, 35, 22}},
    {"static size_t count_words(const char *text)\n{\n    size_t n = 0;\n    for (; *text != '\\0'; text++) n += *text == ' ';\n    return n;\n}\n",
     {42, 42, 53, 42}},
    {"{\"id\": 17, \"question\": \"What is 2 + 2?\", \"options\": [\"3\", \"4\", \"5\"], \"done\": false}",
     {35, 35, 37, 35}},
    {"Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
     {44, 38, 44, 44}},
    {"Все люди рождаются свободными и равными в своем достоинстве и правах.", {35, 17, 24, 22}},
    {"يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.", {35, 17, 45, 19}},
    {"सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।", {84, 25, 93, 43}},
    {"人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。", {33, 24, 39, 26}},
    {"主に子ども向けのもので、イラストのついた物語が書かれているものはどれ？\n(a) 世界\n(b) 写真集\n(c) 絵本",
     {56, 44, 59, 44}},
    {"모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.", {41, 24, 61, 24}},
    {"มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ", {65, 32, 65, 28}},
    {"“Quoted” – with a dash … 😀 and ½ of √2 ≤ 1 → ✅", {23, 20, 28, 22}},
};

Test(token_ceiling, is_at_least_what_tokenizers_count_and_at_most_twice_that)
{
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        size_t most = 0, found = token_ceiling(texts[i].text, strlen(texts[i].text));
        for (size_t k = 0; k < 4; k++) most = RT_MAX(most, texts[i].counts[k]);
        cr_expect_geq(found, most, "%s", texts[i].text);
        cr_expect_leq(found, 2 * most, "%s", texts[i].text);
    }
}

Test(token_ceiling, counts_by_the_rule)
{
    static const struct {
        const char *text;
        size_t expected;
    } cases[] = {
        {"", 0},       {" ", 1},      {"\n", 1},         {"cat", 1},       {"house", 2},
        {"houses", 2}, {"a b", 2},    {"a  b", 3},       {"a\n\n\nb", 4},  {"12", 2},
        {"a 1", 3},    {"NASA", 2},   {"Nasa", 1},       {"camelCase", 3}, {"...", 3},
        {"\u00e9", 1}, {"\u3042", 2}, {"\U0001f600", 3}, {"a \u3042", 4},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++)
        cr_expect_eq(token_ceiling(cases[i].text, strlen(cases[i].text)), cases[i].expected,
                     "%s: %zu", cases[i].text, token_ceiling(cases[i].text, strlen(cases[i].text)));
}

/* Two texts side by side are never fewer than the larger of them, whatever their bytes. */
Test(token_ceiling, never_falls_when_text_is_added)
{
    char bytes[64];
    rng_key key = rng_key_make(1, "text", (rt_id){0}, 0);
    for (uint64_t i = 0; i < 2000; i++) {
        size_t last = 0;
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (char)(rng_u64(key, i * 64 + k) & (i % 2 == 0 ? 0xff : 0x7f));
        for (size_t n = 4; n <= sizeof bytes; n += 4) { /* a blank may join the word behind it */
            size_t found = token_ceiling(bytes, n);
            cr_assert_geq(found + 1, last);
            last = found;
        }
    }
}
