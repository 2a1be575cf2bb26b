/* Two processes that share only a name, and forked children. The arguments are a unique name and the part to run: the
 * first process starts the other one. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { SLOTS = 32, LONGEST = 64, PINGS = 50 };

static void end_well(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Waits until a key has a value, however often it changes meanwhile. */
static void await(const char *key, const char *wanted)
{
    char buf[LONGEST + 1];
    size_t len;
    for (;;) {
        CHECK(splinter_get(key, buf, LONGEST, &len) == 0 || errno == EAGAIN);
        buf[len] = '\0';
        if (strcmp(buf, wanted) == 0) {
            return;
        }
        /* The key may have changed before the wait, so wait 10 ms at most. */
        CHECK(splinter_poll(key, 10) == 0 || errno == ETIMEDOUT);
    }
}

static void other(const char *name)
{
    char number[16];
    int fd;

    CHECK(splinter_open(name) == 0);
    /* The bus was armed by the first process. */
    fd = splinter_event_bus_open();
    CHECK(fd >= 0);
    for (int ping = 0; ping < PINGS; ping++) {
        snprintf(number, sizeof(number), "%d", ping);
        await("ping", number);
        CHECK(splinter_set("pong", number, strlen(number)) == 0);
    }
    CHECK(splinter_event_bus_wait(fd, UINT64_MAX) == 0);
    CHECK(splinter_shard_election(NULL) == 5);
    FAILS(splinter_shard_release(5), -1, EPERM);
    splinter_close();
}

static void first(const char *program, const char *name)
{
    char number[16];
    uint64_t dirty[SPLINTER_EVENT_BUS_MASK_WORDS];
    pid_t child;

    CHECK(splinter_create(name, SLOTS, LONGEST) == 0);
    CHECK(splinter_set("ping", "", 0) == 0 && splinter_set("pong", "", 0) == 0);
    CHECK(splinter_event_bus_init() == 0);
    CHECK(splinter_shard_claim(5, SPL_INTENT_NONE, 1, UINT64_MAX) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execl(program, program, name, "other", (char *)NULL);
        _exit(127);
    }
    for (int ping = 0; ping < PINGS; ping++) {
        snprintf(number, sizeof(number), "%d", ping);
        CHECK(splinter_set("ping", number, strlen(number)) == 0);
        await("pong", number);
    }
    end_well(child);
    splinter_event_bus_get_dirty(dirty, SPLINTER_EVENT_BUS_MASK_WORDS);
    CHECK(dirty[0] != 0);
}

static volatile int busy = 1;

static void *write_on(void *arg)
{
    (void)arg;
    while (busy) {
        CHECK(splinter_set("busy", "x", 1) == 0 || errno == EAGAIN);
    }
    return NULL;
}

/* A child uses the store that was open before the fork, with a writer of its own, while its parent's threads write. */
static void forks(const char *name)
{
    pthread_t writers[2];
    splinter_store_t *store = splinter_store_open(name);
    int fd = splinter_event_bus_open();

    CHECK(store != NULL && fd >= 0);
    for (int number = 0; number < 2; number++) {
        CHECK(pthread_create(&writers[number], NULL, write_on, NULL) == 0);
    }
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            int own;
            alarm(60);
            CHECK(splinter_get("ping", NULL, 0, NULL) == 0);
            CHECK(splinter_set("child", "x", 1) == 0);
            CHECK(splinter_store_append(store, "child", "y", 1, NULL) == 0);
            FAILS(splinter_event_bus_wait(fd, 0), -1, EINVAL);
            own = splinter_event_bus_open();
            CHECK(own >= 0 && splinter_set("child", "z", 1) == 0);
            CHECK(splinter_event_bus_wait(own, UINT64_MAX) == 0);
            FAILS(splinter_shard_release(5), -1, EPERM);
            splinter_store_close(store);
            splinter_close();
            FAILS(splinter_set("child", "z", 1), -2, EINVAL);
            CHECK(splinter_open(name) == 0 && splinter_unset("child") == 1);
            splinter_close();
            _exit(0);
        }
        end_well(child);
    }
    /* A killed child blocks no other process. */
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (;;) {
                (void)splinter_set("killed", "x", 1);
            }
        }
        while (splinter_get("killed", NULL, 0, NULL) != 0) {
            CHECK(errno == ENOENT || errno == EAGAIN);
        }
        CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
        CHECK(splinter_set("killed", "y", 1) == 0 && splinter_unset("killed") == 1);
    }
    busy = 0;
    for (int number = 0; number < 2; number++) {
        CHECK(pthread_join(writers[number], NULL) == 0);
    }
    splinter_store_close(store);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    if (strcmp(argv[2], "other") == 0) {
        other(argv[1]);
        return 0;
    }
    first(argv[0], argv[1]);
    forks(argv[1]);
    CHECK(splinter_shard_release(5) == 0);
    splinter_close();
    puts("held");
    return 0;
}
