/* What this processor can do and how many cores may be used. Found once, read-only afterwards. */
#ifndef FAL_BASE_CPU_H
#define FAL_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

typedef enum fal_cpu_level {
    FAL_CPU_PORTABLE, /* plain C */
    FAL_CPU_AVX2,     /* x86-64: AVX2, FMA, F16C */
    FAL_CPU_AVX512,   /* besides, AVX-512 with F, BW, VL, DQ and VNNI */
    FAL_CPU_NEON,     /* 64-bit ARM: NEON with dot products */
    FAL_CPU_LEVELS    /* how many there are */
} fal_cpu_level;

/* The level of this machine, capped by the environment variable FALCONER_CPU if it names a lower one of its family
 * (portable, avx2, avx512; portable, neon). */
fal_cpu_level fal_cpu_level_get(void);
const char *fal_cpu_level_name(fal_cpu_level level);

/* Tells the processor that this is a waiting loop. */
void fal_spin_pause(void);

/* Physical cores in the affinity mask, bounded by the cgroup's quota (rounded up); at least 1. */
int fal_usable_cores(void);

/* Memory in bytes that can be used without swapping, bounded by the cgroup's limit. */
uint64_t fal_available_memory(void);

/* The most memory in bytes that this process has held at once; 0 where the system does not tell. */
uint64_t fal_peak_memory(void);

/* Memory in bytes that this process holds now; 0 where the system does not tell. */
uint64_t fal_held_memory(void);

/* Seconds since some fixed moment, monotonic. */
double fal_seconds(void);

#endif
