/* 32 threads on one store write, read, list and count, without a handle and by handles, while other handles are opened
 * and closed. Then more threads run at once than the store has writers. The arguments are a unique name, and the number
 * of rounds of each thread. */
#include <pthread.h>
#include <sched.h>

#include "check.h"

enum { THREADS = 32, CROWD = 300, LONGEST = 64 };

static int rounds;
static splinter_store_t *shared;
static const char *name;

/* Repeats a call while another thread writes the key. */
#define RETRY(call)                                                                                           \
    do {                                                                                                      \
        while ((call) < 0) {                                                                                  \
            CHECK(errno == EAGAIN);                                                                           \
            sched_yield();                                                                                    \
        }                                                                                                     \
    } while (0)

static void *work(void *arg)
{
    int number = *(int *)arg;
    char key[SPLINTER_KEY_MAX], value[LONGEST], buf[LONGEST];
    char *keys[2 * THREADS];
    size_t len, count;
    uint64_t one = 1;

    snprintf(key, sizeof(key), "thread%d", number);
    for (int round = 0; round < rounds; round++) {
        snprintf(value, sizeof(value), "%d of %d", round, number);
        RETRY(splinter_set(key, value, strlen(value)));
        CHECK(splinter_store_get(shared, key, buf, sizeof(buf), &len) == 0);
        CHECK(len == strlen(value) && memcmp(buf, value, len) == 0);
        RETRY(splinter_integer_op("count", SPL_OP_INC, &one));
        RETRY(splinter_store_append(shared, key, "!", 1, NULL));
        if (round % 16 == number % 16) {
            /* The list is right, even if other threads list meanwhile. */
            CHECK(splinter_list(keys, 2 * THREADS, &count) == 0 && count >= 2);
            for (size_t index = 0; index < count; index++) {
                CHECK(strncmp(keys[index], "thread", 6) == 0 || strcmp(keys[index], "count") == 0);
            }
        }
        if (round % 64 == number % 16) {
            splinter_store_t *mine = splinter_store_open(name);
            CHECK(mine != NULL);
            RETRY(splinter_store_bump_slot(mine, key));
            splinter_store_close(mine);
            FAILS(splinter_store_bump_slot(mine, key), -2, EINVAL);
        }
    }
    return NULL;
}

static void *count_once(void *arg)
{
    uint64_t one = 1;
    (void)arg;
    RETRY(splinter_integer_op("count", SPL_OP_INC, &one));
    return NULL;
}

static void *use_until_closed(void *arg)
{
    char buf[LONGEST];
    size_t len;
    int number = *(int *)arg;

    for (;;) {
        int code = number % 2 == 0 ? splinter_get("count", buf, sizeof(buf), &len)
                                   : splinter_set("racing", "x", 1);
        if (code == -2) {
            CHECK(errno == EINVAL);
            return NULL;
        }
        CHECK(code == 0 || errno == EAGAIN);
    }
}

static uint64_t counted(void)
{
    uint64_t count = 0;
    CHECK(splinter_get("count", &count, sizeof(count), NULL) == 0);
    return count;
}

int main(int argc, char **argv)
{
    pthread_t threads[CROWD];
    int numbers[CROWD];

    CHECK(argc == 3);
    name = argv[1];
    rounds = atoi(argv[2]);
    CHECK(splinter_create(name, 256, LONGEST) == 0);
    CHECK(splinter_set("count", "0", 1) == 0 && splinter_set_named_type("count", SPL_SLOT_TYPE_BIGUINT) == 0);
    shared = splinter_store_open(name);
    CHECK(shared != NULL);
    for (int number = 0; number < THREADS; number++) {
        numbers[number] = number;
        CHECK(pthread_create(&threads[number], NULL, work, &numbers[number]) == 0);
    }
    for (int number = 0; number < THREADS; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    CHECK(counted() == (uint64_t)THREADS * (uint64_t)rounds);

    /* More threads than the store has writers, each for a moment. */
    for (int number = 0; number < CROWD; number++) {
        CHECK(pthread_create(&threads[number], NULL, count_once, NULL) == 0);
    }
    for (int number = 0; number < CROWD; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    CHECK(counted() == (uint64_t)THREADS * (uint64_t)rounds + CROWD);

    /* Close the store while threads use it: their calls fail. */
    for (int number = 0; number < 8; number++) {
        CHECK(pthread_create(&threads[number], NULL, use_until_closed, &numbers[number]) == 0);
    }
    for (int yields = 0; yields < 100; yields++) {
        sched_yield();
    }
    splinter_close();
    for (int number = 0; number < 8; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    splinter_store_close(shared);
    puts("held");
    return 0;
}
