/* base/cpu.h: the level and its cap, cores, memory, the clock. The cap is read once, so it is tried in other processes:
 * this program called with the word `level` prints what it found. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "base/cpu.h"
#include "check.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;

/* Runs this program with FALCONER_CPU=cap (NULL: unset) and gives the word it prints. */
static void level_under(const char *cap, char *word, size_t size) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (cap) {
            setenv("FALCONER_CPU", cap, 1);
        } else {
            unsetenv("FALCONER_CPU");
        }
        dup2(ends[1], STDOUT_FILENO);
        execl(program, program, "level", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], word, size - 1);
    word[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    int how;
    waitpid(child, &how, 0);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void the_level_can_be_capped_and_not_raised(void **state) {
    (void)state;
    char free_level[32], word[32];
    level_under(NULL, free_level, sizeof free_level);
    bool is_above_avx2 = strcmp(free_level, "avx512") == 0;
    assert_true(is_above_avx2 || strcmp(free_level, "avx2") == 0 || strcmp(free_level, "neon") == 0
                || strcmp(free_level, "portable") == 0);
    level_under("portable", word, sizeof word);
    assert_string_equal(word, "portable");
    level_under("avx2", word, sizeof word);
    assert_string_equal(word, is_above_avx2 ? "avx2" : free_level);
    level_under("avx512", word, sizeof word);
    assert_string_equal(word, free_level);
    level_under("nonsense", word, sizeof word);
    assert_string_equal(word, free_level);
    level_under("", word, sizeof word);
    assert_string_equal(word, free_level);
}

/* Whether a line of features has all of these words, which end with NULL. */
static bool has_all(const char *line, const char *const *words) {
    for (int i = 0; words[i]; i++) {
        if (!strstr(line, words[i])) return false;
    }
    return true;
}

/* The kernel's own list of features is an independent witness. */
static void the_level_agrees_with_the_system(void **state) {
    (void)state;
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) skip();
    char *line = NULL;
    size_t capacity = 0;
    static const char *const avx2[] = {" avx2", " fma", " f16c", NULL};
    static const char *const avx512[] = {" avx512f",  " avx512bw",    " avx512vl",
                                         " avx512dq", " avx512_vnni", NULL};
    const char *expected = NULL;
    while (!expected && getline(&line, &capacity, file) > 0) {
        if (strncmp(line, "Features", 8) == 0) /* on ARM */
            expected = strstr(line, " asimddp") ? "neon" : "portable";
        if (strncmp(line, "flags", 5) != 0) continue;
        expected = !has_all(line, avx2) ? "portable" : has_all(line, avx512) ? "avx512" : "avx2";
    }
    free(line);
    fclose(file);
    char word[32];
    level_under(NULL, word, sizeof word);
    assert_string_equal(word, expected ? expected : "portable");
}

static void cores_follow_the_affinity_mask(void **state) {
    (void)state;
    cpu_set_t before, one;
    assert_in_range(fal_usable_cores(), 1, 65536);
    if (sched_getaffinity(0, sizeof before, &before) != 0) skip();
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET((size_t)cpu, &before)) CPU_SET((size_t)cpu, &one);
    assert_in_range(fal_usable_cores(), 1, CPU_COUNT(&before));
    if (sched_setaffinity(0, sizeof one, &one) != 0) skip();
    assert_int_equal(fal_usable_cores(), 1);
    sched_setaffinity(0, sizeof before, &before);
}

static void memory_and_clock_are_sane(void **state) {
    (void)state;
    uint64_t memory = fal_available_memory();
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    assert_true(memory > 1u << 20);
    assert_true(memory <= (uint64_t)pages * (uint64_t)page);
    double before = fal_seconds();
    usleep(20000);
    double passed = fal_seconds() - before;
    assert_true(passed >= 0.019 && passed < 30);
}

int main(int argc, char **argv) {
    program = argv[0];
    if (argc > 1) {
        fputs(fal_cpu_level_name(fal_cpu_level_get()), stdout);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_level_can_be_capped_and_not_raised),
        cmocka_unit_test(the_level_agrees_with_the_system),
        cmocka_unit_test(cores_follow_the_affinity_mask),
        cmocka_unit_test(memory_and_clock_are_sane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
