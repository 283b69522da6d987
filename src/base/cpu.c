/* Body of cpu.h: asks the processor, the scheduler and the cgroup. The one place where the processor's kind is known. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#    include <cpuid.h>
#elif defined(__aarch64__)
#    include <sys/auxv.h>
#endif

static const char *const level_names[] = {[FAL_CPU_PORTABLE] = "portable",
                                          [FAL_CPU_AVX2] = "avx2",
                                          [FAL_CPU_AVX512] = "avx512",
                                          [FAL_CPU_NEON] = "neon"};

static pthread_once_t level_once = PTHREAD_ONCE_INIT;
static fal_cpu_level level_found;

static fal_cpu_level ask_processor(void) {
#if defined(__x86_64__)
    /* __builtin_cpu_supports of clang 14 does not know f16c: bit 29 of leaf 1. */
    unsigned eax, ebx, ecx = 0, edx;
    __builtin_cpu_init();
    bool has_f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx >> 29 & 1u);
    if (!has_f16c || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return FAL_CPU_PORTABLE;
    /* All that the set is compiled with; the built-in asks the system, too, whether it keeps the wide registers. */
    bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                      && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
                      && __builtin_cpu_supports("avx512vnni");
    return has_avx512 ? FAL_CPU_AVX512 : FAL_CPU_AVX2;
#elif defined(__aarch64__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? FAL_CPU_NEON : FAL_CPU_PORTABLE;
#else
    return FAL_CPU_PORTABLE;
#endif
}

void fal_spin_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Levels of ARM stand behind those of x86-64; a cap counts within its family. */
static bool is_of_family(fal_cpu_level level, fal_cpu_level found) {
    return level == FAL_CPU_PORTABLE || (level >= FAL_CPU_NEON) == (found >= FAL_CPU_NEON);
}

static void find_level(void) {
    level_found = ask_processor();
    const char *cap = getenv("FALCONER_CPU");
    if (!cap) return;
    for (int i = FAL_CPU_PORTABLE; i < (int)level_found; i++) {
        fal_cpu_level level = (fal_cpu_level)i;
        if (is_of_family(level, level_found) && strcmp(cap, level_names[level]) == 0)
            level_found = level;
    }
}

fal_cpu_level fal_cpu_level_get(void) {
    pthread_once(&level_once, find_level);
    return level_found;
}

const char *fal_cpu_level_name(fal_cpu_level level) {
    return level_names[level];
}

/* The first line of a small file of the kernel's; false if there is none. */
static bool read_line(const char *path, char *line, int size) {
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool found = fgets(line, size, file) != NULL;
    fclose(file);
    return found;
}

/* Counts a core once, by its first sibling in the affinity mask. */
static int physical_cores(void) {
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        return online > 0 ? (int)online : 1;
    }
    int cores = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &mask)) continue;
        char path[96], line[256];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                 cpu);
        bool counted = false;
        if (read_line(path, line, sizeof line)) {
            for (char *at = line; *at && !counted;) {
                long first = strtol(at, &at, 10), last = first;
                if (*at == '-') last = strtol(at + 1, &at, 10);
                for (long sibling = first; sibling <= last && sibling < cpu; sibling++)
                    counted |= sibling >= 0 && CPU_ISSET((size_t)sibling, &mask) != 0;
                if (*at != ',') break;
                at++;
            }
        }
        cores += !counted;
    }
    return cores > 0 ? cores : 1;
}

/* Cores that the cgroup's quota amounts to, rounded up; 0: no quota. */
static int quota_cores(void) {
    char line[128];
    long long quota = 0, period = 0;
    if (read_line("/sys/fs/cgroup/cpu.max", line, sizeof line)) {
        if (sscanf(line, "%lld %lld", &quota, &period) != 2) return 0;
    } else {
        if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", line, sizeof line)) return 0;
        quota = strtoll(line, NULL, 10);
        if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", line, sizeof line)) return 0;
        period = strtoll(line, NULL, 10);
    }
    if (quota <= 0 || period <= 0) return 0;
    return (int)((quota + period - 1) / period);
}

int fal_usable_cores(void) {
    int cores = physical_cores(), quota = quota_cores();
    return quota > 0 && quota < cores ? quota : cores;
}

static uint64_t cgroup_free_memory(void) {
    char line[128];
    bool is_second = read_line("/sys/fs/cgroup/memory.max", line, sizeof line);
    if (!is_second && !read_line("/sys/fs/cgroup/memory/memory.limit_in_bytes", line, sizeof line))
        return UINT64_MAX;
    char *end;
    uint64_t limit = strtoull(line, &end, 10);
    if (end == line) return UINT64_MAX; /* "max" */
    const char *used_path =
        is_second ? "/sys/fs/cgroup/memory.current" : "/sys/fs/cgroup/memory/memory.usage_in_bytes";
    uint64_t used = read_line(used_path, line, sizeof line) ? strtoull(line, NULL, 10) : 0;
    return limit > used ? limit - used : 0;
}

uint64_t fal_available_memory(void) {
    uint64_t available = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        unsigned long long kib;
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) available = kib * 1024;
    }
    if (file) fclose(file);
    uint64_t bound = cgroup_free_memory();
    return available < bound ? available : bound;
}

uint64_t fal_peak_memory(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

uint64_t fal_held_memory(void) {
    char line[128];
    unsigned long long n_pages = 0;
    long page_bytes = sysconf(_SC_PAGESIZE);
    if (!read_line("/proc/self/statm", line, sizeof line)) return 0;
    if (sscanf(line, "%*u %llu", &n_pages) != 1 || page_bytes <= 0) return 0;
    return (uint64_t)n_pages * (uint64_t)page_bytes;
}

double fal_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
