/* What the tests in C share. A check that does not hold says where, and ends the program. */
#ifndef CHECK_H
#define CHECK_H

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

#endif
