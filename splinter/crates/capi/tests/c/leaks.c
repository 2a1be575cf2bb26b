/* Opens a store, calls functions of every kind that allocates something, and closes the store. Memcheck must find no
 * lost memory. The argument is a unique name. */
#include "check.h"

static void use(void)
{
    uint64_t mask[SPLINTER_EVENT_BUS_MASK_WORDS];
    char *keys[4];
    size_t count;
    splinter_transaction_t *changes;
    splinter_queue_t *queue;
    splinter_consumer_t *consumer;
    int fd;

    CHECK(splinter_set("key", "value", 5) == 0);
    CHECK(splinter_event_bus_init() == 0);
    fd = splinter_event_bus_open();
    CHECK(fd >= 0 && splinter_event_bus_open() >= 0);
    CHECK(splinter_set("key", "other", 5) == 0);
    CHECK(splinter_event_bus_wait(fd, 60000) == 0);
    splinter_event_bus_get_dirty(mask, SPLINTER_EVENT_BUS_MASK_WORDS);
    CHECK(splinter_list(keys, 4, &count) == 0 && count == 1);
    CHECK(splinter_shard_claim(1, SPL_INTENT_WILLNEED, 1, UINT64_MAX) == 0);
    FAILS(splinter_poll("key", 1), -1, ETIMEDOUT);
    changes = splinter_transaction_create();
    CHECK(splinter_transaction_set(changes, "key", "third", 5) == 0);
    CHECK(splinter_commit(changes, NULL, 0, NULL, NULL) == 0);
    splinter_transaction_free(changes);
    queue = splinter_queue_create("queue", 4, 16, UINT64_MAX);
    consumer = splinter_queue_join(queue, "default");
    CHECK(splinter_queue_send(queue, "x", 1, 0, NULL) == 0);
    CHECK(splinter_queue_recv(consumer, mask, sizeof(mask), NULL, 0, NULL) == 0);
    splinter_queue_leave(consumer);
    splinter_queue_close(queue);
    /* These end with the store. */
    queue = splinter_queue_open("queue");
    consumer = splinter_queue_join(queue, "default");
    CHECK(splinter_queue_recv(consumer, mask, sizeof(mask), NULL, 60000, NULL) == 0);
    CHECK(splinter_queue_send(queue, "x", 1, 0, NULL) == 0);
    CHECK(splinter_queue_remove("queue") == 0);
}

int main(int argc, char **argv)
{
    splinter_store_t *store;

    CHECK(argc == 2);
    CHECK(splinter_create(argv[1], 64, 128) == 0);
    use();
    splinter_close();
    CHECK(splinter_open(argv[1]) == 0);
    use();
    store = splinter_store_open(argv[1]);
    CHECK(store != NULL && splinter_store_set(store, "key", "x", 1) == 0);
    splinter_store_close(store);
    splinter_close();
    puts("held");
    return 0;
}
