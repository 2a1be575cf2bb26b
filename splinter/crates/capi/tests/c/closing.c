/* Closes a store while threads wait for it or open descriptors. The argument is a unique name. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

enum { OPENERS = 4, CYCLES = 100 };

static const char *name;
static int bus;
static volatile int busy = 1;

static void *poll_for_ever(void *arg)
{
    (void)arg;
    FAILS(splinter_poll("key", UINT64_MAX), -2, EINVAL);
    return NULL;
}

static void *listen_for_ever(void *arg)
{
    (void)arg;
    FAILS(splinter_event_bus_wait(bus, UINT64_MAX), -2, EINVAL);
    return NULL;
}

static void *bid_for_ever(void *arg)
{
    (void)arg;
    FAILS(splinter_madvise(2, NULL, 0, 0, UINT64_MAX), -2, EINVAL);
    return NULL;
}

static void waits_end(void)
{
    void *(*waits[])(void *) = {poll_for_ever, listen_for_ever, bid_for_ever};
    pthread_t threads[3];
    int looks = 0;

    bus = store_to_wait_on(name);
    for (int number = 0; number < 3; number++) {
        CHECK(pthread_create(&threads[number], NULL, waits[number], NULL) == 0);
    }
    /* Until the threads have begun to wait, as far as /proc says. */
    while (sleepers() < 3 && looks++ < 10000) {
        usleep(1000);
    }
    splinter_close();
    for (int number = 0; number < 3; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
}

static void *remove_later(void *arg)
{
    (void)arg;
    usleep(300000);
    CHECK(splinter_unset("key") == 1);
    return NULL;
}

static void polls_that_sleep_twice_still_hear(void)
{
    pthread_t thread;
    CHECK(splinter_open(name) == 0);
    FAILS(splinter_poll("key", 250), -1, ETIMEDOUT);
    CHECK(pthread_create(&thread, NULL, remove_later, NULL) == 0);
    CHECK(splinter_poll("key", UINT64_MAX) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    FAILS(splinter_poll("key", UINT64_MAX), -1, ENOENT);
    splinter_close();
}

static void *open_on(void *arg)
{
    (void)arg;
    while (busy) {
        int fd;
        (void)splinter_event_bus_init();
        fd = splinter_event_bus_open();
        if (fd >= 0) {
            (void)splinter_event_bus_wait(fd, 0);
            splinter_event_bus_close(fd);
        }
    }
    return NULL;
}

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void nothing_is_left_open(void)
{
    pthread_t threads[OPENERS];
    int before = descriptors();

    CHECK(splinter_open(name) == 0);
    for (int number = 0; number < OPENERS; number++) {
        CHECK(pthread_create(&threads[number], NULL, open_on, NULL) == 0);
    }
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        sched_yield();
        splinter_close();
        CHECK(splinter_open(name) == 0);
    }
    busy = 0;
    for (int number = 0; number < OPENERS; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    splinter_close();
    CHECK(descriptors() == before);
}

/* The program closes the descriptor itself, and uses its number for another file. */
static void a_number_that_is_another_file_stays(void)
{
    int fd, pipes[2];
    CHECK(splinter_open(name) == 0);
    CHECK(splinter_event_bus_init() == 0);
    fd = splinter_event_bus_open();
    CHECK(fd >= 0 && pipe(pipes) == 0);
    CHECK(dup2(pipes[1], fd) == fd);
    splinter_close();
    CHECK(write(fd, "x", 1) == 1);
    CHECK(close(fd) == 0 && close(pipes[0]) == 0 && close(pipes[1]) == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    name = argv[1];
    alarm(240);
    waits_end();
    polls_that_sleep_twice_still_hear();
    nothing_is_left_open();
    a_number_that_is_another_file_stays();
    puts("held");
    return 0;
}
