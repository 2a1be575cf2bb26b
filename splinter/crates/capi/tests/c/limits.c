/* Limits: a full /dev/shm, a store that may only be read, more sleeping writers than writer ids, and no descriptor left. The
 * arguments are a unique name and the part of the test to run. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { LONGEST = 4096, IDLE = 300 };

/* /dev/shm has room for a small store, but not for one of 1024 long values. */
static void full(const char *name)
{
    char value[LONGEST], key[SPLINTER_KEY_MAX];

    FAILS(splinter_create(name, 1024, LONGEST), -1, ENOSPC);
    FAILS(splinter_open_or_create(name, 1024, LONGEST), -1, ENOSPC);
    FAILS(splinter_create_or_open(name, 1024, LONGEST), -1, ENOSPC);
    errno = 0;
    CHECK(splinter_store_create(name, 1024, LONGEST) == NULL && errno == ENOSPC);
    FAILS(splinter_open(name), -1, ENOENT);
    /* A store that was created can be filled completely. */
    memset(value, 'x', sizeof(value));
    CHECK(splinter_create(name, 4, LONGEST) == 0);
    for (int number = 0; number < 4; number++) {
        snprintf(key, sizeof(key), "key%d", number);
        CHECK(splinter_set(key, value, sizeof(value)) == 0);
    }
    FAILS(splinter_set("one more", value, sizeof(value)), -1, ENOSPC);
    splinter_close();
}

/* A store that the process may read but not write. */
static void readable(const char *name)
{
    splinter_store_t *store;
    char path[300], buf[8];
    size_t len;
    uint64_t one = 1;

    snprintf(path, sizeof(path), "/dev/shm/%s", name);
    CHECK(splinter_create(name, 16, 64) == 0);
    CHECK(splinter_set("key", "value", 5) == 0);
    splinter_close();
    CHECK(chmod(path, 0444) == 0);
    if (geteuid() == 0) {
        /* The superuser may write anything. */
        CHECK(seteuid(65534) == 0);
    }
    CHECK(splinter_open(name) == 0);
    CHECK(splinter_get("key", buf, sizeof(buf), &len) == 0 && len == 5 && memcmp(buf, "value", 5) == 0);
    FAILS(splinter_set("key", "x", 1), -1, EROFS);
    FAILS(splinter_unset("key"), -1, EROFS);
    FAILS(splinter_integer_op("key", SPL_OP_INC, &one), -1, EROFS);
    FAILS(splinter_event_bus_init(), -1, EROFS);
    FAILS(splinter_shard_claim(1, SPL_INTENT_NONE, 1, UINT64_MAX), -1, EROFS);
    FAILS(splinter_watch_register("key", 1), -1, EROFS);
    SETS(splinter_purge(), EROFS);
    FAILS(splinter_poll("key", 1), -1, ETIMEDOUT);
    CHECK(splinter_get("key", NULL, 0, &len) == 0 && len == 5);
    splinter_close();
    CHECK(splinter_open_or_create(name, 16, 64) == 0);
    FAILS(splinter_set("key", "x", 1), -1, EROFS);
    CHECK(splinter_create_or_open(name, 16, 64) == 0);
    FAILS(splinter_set("key", "x", 1), -1, EROFS);
    store = splinter_store_open(name);
    FAILS(splinter_store_set(store, "key", "x", 1), -1, EROFS);
    splinter_store_close(store);
    FAILS(splinter_create(name, 16, 64), -1, EEXIST);
    splinter_close();
    /* Opening fails for a store that may not even be read, with the kernel's first error. */
    CHECK(seteuid(getuid()) == 0 && chmod(path, 0) == 0);
    if (geteuid() == 0) {
        CHECK(seteuid(65534) == 0);
    }
    FAILS(splinter_open(name), -1, EACCES);
    CHECK(seteuid(getuid()) == 0);
}

static pthread_barrier_t all_wrote, end;

static void *write_once(void *arg)
{
    (void)arg;
    while (splinter_set("key", "x", 1) != 0) {
        CHECK(errno == EAGAIN);
        usleep(100);
    }
    pthread_barrier_wait(&all_wrote);
    pthread_barrier_wait(&end);
    return NULL;
}

/* More threads than the store has writer ids wrote once, and sleep: another process can still write. */
static void asleep(const char *program, const char *name)
{
    pthread_t threads[IDLE];
    int status = -1;
    pid_t child;

    CHECK(splinter_create(name, 16, 64) == 0);
    CHECK(pthread_barrier_init(&all_wrote, NULL, IDLE + 1) == 0);
    CHECK(pthread_barrier_init(&end, NULL, IDLE + 1) == 0);
    for (int number = 0; number < IDLE; number++) {
        CHECK(pthread_create(&threads[number], NULL, write_once, NULL) == 0);
    }
    pthread_barrier_wait(&all_wrote);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execl(program, program, name, "beside", (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(splinter_get("beside", NULL, 0, NULL) == 0);
    pthread_barrier_wait(&end);
    for (int number = 0; number < IDLE; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    splinter_close();
}

static void *write_without_descriptors(void *arg)
{
    (void)arg;
    while (splinter_set("key", "x", 1) != 0) {
        CHECK(errno == EAGAIN);
    }
    return NULL;
}

/* A process that has a writer has no descriptor left: its other threads can still write. */
static void descriptors(const char *name)
{
    struct rlimit before, few;
    pthread_t threads[4];

    CHECK(splinter_create(name, 16, 64) == 0);
    CHECK(splinter_set("key", "x", 1) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    few = before;
    few.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (int number = 0; number < 4; number++) {
        CHECK(pthread_create(&threads[number], NULL, write_without_descriptors, NULL) == 0);
    }
    for (int number = 0; number < 4; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    splinter_close();
}

static void beside(const char *name)
{
    CHECK(splinter_open(name) == 0);
    CHECK(splinter_set("beside", "x", 1) == 0);
    splinter_close();
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    alarm(240);
    if (strcmp(argv[2], "full") == 0) {
        full(argv[1]);
    }
    if (strcmp(argv[2], "readable") == 0) {
        readable(argv[1]);
    }
    if (strcmp(argv[2], "asleep") == 0) {
        asleep(argv[0], argv[1]);
    }
    if (strcmp(argv[2], "descriptors") == 0) {
        descriptors(argv[1]);
    }
    if (strcmp(argv[2], "beside") == 0) {
        beside(argv[1]);
        return 0;
    }
    puts("held");
    return 0;
}
