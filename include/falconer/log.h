/* The library is silent unless a sink is given to the thing being opened. */
#ifndef FALCONER_LOG_H
#define FALCONER_LOG_H

typedef enum fal_log_level {
    FAL_LOG_WARNING,
    FAL_LOG_INFO,
    FAL_LOG_DEBUG
} fal_log_level;

/* Receives one event: the area that speaks ("model") and a line without newline. */
typedef void fal_log_function(void *user, fal_log_level level, const char *area, const char *text);

/* Zero means silent. */
typedef struct fal_log {
    fal_log_function *function;
    void *user;
} fal_log;

#endif
