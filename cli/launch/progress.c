#include "cli/launch/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/text/display.h"
#include "common/text/utf8.h"

#define PLAIN_EVERY_MS  5000
#define BAR_COLUMNS_MAX 24
#define BAR_COLUMNS_MIN 8

void progress_begin(progress *p, int fd, bool terminal)
{
    *p = (progress){.fd = fd, .terminal = terminal};
}

void progress_duration(double seconds, char out[16])
{
    if (!(seconds >= 0) || seconds > 360000) {
        snprintf(out, 16, "?");
        return;
    }
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 16, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 16, "%u:%02u", s / 60, s % 60);
}

void progress_thousands(uint64_t n, char out[32])
{
    char plain[24];
    int n_digits = snprintf(plain, sizeof plain, "%" PRIu64, n);
    char *to = out;
    for (int i = 0; i < n_digits; i++) {
        if (i > 0 && (n_digits - i) % 3 == 0) *to++ = ',';
        *to++ = plain[i];
    }
    *to = '\0';
}

void progress_short_rate(double rate, char out[16])
{
    if (rate >= 1e6)
        snprintf(out, 16, "%.1fM", rate / 1e6);
    else if (rate >= 1e4)
        snprintf(out, 16, "%.0fk", rate / 1e3);
    else if (rate >= 1e3)
        snprintf(out, 16, "%.1fk", rate / 1e3);
    else
        snprintf(out, 16, "%.0f", rate);
}

/* Name, bar, text: the bar takes what the text leaves of the columns, up to its own size. */
static rt_status add_line(rt_buf *out, const char *name, double share, const rt_buf *text,
                          unsigned columns, rt_error *err)
{
    size_t used = strlen(name) + 1 + utf8_columns(text->data, text->n) + 1;
    size_t n_bar = columns > used ? RT_MIN(columns - used, (size_t)BAR_COLUMNS_MAX) : 0;
    rt_status st = rt_buf_printf(out, err, "%s ", name);
    if (n_bar < BAR_COLUMNS_MIN) n_bar = 0;
    size_t n_full = (size_t)(fmin(fmax(share, 0), 1) * (double)n_bar);
    for (size_t i = 0; i < n_bar && st == RT_OK; i++)
        st = rt_buf_add_text(out, i < n_full ? "█" : "░", err);
    if (st == RT_OK && n_bar > 0) st = rt_buf_add_text(out, " ", err);
    return st == RT_OK ? rt_buf_add(out, text->data, text->n, err) : st;
}

/* "  1.25/5.00 USD", and what it will come to while it is not done. */
static rt_status add_money(const run_stats *s, rt_buf *out, rt_error *err)
{
    if (!s->has_money) return RT_OK;
    rt_status st = s->budget > 0
                       ? rt_buf_printf(out, err, "  %.2f/%.2f %s", s->spent, s->budget, s->currency)
                       : rt_buf_printf(out, err, "  %.2f %s", s->spent, s->currency);
    if (st != RT_OK || s->labelling_done) return st;
    return rt_buf_printf(out, err, " (~%.2f)", s->projected);
}

static rt_status add_label_text(const run_stats *s, rt_buf *out, rt_error *err)
{
    char done[32], total[32], rejected[32], rate[16], eta[16];
    progress_thousands(s->n_labelled, done);
    progress_thousands(s->n_examples, total);
    progress_thousands(s->n_rejected, rejected);
    progress_short_rate(s->labelled_per_s, rate);
    progress_duration(s->label_eta_s, eta);
    rt_status st = rt_buf_printf(out, err, "%s/%s", done, total);
    if (st == RT_OK && s->n_rejected > 0) st = rt_buf_printf(out, err, "  rejected %s", rejected);
    if (st == RT_OK) st = add_money(s, out, err);
    if (st == RT_OK && s->labelling_done) return rt_buf_add_text(out, "  done", err);
    return st == RT_OK ? rt_buf_printf(out, err, "  %s/s  ETA %s", rate, eta) : st;
}

rt_status progress_label_line(const run_stats *s, unsigned columns, rt_buf *out, rt_error *err)
{
    rt_buf text = {0};
    uint64_t n_done = s->n_labelled + s->n_rejected;
    rt_status st = add_label_text(s, &text, err);
    if (st == RT_OK)
        st = add_line(out, "label", s->n_examples ? (double)n_done / (double)s->n_examples : 0,
                      &text, columns, err);
    rt_buf_free(&text);
    return st;
}

static rt_status add_train_text(const run_stats *s, rt_buf *out, rt_error *err)
{
    char step[32], total[32], rate[16], eta[16];
    progress_thousands(s->step, step);
    progress_thousands(s->n_steps, total);
    progress_short_rate(s->tokens_per_s, rate);
    progress_duration(s->train_eta_s, eta);
    rt_status st = rt_buf_printf(out, err, "step %s/%s", step, s->n_steps ? total : "?");
    if (st == RT_OK && !isnan(s->loss)) st = rt_buf_printf(out, err, "  loss %.3f", s->loss);
    if (st == RT_OK && s->training_done) return rt_buf_add_text(out, "  done", err);
    return st == RT_OK ? rt_buf_printf(out, err, "  %s tokens/s  ETA %s", rate, eta) : st;
}

rt_status progress_train_line(const run_stats *s, unsigned columns, rt_buf *out, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = add_train_text(s, &text, err);
    if (st == RT_OK)
        st = add_line(out, "train", s->n_steps ? (double)s->step / (double)s->n_steps : 0, &text,
                      columns, err);
    rt_buf_free(&text);
    return st;
}

rt_status progress_student_line(const run_stats *s, rt_buf *out, rt_error *err)
{
    if (isnan(s->compute_share)) return RT_OK;
    rt_status st = rt_buf_printf(
        out, err, "students  %.0f %% computing, %.0f %% waiting, %.0f %% pulling, %.0f %% pushing",
        100 * s->compute_share, 100 * s->wait_share, 100 * s->pull_share, 100 * s->push_share);
    if (st == RT_OK && s->push_beside_share >= 0.005)
        st = rt_buf_printf(out, err, " (and %.0f %% beside)", 100 * s->push_beside_share);
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

static unsigned terminal_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

static void put(const progress *p, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t k = write(p->fd, bytes, n);
        if (k <= 0) return; /* a closed terminal must not stop the run */
        bytes += k;
        n -= (size_t)k;
    }
}

static void erase(progress *p)
{
    for (unsigned i = 0; i < p->n_drawn; i++) put(p, "\033[1A\033[2K", 8);
    p->n_drawn = 0;
}

static rt_status compose(const run_stats *s, unsigned columns, const char *between, rt_buf *out,
                         unsigned *n_lines)
{
    rt_status st = RT_OK;
    *n_lines = 0;
    if (s->labels) {
        st = progress_label_line(s, columns, out, NULL);
        (*n_lines)++;
    }
    if (s->trains && st == RT_OK) {
        if (*n_lines > 0) st = rt_buf_add_text(out, between, NULL);
        if (st == RT_OK) st = progress_train_line(s, columns, out, NULL);
        (*n_lines)++;
    }
    if (s->problem[0] != '\0' && st == RT_OK) {
        if (*n_lines > 0) st = rt_buf_add_text(out, between, NULL);
        if (st == RT_OK)
            st = display_line(s->problem, strlen(s->problem), sizeof s->problem, out, NULL);
        (*n_lines)++;
    }
    return st;
}

static void show_terminal(progress *p, const run_stats *s)
{
    rt_buf text = {0};
    unsigned n_lines = 0;
    if (compose(s, terminal_columns(p->fd), "\n", &text, &n_lines) == RT_OK && n_lines > 0) {
        erase(p);
        put(p, "\033[?7l", 5); /* a line that is too long is cut, so that each takes one row */
        put(p, text.data, text.n);
        put(p, "\033[?7h\n", 6);
        p->n_drawn = n_lines;
    }
    rt_buf_free(&text);
}

rt_status progress_line(const run_stats *s, rt_buf *out, rt_error *err)
{
    unsigned n_lines;
    rt_status st = rt_buf_add(out, "", 0, err);
    return st == RT_OK ? compose(s, 0, " | ", out, &n_lines) : st;
}

static void show_plain(progress *p, const run_stats *s, uint64_t now_ms)
{
    rt_buf text = {0};
    if (now_ms < p->plain_next_ms) return;
    p->plain_next_ms = now_ms + PLAIN_EVERY_MS;
    if (progress_line(s, &text, NULL) == RT_OK && text.n > 0 &&
        strcmp(text.data, p->plain_last) != 0) {
        put(p, text.data, text.n);
        put(p, "\n", 1);
        snprintf(p->plain_last, sizeof p->plain_last, "%s", text.data);
    }
    rt_buf_free(&text);
}

void progress_show(progress *p, const run_stats *stats, uint64_t now_ms)
{
    if (p->terminal)
        show_terminal(p, stats);
    else
        show_plain(p, stats, now_ms);
}

void progress_say(progress *p, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line - 1, fmt, args);
    va_end(args);
    if (n < 0) return;
    size_t n_line = RT_MIN((size_t)n, sizeof line - 2);
    line[n_line++] = '\n';
    erase(p);
    put(p, line, n_line);
}

void progress_end(progress *p)
{
    p->plain_next_ms = 0;
    if (p->have_last) progress_show(p, &p->last, 1);
    p->have_last = false;
    p->n_drawn = 0; /* what is drawn stays */
}
