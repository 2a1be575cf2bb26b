/* What the tests in C share. A check that does not hold says where, and ends the program. */
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

/* A call that has to return a code and set errno. */
#define FAILS(call, code, number)                                                                             \
    do {                                                                                                      \
        errno = 0;                                                                                            \
        CHECK((call) == (code));                                                                              \
        CHECK(errno == (number));                                                                             \
    } while (0)

/* A call that returns no int. */
#define SETS(call, number)                                                                                    \
    do {                                                                                                      \
        errno = 0;                                                                                            \
        call;                                                                                                 \
        CHECK(errno == (number));                                                                             \
    } while (0)

/* How many threads of the process sleep, as the kernel tells it; -1 where it does not. */
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

/* Creates the process's own store with all that can be waited for: the key "key", an armed bus, of which the descriptor is
 * returned and nothing is pending, and a bid 2 that is not elected, for 1 is. */
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
