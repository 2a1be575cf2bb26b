/* Threads that end by pthread_cancel while they wait, and threads whose destructors use a store for the first time. The
 * argument is a unique name. */
#include <pthread.h>
#include <unistd.h>

#include "check.h"

enum { LATE = 100 };

static const char *name;
static pthread_key_t key;
static volatile int result;

/* Waits until the thread is cancelled; ends at once if pthread_cancel came during the previous call. */
static void be_cancelled(void)
{
    for (;;) {
        pause();
    }
}

static void *poll_a_moment(void *arg)
{
    (void)arg;
    result = splinter_poll("key", 300);
    be_cancelled();
    return NULL;
}

static void *listen_a_moment(void *arg)
{
    result = splinter_event_bus_wait(*(int *)arg, 300);
    be_cancelled();
    return NULL;
}

static void *bid_a_moment(void *arg)
{
    (void)arg;
    /* 10^9 ticks of the time-stamp counter: less than a second at some GHz. */
    result = splinter_madvise(2, NULL, 0, 0, 1000000000);
    be_cancelled();
    return NULL;
}

static void *open_when_cancelled(void *arg)
{
    void *store;
    (void)arg;
    CHECK(pthread_cancel(pthread_self()) == 0);
    store = splinter_store_open(name);
    CHECK(store != NULL);
    CHECK(splinter_store_set(store, "opened", "x", 1) == 0);
    splinter_store_close(store);
    result = -1;
    be_cancelled();
    return NULL;
}

/* A call runs to its end; the thread ends at its own next cancellation point. */
static void the_cancelled_end_behind_a_call(void)
{
    void *(*acts[])(void *) = {poll_a_moment, listen_a_moment, bid_a_moment, open_when_cancelled};
    int bus = store_to_wait_on(name);

    for (int number = 0; number < 4; number++) {
        pthread_t thread;
        void *end = NULL;
        result = 1;
        CHECK(pthread_create(&thread, NULL, acts[number], &bus) == 0);
        usleep(50000);
        (void)pthread_cancel(thread);
        CHECK(pthread_join(thread, &end) == 0);
        CHECK(end == PTHREAD_CANCELED);
        CHECK(result == -1);
    }
    CHECK(splinter_get("opened", NULL, 0, NULL) == 0);
    splinter_close();
}

static void use_late(void *arg)
{
    (void)arg;
    CHECK(splinter_set("late", "x", 1) == 0);
    CHECK(splinter_get("late", NULL, 0, NULL) == 0);
}

static void *end_late(void *arg)
{
    (void)arg;
    CHECK(pthread_setspecific(key, &key) == 0);
    return NULL;
}

/* Returns whether the store is mapped in this process; -1 if /proc does not say. */
static int is_mapped(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int found = 0;

    if (maps == NULL) {
        return -1;
    }
    while (fgets(line, sizeof(line), maps) != NULL) {
        found |= strstr(line, name) != NULL;
    }
    fclose(maps);
    return found;
}

static void destructors_that_use_a_store_keep_nothing(void)
{
    CHECK(pthread_key_create(&key, use_late) == 0);
    CHECK(splinter_open(name) == 0);
    CHECK(is_mapped() != 0);
    for (int number = 0; number < LATE; number++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, end_late, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    splinter_close();
    CHECK(is_mapped() != 1);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    name = argv[1];
    alarm(240);
    the_cancelled_end_behind_a_call();
    destructors_that_use_a_store_keep_nothing();
    puts("held");
    return 0;
}
