/* How a story is made: an opening gives a first amount (sometimes by a product), then one or two
 * events change it, then a question asks for it. Each piece writes its sentence and its steps of
 * arithmetic. A draw whose numbers leave 1..VALUE_MAX, or do not divide, is thrown away. */
#include "examples/arithmetic/story.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define VALUE_MAX    99
#define DRAWS_MAX    1000
#define DISTRACTOR_P 0.12f

typedef struct person {
    const char *name;
    const char *subject; /* "she" at the start of a sentence is written capitalised */
} person;

static const person people[] = {
    {"Nina", "She"}, {"Omar", "He"},  {"Lucy", "She"}, {"Ravi", "He"},  {"Hana", "She"},
    {"Karl", "He"},  {"Maya", "She"}, {"Theo", "He"},  {"Rosa", "She"}, {"Ivan", "He"},
    {"Aiko", "She"}, {"Juan", "He"},  {"Elsa", "She"}, {"Adam", "He"},  {"Zara", "She"},
    {"Noah", "He"},  {"Ines", "She"}, {"Yuto", "He"},  {"Vera", "She"}, {"Luca", "He"},
};
static const char *const things[] = {
    "shells", "keys", "apples", "stamps", "coins",  "books", "cards", "stones", "pens", "plums",
    "beads",  "cups", "nuts",   "ropes",  "photos", "eggs",  "roses", "tiles",  "hats", "maps",
};
static const char *const boxes[] = {"boxes", "bags", "trays", "jars", "baskets", "rows"};

/* One draw in progress. */
typedef struct draft {
    rng_key key;
    uint64_t n_drawn;
    problem *out;
    size_t n_question;
    size_t n_solution;
    int value;
    int n_steps;
    bool bad;
    const person *hero;
    const person *friend;
    const char *thing;
} draft;

static int draw(draft *d, int low, int high)
{
    return low + (int)rng_below(d->key, d->n_drawn++, (uint64_t)high - (uint64_t)low + 1);
}

static void say(draft *d, const char *fmt, ...) RT_PRINTF(2, 3);
static void say(draft *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t room = STORY_TEXT_MAX - d->n_question;
    const char *gap = d->n_question > 0 ? " " : "";
    int n = snprintf(d->out->question + d->n_question, room, "%s", gap);
    n += vsnprintf(d->out->question + d->n_question + n, room - (size_t)n, fmt, args);
    va_end(args);
    if ((size_t)n >= room)
        d->bad = true;
    else
        d->n_question += (size_t)n;
}

/* Write "a op b=c." and give c; anything out of range spoils the draw. */
static int step(draft *d, int a, char op, int b)
{
    int c = 0;
    if (op == '+') c = a + b;
    if (op == '-') c = a - b;
    if (op == '*') c = a * b;
    if (op == '/') {
        if (b == 0 || a % b != 0) d->bad = true;
        c = b == 0 ? 0 : a / b;
    }
    if (c < 1 || c > VALUE_MAX) d->bad = true;
    size_t room = STORY_TEXT_MAX - d->n_solution;
    int n = snprintf(d->out->solution + d->n_solution, room, "%s%d%c%d=%d.",
                     d->n_solution > 0 ? " " : "", a, op, b, c);
    if ((size_t)n >= room)
        d->bad = true;
    else
        d->n_solution += (size_t)n;
    d->n_steps++;
    return c;
}

/* ---- openings: a first amount ---- */

static void open_with_count(draft *d)
{
    d->value = draw(d, 5, 99);
    switch (draw(d, 0, 2)) {
    case 0: say(d, "%s has %d %s.", d->hero->name, d->value, d->thing); break;
    case 1: say(d, "There are %d %s in the house of %s.", d->value, d->thing, d->hero->name); break;
    default: say(d, "%s starts the week with %d %s.", d->hero->name, d->value, d->thing); break;
    }
}

static void open_with_boxes(draft *d)
{
    int k = draw(d, 2, 9), m = draw(d, 2, 12);
    const char *box = boxes[draw(d, 0, (int)RT_COUNT(boxes) - 1)];
    switch (draw(d, 0, 2)) {
    case 0: say(d, "%s fills %d %s with %d %s each.", d->hero->name, k, box, m, d->thing); break;
    case 1: say(d, "%s has %d %s of %d %s.", d->hero->name, k, box, m, d->thing); break;
    default:
        say(d, "In the house of %s there are %d %s with %d %s in each.", d->hero->name, k, box, m,
            d->thing);
        break;
    }
    d->value = step(d, k, '*', m);
}

static void open_with_two(draft *d)
{
    int a = draw(d, 5, 80), b = draw(d, 5, 80);
    switch (draw(d, 0, 1)) {
    case 0:
        say(d, "%s has %d red %s and %d blue %s.", d->hero->name, a, d->thing, b, d->thing);
        break;
    default:
        say(d, "%s finds %d %s in the morning and %d in the evening.", d->hero->name, a, d->thing,
            b);
        break;
    }
    d->value = step(d, a, '+', b);
}

/* ---- events: each changes the amount ---- */

static void event_gain(draft *d)
{
    int n = draw(d, 2, 60);
    switch (draw(d, 0, 3)) {
    case 0: say(d, "%s finds %d more.", d->hero->subject, n); break;
    case 1: say(d, "%s gives %s %d more.", d->friend->name, d->hero->name, n); break;
    case 2: say(d, "Then %s buys %d more %s.", d->hero->name, n, d->thing); break;
    default: say(d, "A day later %s gets %d new %s.", d->hero->name, n, d->thing); break;
    }
    d->value = step(d, d->value, '+', n);
}

static void event_loss(draft *d)
{
    int n = draw(d, 2, 60);
    switch (draw(d, 0, 3)) {
    case 0: say(d, "%s loses %d of them.", d->hero->subject, n); break;
    case 1: say(d, "%s gives %d to %s.", d->hero->subject, n, d->friend->name); break;
    case 2: say(d, "Then %s sells %d %s.", d->hero->name, n, d->thing); break;
    default: say(d, "%d of them break.", n); break;
    }
    d->value = step(d, d->value, '-', n);
}

static void event_daily_gain(draft *d)
{
    int days = draw(d, 2, 9), n = draw(d, 2, 9);
    switch (draw(d, 0, 1)) {
    case 0: say(d, "Each day for %d days %s finds %d more.", days, d->hero->name, n); break;
    default: say(d, "%d friends bring %s %d %s each.", days, d->hero->name, n, d->thing); break;
    }
    int total = step(d, days, '*', n);
    d->value = step(d, d->value, '+', total);
}

static void event_daily_loss(draft *d)
{
    int days = draw(d, 2, 9), n = draw(d, 2, 9);
    switch (draw(d, 0, 1)) {
    case 0: say(d, "Each day for %d days %s uses %d of them.", days, d->hero->name, n); break;
    default: say(d, "%s gives %d friends %d %s each.", d->hero->subject, days, n, d->thing); break;
    }
    int total = step(d, days, '*', n);
    d->value = step(d, d->value, '-', total);
}

/* ---- endings: the last step and its question ---- */

static void ask_left(draft *d)
{
    switch (draw(d, 0, 2)) {
    case 0: say(d, "How many %s does %s have now?", d->thing, d->hero->name); break;
    case 1: say(d, "How many %s are there now?", d->thing); break;
    default: say(d, "How many %s are left for %s?", d->thing, d->hero->name); break;
    }
}

static void ask_shared(draft *d)
{
    int k = draw(d, 2, 9);
    switch (draw(d, 0, 1)) {
    case 0:
        say(d, "%s shares them equally among %d friends. How many %s does each friend get?",
            d->hero->subject, k, d->thing);
        break;
    default:
        say(d, "%s puts them into %d bags, the same number in each. How many %s are in one bag?",
            d->hero->subject, k, d->thing);
        break;
    }
    d->value = step(d, d->value, '/', k);
}

static void ask_times(draft *d)
{
    int k = draw(d, 2, 5);
    say(d, "%s has %d times as many %s as %s. How many %s does %s have?", d->friend->name, k,
        d->thing, d->hero->name, d->thing, d->friend->name);
    d->value = step(d, d->value, '*', k);
}

static void ask_compared(draft *d)
{
    int n = draw(d, 2, 50);
    bool more = draw(d, 0, 1) == 0;
    say(d, "%s has %d %s %s than %s. How many %s does %s have?", d->friend->name, n,
        more ? "more" : "fewer", d->thing, d->hero->name, d->thing, d->friend->name);
    d->value = step(d, d->value, more ? '+' : '-', n);
}

static void ask_together(draft *d)
{
    int n = draw(d, 2, 60);
    say(d, "%s has %d %s. How many %s do they have together?", d->friend->name, n, d->thing,
        d->thing);
    d->value = step(d, d->value, '+', n);
}

/* ---- whole templates: shop, road, wage ---- */

static void tell_shop(draft *d)
{
    int price = draw(d, 2, 9), n = draw(d, 2, 9), paid = draw(d, 10, 99);
    switch (draw(d, 0, 2)) {
    case 0:
        say(d, "%s buys %d %s for %d dollars each and pays with %d dollars.", d->hero->name, n,
            d->thing, price, paid);
        say(d, "How many dollars does %s get back?", d->hero->name);
        d->value = step(d, paid, '-', step(d, n, '*', price));
        break;
    case 1:
        say(d, "%s has %d dollars and sells %d %s for %d dollars each.", d->hero->name, paid, n,
            d->thing, price);
        say(d, "How many dollars does %s have now?", d->hero->name);
        d->value = step(d, paid, '+', step(d, n, '*', price));
        break;
    default: {
        int other = draw(d, 2, 40);
        say(d, "%s buys %d %s for %d dollars each and a lamp for %d dollars.", d->hero->name, n,
            d->thing, price, other);
        say(d, "How many dollars does %s pay?", d->hero->name);
        d->value = step(d, step(d, n, '*', price), '+', other);
        break;
    }
    }
}

static void tell_road(draft *d)
{
    int speed = draw(d, 3, 12), hours = draw(d, 2, 9), rest = draw(d, 2, 60);
    say(d, "%s walks %d miles each hour for %d hours.", d->hero->name, speed, hours);
    int way = step(d, speed, '*', hours);
    if (draw(d, 0, 1) == 0) {
        say(d, "The next day %s walks %d miles. How many miles is that in all?", d->hero->name,
            rest);
        d->value = step(d, way, '+', rest);
    } else {
        say(d, "Then %s goes back %d miles. How far is %s from the start?", d->hero->name, rest,
            d->hero->name);
        d->value = step(d, way, '-', rest);
    }
}

static void tell_wage(draft *d)
{
    int wage = draw(d, 3, 12), hours = draw(d, 2, 9), cost = draw(d, 2, 60);
    say(d, "%s earns %d dollars each hour and works %d hours.", d->hero->name, wage, hours);
    int earned = step(d, wage, '*', hours);
    if (draw(d, 0, 1) == 0) {
        say(d, "%s spends %d dollars on %s.", d->hero->subject, cost, d->thing);
        d->value = step(d, earned, '-', cost);
    } else {
        say(d, "%s gives %s %d dollars.", d->friend->name, d->hero->name, cost);
        d->value = step(d, earned, '+', cost);
    }
    say(d, "How many dollars does %s have now?", d->hero->name);
}

/* A number that does not matter: the solver must learn to pass it over. */
static void distract(draft *d)
{
    if (rng_uniform(d->key, d->n_drawn++) >= DISTRACTOR_P) return;
    const char *other = things[draw(d, 0, (int)RT_COUNT(things) - 1)];
    if (other == d->thing) return;
    say(d, "%s also has %d %s.", d->hero->name, draw(d, 2, 60), other);
}

static void tell_story(draft *d)
{
    static void (*const openings[])(draft *) = {open_with_count, open_with_boxes, open_with_two};
    static void (*const events[])(draft *) = {event_gain, event_loss, event_daily_gain,
                                              event_daily_loss};
    static void (*const endings[])(draft *) = {ask_shared, ask_times, ask_compared, ask_together};
    openings[draw(d, 0, (int)RT_COUNT(openings) - 1)](d);
    events[draw(d, 0, (int)RT_COUNT(events) - 1)](d);
    if (d->n_steps < 2 && draw(d, 0, 1) == 0) events[draw(d, 0, 1)](d);
    distract(d);
    if (d->n_steps >= 3 || (d->n_steps == 2 && draw(d, 0, 1) == 0))
        ask_left(d);
    else
        endings[draw(d, 0, (int)RT_COUNT(endings) - 1)](d);
}

static void try_draw(draft *d)
{
    static void (*const templates[])(draft *) = {tell_shop, tell_road, tell_wage};
    int n_people = (int)RT_COUNT(people);
    int hero = draw(d, 0, n_people - 1);
    d->hero = &people[hero];
    d->friend = &people[(hero + draw(d, 1, n_people - 1)) % n_people];
    d->thing = things[draw(d, 0, (int)RT_COUNT(things) - 1)];
    int kind = draw(d, 0, 9);
    if (kind < (int)RT_COUNT(templates))
        templates[kind](d);
    else
        tell_story(d);
    if (d->n_steps < 2 || d->n_steps > 3) d->bad = true;
}

void story_write(rng_key key, uint64_t i, problem *out)
{
    /* Each problem owns a stretch of the key's counter, long enough for all its draws. */
    uint64_t n_drawn = i << 20;
    for (int t = 0; t < DRAWS_MAX; t++) {
        draft d = {.key = key, .n_drawn = n_drawn, .out = out};
        out->question[0] = out->solution[0] = '\0';
        try_draw(&d);
        n_drawn = d.n_drawn;
        if (d.bad) continue;
        out->answer = d.value;
        return;
    }
    RT_ASSERT(!"a thousand draws in a row were out of range");
}
