/* A daemon in the manner of the original's: it waits for a signal group, remembers the epoch of each key, computes, sets
 * the vector, the time and the labels, and takes the epoch plus two for its own work. It must process each key once and
 * stop, at every scrub level. Conditional changes, as it would use them to be sure. The argument is a unique name. */
#include "check.h"

enum { KEYS = 40, GROUP = 5, WAITING = 1, DONE = 2 };

/* The epoch of each key that the daemon made or found last. */
static uint64_t known[KEYS];
static int processed, rejected;

static int number_of(const char *key)
{
    return atoi(key + 4);
}

/* Makes the vector of a key, unless the daemon knows its epoch already. */
static void process(const char *key, uint64_t epoch, void *data)
{
    float vector[SPLINTER_EMBED_DIM] = {0};
    const int number = number_of(key);
    const uint64_t seen = splinter_get_epoch(key);

    (void)epoch;
    (void)data;
    if (known[number] == seen) {
        return;
    }
    vector[0] = (float)number;
    CHECK(splinter_set_embedding(key, vector) == 0);
    CHECK(splinter_set_slot_time(key, SPL_TIME_CTIME, splinter_now(), 0) == 0);
    CHECK(splinter_unset_label(key, WAITING) == 0);
    CHECK(splinter_set_label(key, DONE) == 0);
    rejected += splinter_get_epoch(key) != seen + 2;
    known[number] = seen + 2;
    processed++;
}

/* Processes keys until no signal comes any more. Returns how many signals there were. */
static int serve(uint64_t mask)
{
    static uint64_t before;
    int rounds = 0;

    while (splinter_get_signal_count(GROUP) != before) {
        before = splinter_get_signal_count(GROUP);
        splinter_enumerate_matches(mask, process, NULL);
        CHECK(++rounds < 10);
    }
    return rounds;
}

static void set_text(int number, const char *text)
{
    char key[16];

    snprintf(key, sizeof(key), "key %d", number);
    CHECK(splinter_set(key, text, strlen(text)) == 0);
    CHECK(splinter_set_label(key, WAITING) == 0);
    CHECK(splinter_watch_register(key, GROUP) == 0);
}

static void check_daemon(unsigned level)
{
    int number;
    char key[16];

    memset(known, 0, sizeof(known));
    processed = rejected = 0;
    CHECK(splinter_set_mop(level) == 0);
    for (number = 0; number < KEYS; number++) {
        set_text(number, "a text");
    }
    /* Subscribed by label and by key: a set of a key signals the group. */
    CHECK(splinter_set("key 0", "another text", 12) == 0);
    CHECK(serve(WAITING) == 1);
    CHECK(processed == KEYS && rejected == 0);
    /* A text changes: its key alone is processed again, whatever its labels are. */
    CHECK(splinter_set("key 7", "a later text", 12) == 0);
    CHECK(serve(DONE) == 1);
    CHECK(processed == KEYS + 1 && rejected == 0);
    /* Backfill: every key is looked at, and none is made again. */
    splinter_enumerate_matches(DONE, process, NULL);
    CHECK(processed == KEYS + 1 && rejected == 0);
    for (number = 0; number < KEYS; number++) {
        snprintf(key, sizeof(key), "key %d", number);
        CHECK(splinter_unset(key) > 0);
    }
}

static void check_conditions(void)
{
    float vector[SPLINTER_EMBED_DIM] = {1};
    char buf[32];
    size_t len;
    uint64_t first, epoch, found, number = 3;

    CHECK(splinter_set_if("k", "one", 3, SPL_IF_ABSENT, 0, &first) == 0);
    FAILS(splinter_set_if("k", "two", 3, SPL_IF_ABSENT, 0, &found), -1, EEXIST);
    CHECK(found == first);
    FAILS(splinter_set_if("none", "two", 3, SPL_IF_PRESENT, 0, NULL), -1, ENOENT);
    FAILS(splinter_set_if("k", "two", 3, 4, 0, NULL), -1, EINVAL);
    CHECK(splinter_get_with_epoch("k", buf, sizeof(buf), &len, &epoch) == 0 && len == 3 && epoch == first);
    CHECK(splinter_set_embedding_if("k", vector, SPL_IF_EPOCH, epoch, &epoch) == 0 && epoch == first + 2);
    CHECK(splinter_append_if("k", " more", 5, SPL_IF_EPOCH, first + 2, &epoch) == 0 && epoch == first + 4);
    /* The vector of the text before. */
    FAILS(splinter_set_embedding_if("k", vector, SPL_IF_EPOCH, first + 2, &found), -1, ESTALE);
    CHECK(found == first + 4);
    FAILS(splinter_unset_if("k", SPL_IF_EPOCH, first + 2, &found), -1, ESTALE);
    CHECK(splinter_unset_if("k", SPL_IF_EPOCH, first + 4, NULL) == 0);
    FAILS(splinter_unset_if("k", SPL_IF_ANY, 0, NULL), -1, ENOENT);
    CHECK(splinter_integer_op_or("n", SPL_OP_INC, &number, 10, &found) == 0 && found == 13);
    CHECK(splinter_integer_op_or("n", SPL_OP_INC, &number, 10, &found) == 0 && found == 16);
    FAILS(splinter_get_with_epoch("n", buf, 4, &len, &epoch), -1, EMSGSIZE);
    CHECK(len == 8);
}

int main(int argc, char **argv)
{
    unsigned level;

    CHECK(argc == 2);
    CHECK(splinter_create(argv[1], 64, 100) == 0);
    CHECK(splinter_watch_label_register(WAITING, GROUP) == 0);
    for (level = 0; level < 3; level++) {
        check_daemon(level);
    }
    check_conditions();
    splinter_close();
    puts("held");
    return 0;
}
