/* Macros and functions that the C tests share. A failed check prints its place, and ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "splinter.h"

#define CHECK(claim)                                                                                          \
    do {                                                                                                      \
        if (!(claim)) {                                                                                       \
            fprintf(stderr, "%s:%d: %s does not hold (errno %d, %s)\n", __FILE__, __LINE__, #claim, errno,    \
                    strerror(errno));                                                                         \
            exit(1);                                                                                          \
        }                                                                                                     \
    } while (0)

/* Checks that a call returns a code and sets errno. */
#define FAILS(call, code, number)                                                                             \
    do {                                                                                                      \
        errno = 0;                                                                                            \
        CHECK((call) == (code));                                                                              \
        CHECK(errno == (number));                                                                             \
    } while (0)

/* Checks that a call that returns no int sets errno. */
#define SETS(call, number)                                                                                    \
    do {                                                                                                      \
        errno = 0;                                                                                            \
        call;                                                                                                 \
        CHECK(errno == (number));                                                                             \
    } while (0)

/* Returns how many threads of the process sleep, by /proc; -1 if /proc does not say. */
static inline int sleepers(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int count = 0;

    if (tasks == NULL) {
        return -1;
    }
    while ((task = readdir(tasks)) != NULL) {
        char path[300], line[256];
        FILE *file;
        snprintf(path, sizeof(path), "/proc/self/task/%s/stat", task->d_name);
        file = fopen(path, "r");
        if (file == NULL) {
            continue;
        }
        if (fgets(line, sizeof(line), file) != NULL) {
            const char *state = strrchr(line, ')');
            count += state != NULL && state[1] == ' ' && state[2] == 'S';
        }
        fclose(file);
    }
    closedir(tasks);
    return count;
}

/* Creates the default store with everything that a call can wait for: the key "key", an armed bus without pending
 * changes, and bid 2, which is not elected since bid 1 is. Returns the bus's descriptor. */
static inline int store_to_wait_on(const char *name)
{
    int bus;

    CHECK(splinter_create(name, 64, 64) == 0);
    CHECK(splinter_event_bus_init() == 0);
    bus = splinter_event_bus_open();
    CHECK(bus >= 0);
    CHECK(splinter_set("key", "x", 1) == 0);
    CHECK(splinter_event_bus_wait(bus, 1000) == 0);
    CHECK(splinter_shard_claim(1, SPL_INTENT_WILLNEED, 9, UINT64_MAX) == 0);
    CHECK(splinter_shard_claim(2, SPL_INTENT_WILLNEED, 1, UINT64_MAX) == 0);
    return bus;
}

#endif
