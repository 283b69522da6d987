/* What the commands know of the terminal. Line editing is line_input.c's. */
#include "cli/terminal.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/utf8.h"

#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void fal_terminal_open(void) {
    /* Only the encoding: numbers keep their point in every country. Without one, all text is taken as UTF-8. */
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
}

bool fal_terminal_is(FILE *stream) {
    return isatty(fileno(stream));
}

int fal_terminal_width(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
    return 80;
}

const char *fal_style_of(FILE *stream, fal_style style) {
    static const char *const sequences[] = {"\033[0m", "\033[1m", "\033[2m", "\033[1;36m",
                                            "\033[33m"};
    const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");
    if (!fal_terminal_is(stream) || (no_color && *no_color)) return "";
    if (!terminal || strcmp(terminal, "dumb") == 0) return "";
    return sequences[style];
}

/* ---- foreign text ---- */

static void write_code_point(FILE *stream, const char *text, int n, uint32_t code_point) {
    bool is_control = code_point < 0x20 || code_point == 0x7f;
    if (code_point == '\n' || code_point == '\t')
        fputc((int)code_point, stream);
    else if (is_control)
        fprintf(stream, "^%c", (int)(code_point ^ 0x40));
    else if (code_point >= 0x80
             && code_point < 0xa0) /* as good as an escape character to many terminals */
        fputs("\xef\xbf\xbd", stream);
    else
        fwrite(text, 1, (size_t)n, stream);
}

void fal_write_harmless(FILE *stream, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        uint32_t code_point = 0;
        int n = fal_utf8_decode(text + at, length - at, &code_point);
        if (n == 0)
            fputs("\xef\xbf\xbd", stream);
        else
            write_code_point(stream, text + at, n, code_point);
        at += n ? (size_t)n : 1;
    }
}

void fal_terminal_write(FILE *stream, const char *text, size_t length) {
    if (fal_terminal_is(stream))
        fal_write_harmless(stream, text, length);
    else if (length)
        fwrite(text, 1, length, stream);
}

void fal_terminal_notice(const char *format, ...) {
    char start[512], *whole = NULL;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(start, sizeof start, format, arguments);
    if (n >= (int)sizeof start) whole = fal_alloc((size_t)n + 1, 1);
    if (whole) vsnprintf(whole, (size_t)n + 1, format, again);
    va_end(again);
    va_end(arguments);

    /* Without memory the start has to do. */
    const char *text = whole ? whole : start;
    fflush(stdout);
    fputs(fal_style_of(stderr, FAL_STYLE_DIM), stderr);
    if (n > 0) fal_write_harmless(stderr, text, strlen(text));
    fprintf(stderr, "%s\n", fal_style_of(stderr, FAL_STYLE_PLAIN));
    fal_free(whole);
}

static void write_escaped(FILE *stream, unsigned char byte) {
    if (byte == '\n')
        fputs("\\n", stream);
    else if (byte == '\t')
        fputs("\\t", stream);
    else
        fprintf(stream, "\\x%02x", byte);
}

void fal_print_quoted(FILE *stream, const char *text, size_t length) {
    fputc('"', stream);
    for (size_t at = 0; at < length;) {
        uint32_t code_point = 0;
        int n = fal_utf8_decode(text + at, length - at, &code_point);
        bool is_control = code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
        int width = n ? n : 1;
        for (int i = 0; (n == 0 || is_control) && i < width; i++)
            write_escaped(stream, (unsigned char)text[at + (size_t)i]);
        if (n && !is_control) {
            if (text[at] == '"' || text[at] == '\\') fputc('\\', stream);
            fwrite(text + at, 1, (size_t)n, stream);
        }
        at += (size_t)width;
    }
    fputc('"', stream);
}

/* ---- numbers for people ---- */

void fal_format_bytes(char *out, size_t size, double bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 5) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, size,
             unit == 0       ? "%.0f %s"
             : bytes < 100   ? "%.1f %s"
             : bytes < 10240 ? "%.0f %s"
                             : "%.1e %s",
             bytes, units[unit]);
}

void fal_format_count(char *out, size_t size, double n) {
    if (n >= 1e9)
        snprintf(out, size, "%.2f B", n / 1e9);
    else if (n >= 1e6)
        snprintf(out, size, "%.2f M", n / 1e6);
    else
        snprintf(out, size, "%.0f", n);
}

void fal_format_duration(char *out, size_t size, double seconds) {
    long total = seconds < 0 ? 0 : seconds > 1e8 ? 100000000 : (long)(seconds + 0.5);
    if (total >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", total / 3600, total / 60 % 60, total % 60);
    else
        snprintf(out, size, "%ld:%02ld", total / 60, total % 60);
}

/* ---- progress ---- */

static void format_rate(const fal_progress *progress, char *out, size_t size, double rate) {
    char amount[32];
    if (progress->unit) {
        snprintf(out, size, "%.1f %s/s", rate, progress->unit);
        return;
    }
    fal_format_bytes(amount, sizeof amount, rate);
    snprintf(out, size, "%s/s", amount);
}

fal_progress fal_progress_open(const char *what, const char *unit) {
    return (fal_progress){.what = what, .unit = unit, .started = fal_seconds()};
}

void fal_progress_show(fal_progress *progress, uint64_t n_done, uint64_t n_total) {
    if (!fal_terminal_is(stderr) || n_total == 0) return;
    double now = fal_seconds();
    if (now - progress->drawn < 0.1 && n_done < n_total) return;
    progress->drawn = now;
    progress->is_shown = true;

    double share = (double)n_done / (double)n_total, elapsed = now - progress->started;
    double rate = elapsed > 0 ? (double)(n_done - progress->n_before) / elapsed : 0;
    char speed[48], left[32], bar[41];
    format_rate(progress, speed, sizeof speed, rate);
    fal_format_duration(left, sizeof left, rate > 0 ? (double)(n_total - n_done) / rate : 0);
    int room = fal_terminal_width() - (int)strlen(progress->what) - 42;
    int width = room > 40 ? 40 : room < 0 ? 0 : room, filled = (int)(share * width);
    memset(bar, '#', (size_t)filled);
    memset(bar + filled, '.', (size_t)(width - filled));
    bar[width] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %3.0f%%", progress->what, bar, share * 100);
    if (rate > 0) fprintf(stderr, "  %s  %s left", speed, left);
    fflush(stderr);
}

void fal_progress_clear(fal_progress *progress) {
    if (progress->is_shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->is_shown = false;
}

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t n_interrupts, n_interrupts_to_end, is_terminated;

static void on_interrupt(int number) {
    n_interrupts = n_interrupts + 1;
    if (number != SIGINT) is_terminated = 1;
    if (n_interrupts < n_interrupts_to_end) return;
    signal(number, SIG_DFL);
    raise(number);
}

void fal_interrupt_watch(int n_to_end) {
    n_interrupts_to_end = n_to_end;
    /* Without SA_RESTART, so that a read at the prompt returns. */
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    /* What nohup ignores stays ignored. */
    static const int endings[] = {SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        struct sigaction before;
        if (sigaction(endings[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(endings[i], &action, NULL);
    }
}

bool fal_interrupt_is_raised(void) {
    return n_interrupts > 0 || is_terminated;
}

bool fal_interrupt_is_final(void) {
    return is_terminated;
}

void fal_interrupt_clear(void) {
    n_interrupts = 0;
}
