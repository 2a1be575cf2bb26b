/* Tests what programs for libsplinter 1.2 rely on beyond the behaviour of single functions. Compiled twice, as
 * behaviour.c is. The arguments are a unique name and, in a process that this one starts, the part to run. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

enum { SLOTS = 512, LONGEST = 64, KEYS = 400 };

static const char *program, *name;

static void set(const char *key, const char *value)
{
    CHECK(CALL(set, key, value, strlen(value)) == 0);
}

static void end_well(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Runs a part in another process, which shares only the name with this one. */
static void elsewhere(const char *part)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execl(program, program, name, part, (char *)NULL);
        _exit(127);
    }
    end_well(child);
}

static int dirty_bits(void)
{
    uint64_t mask[SPLINTER_EVENT_BUS_MASK_WORDS];
    int bits = 0;
    SETS(CALL(event_bus_get_dirty, mask, SPLINTER_EVENT_BUS_MASK_WORDS), 0);
    for (int bit = 0; bit < SPLINTER_MAX_SLOTS; bit++) {
        bits += (int)(mask[bit / 64] >> (bit % 64) & 1);
    }
    return bits;
}

/* A new store is empty, and its scrub level is hybrid. Successful calls leave errno alone. */
static void beginning(void)
{
    splinter_header_snapshot_t seen;
    struct splinter_header *header;

    CHECK(NS_PER_MS == 1000000ULL && SPLINTER_MAX_SLOTS == 64 * SPLINTER_EVENT_BUS_MASK_WORDS);
    CHECK(SPL_SLOT_DEFAULT_TYPE == SPL_SLOT_TYPE_VOID && SPL_SYS_RESERVED_2 == 4 && SPL_SYS_RESERVED_3 == 8);
    SETS(CHECK(OPEN_OR_CREATE(name, SLOTS, LONGEST) == 0), 0);
    header = CALL0(get_header);
    CHECK(CALL(get_header_snapshot, &seen) == 0);
    CHECK(seen.epoch == 1 && seen.core_flags == 3 && seen.parse_failures == 0 && seen.last_failure_epoch == 0);
    CHECK(splinter_config_snapshot(header) == (SPL_SYS_AUTO_SCRUB | SPL_SYS_HYBRID_SCRUB));
    set("one", "1");
    CHECK(CALL(get_header_snapshot, &seen) == 0 && seen.epoch == 2);
    CHECK(CALL(set_mop, 2) == 0 && splinter_config_snapshot(header) == SPL_SYS_AUTO_SCRUB);
    CHECK(CALL(set_mop, 0) == 0 && splinter_config_snapshot(header) == 0);
    splinter_config_set(header, SPL_SYS_HYBRID_SCRUB);
    CHECK(CALL0(get_mop) == 1 && splinter_config_snapshot(header) == SPL_SYS_HYBRID_SCRUB);
    /* Each bit reads as it was set, and clearing one leaves the others. */
    splinter_config_set(header, SPL_SYS_AUTO_SCRUB);
    CHECK(CALL0(get_mop) == 1 && splinter_config_snapshot(header) == 3);
    splinter_config_clear(header, SPL_SYS_HYBRID_SCRUB);
    CHECK(CALL0(get_mop) == 2 && splinter_config_snapshot(header) == SPL_SYS_AUTO_SCRUB);
    splinter_config_clear(header, SPL_SYS_AUTO_SCRUB);
    CHECK(CALL0(get_mop) == 0 && splinter_config_snapshot(header) == 0);
    splinter_config_set(header, SPL_SYS_AUTO_SCRUB);
    CHECK(CALL0(get_mop) == 2 && CALL0(get_av) == 1);
    CHECK(CALL(set_mop, 1) == 0);
    CHECK(CALL(unset, "one") == 1);
}

/* Checks that a successful call leaves errno as it was. */
#define KEEPS(call)                                                                                           \
    do {                                                                                                      \
        errno = 4242;                                                                                         \
        CHECK(call);                                                                                          \
        CHECK(errno == 4242);                                                                                 \
    } while (0)

static void *write_first(void *arg)
{
    (void)arg;
    KEEPS(CALL(set, "errno", "thread", 6) == 0);
    return NULL;
}

static void errno_stays(void)
{
    struct splinter_shard_bid_snapshot table[SPLINTER_MAX_SHARDS];
    uint64_t mask[1], one = 1, epoch;
    char *keys[4], buf[LONGEST];
    pthread_t thread;
    size_t len;
    int fd;

    KEEPS(CALL(set, "errno", "1", 1) == 0);
    CHECK(pthread_create(&thread, NULL, write_first, NULL) == 0 && pthread_join(thread, NULL) == 0);
    KEEPS(CALL(set, "errno", "1", 1) == 0);
    KEEPS(CALL(get, "errno", buf, sizeof(buf), &len) == 0);
    KEEPS(CALL(append, "errno", "2", 1, &len) == 0);
    KEEPS(CALL(list, keys, 4, &len) == 0);
    KEEPS(CALL(set_named_type, "errno", SPL_SLOT_TYPE_BIGUINT) == 0);
    KEEPS(CALL(integer_op, "errno", SPL_OP_INC, &one) == 0);
    KEEPS((epoch = CALL(get_epoch, "errno")) != 0);
    KEEPS(CALL(poll_after, "errno", epoch - 2, 1000, &epoch) == 0);
    KEEPS(CALL0(event_bus_init) == 0);
    KEEPS((fd = CALL0(event_bus_open)) >= 0);
    KEEPS(CALL(bump_slot, "errno") == 0);
    KEEPS(CALL(event_bus_wait, fd, 1000) == 0);
    KEEPS((CALL(event_bus_get_dirty, mask, 1), 1));
    KEEPS((CALL(event_bus_close, fd), 1));
    KEEPS(CALL(shard_claim, 1, SPL_INTENT_WILLNEED, 1, UINT64_MAX) == 0);
    KEEPS(CALL(shard_claim, 1, SPL_INTENT_WILLNEED, 1, UINT64_MAX) == 0);
    KEEPS(CALL(shard_table_snapshot, table, 4) == 4);
    KEEPS(CALL(madvise, 1, NULL, 0, 0, 1000000) == 0);
    KEEPS(CALL(shard_release, 1) == 0);
    KEEPS((CALL0(purge), 1));
    KEEPS((CLOSE(), 1));
    KEEPS(CREATE_OR_OPEN(name, SLOTS, LONGEST) == 0);
    KEEPS(CALL(unset, "errno") == 8);
    KEEPS((CLOSE(), 1));
    KEEPS(OPEN(name) == 0);
}

static void keep_match(const char *key, uint64_t epoch, void *kept)
{
    CHECK(epoch % 2 == 0);
    *(const char **)kept = key;
}

static void *list_and_end(void *keys)
{
    size_t count;
    CHECK(CALL(list, (char **)keys, KEYS, &count) == 0 && count == KEYS);
    return NULL;
}

/* A listed name stays readable when other keys are listed, and when the thread that listed it ends. */
static void listed_names_stay(void)
{
    char *keys[KEYS], *inner[KEYS], *more[KEYS], key[SPLINTER_KEY_MAX];
    char before[KEYS][SPLINTER_KEY_MAX];
    const char *match = NULL;
    pthread_t thread;
    size_t count;

    for (int number = 0; number < KEYS; number++) {
        snprintf(key, sizeof(key), "list%d", number);
        set(key, "x");
    }
    CHECK(pthread_create(&thread, NULL, list_and_end, keys) == 0 && pthread_join(thread, NULL) == 0);
    for (int number = 0; number < KEYS; number++) {
        strcpy(before[number], keys[number]);
    }
    CHECK(CALL(list, inner, KEYS, &count) == 0 && count == KEYS);
    for (int number = 0; number < KEYS; number++) {
        CHECK(strcmp(keys[number], before[number]) == 0);
        CHECK(CALL(list, more, KEYS, &count) == 0 && count == (size_t)(KEYS - number));
        CHECK(CALL(unset, keys[number]) == 1);
        CHECK(strcmp(keys[number], before[number]) == 0 && strcmp(inner[number], before[number]) == 0);
    }
    /* So does a name that a callback got. */
    set("matched", "x");
    CHECK(CALL(set_label, "matched", 2) == 0);
    CALL(enumerate_matches, 2, keep_match, &match);
    CHECK(CALL(unset, "matched") == 1);
    set("another", "x");
    CHECK(match != NULL && strcmp(match, "matched") == 0);
    CHECK(CALL(unset, "another") == 1);
}

static int returned;

static void *wait_on_bus(void *fd)
{
    CHECK(CALL(event_bus_wait, *(int *)fd, UINT64_MAX) == 0);
    __atomic_add_fetch(&returned, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Waits at most this many milliseconds. Returns whether both threads have returned. */
static int both_returned(int looks)
{
    while (__atomic_load_n(&returned, __ATOMIC_SEQ_CST) < 2 && looks-- > 0) {
        usleep(1000);
    }
    return __atomic_load_n(&returned, __ATOMIC_SEQ_CST) == 2;
}

/* Two threads that wait on one descriptor both return for one change. On a busy machine, one thread may begin to wait
 * only after the other took the change, and does not return. So the test asks for one round in which both return. */
static void two_threads_hear_one_change(int fd)
{
    pthread_t threads[2];
    int together = 0;

    for (int round = 0; round < 30 && together < 3; round++) {
        int asleep = sleepers(), looks = 0;
        __atomic_store_n(&returned, 0, __ATOMIC_SEQ_CST);
        for (int number = 0; number < 2; number++) {
            CHECK(pthread_create(&threads[number], NULL, wait_on_bus, &fd) == 0);
        }
        while (sleepers() < asleep + 2 && looks++ < 2000) {
            usleep(1000);
        }
        set("bus", "y");
        together += both_returned(1000);
        while (!both_returned(50)) {
            set("bus", "y");
        }
        for (int number = 0; number < 2; number++) {
            CHECK(pthread_join(threads[number], NULL) == 0);
        }
    }
    CHECK(together > 0);
}

/* The bus reports all changes since it was armed, also those before a wait, in this process and in another. */
static void bus(void)
{
    int fd, other;

    set("bus before", "x");
    CHECK(CALL0(event_bus_init) == 0);
    set("bus", "x");
    fd = CALL0(event_bus_open);
    CHECK(fd >= 0 && CALL(event_bus_wait, fd, 0) == 0);
    FAILS(CALL(event_bus_wait, fd, 0), -1, ETIMEDOUT);
    /* A descriptor that is opened later reports them, too. */
    other = CALL0(event_bus_open);
    CHECK(other >= 0 && CALL(event_bus_wait, other, 0) == 0);
    FAILS(CALL(event_bus_wait, other, 0), -1, ETIMEDOUT);
    CHECK(dirty_bits() == 1 && dirty_bits() == 0);
    elsewhere("opened");
    CHECK(dirty_bits() == 1);

    (void)CALL(event_bus_wait, fd, 0);
    two_threads_hear_one_change(fd);
    CHECK(CALL(unset, "bus") == 1 && CALL(unset, "bus before") == 1);
    CALL(event_bus_close, other);
    CALL(event_bus_close, fd);
    (void)dirty_bits();
}

/* Runs in a process that did not arm the bus. */
static void opened(void)
{
    int fd;
    CHECK(OPEN(name) == 0);
    CHECK(dirty_bits() == 1 && dirty_bits() == 0);
    fd = CALL0(event_bus_open);
    CHECK(fd >= 0 && CALL(event_bus_wait, fd, 0) == 0);
    FAILS(CALL(event_bus_wait, fd, 0), -1, ETIMEDOUT);
    set("bus", "z");
    CHECK(CALL(event_bus_wait, fd, 60000) == 0 && dirty_bits() == 1);
    CLOSE();
}

static void shards(void)
{
    struct splinter_shard_bid_snapshot table[SPLINTER_MAX_SHARDS + 1];
    splinter_intent_t intent = SPL_INTENT_WILLNEED;
    uint64_t now = splinter_now();

    memset(table, 0xa5, sizeof(table));
    CHECK(CALL(shard_claim, 7, (uint8_t)intent, 1, UINT64_MAX) == 0);
    CHECK(CALL(shard_claim, 8, (uint8_t)intent, 2, UINT64_MAX) == 0);
    CHECK(CALL(shard_table_snapshot, table, SPLINTER_MAX_SHARDS + 1) == SPLINTER_MAX_SHARDS);
    for (int index = 0; index < SPLINTER_MAX_SHARDS; index++) {
        CHECK((table[index].shard_id == 0) == (index >= 2) && table[index].expired == (index >= 2));
        CHECK(index < 2 || (table[index].pid == 0 && table[index].sovereign == 0));
    }
    CHECK(CALL(shard_table_snapshot, table, 5) == 5 && CALL(shard_table_snapshot, table, 1) == 1);
    CHECK(CALL(shard_table_snapshot, table, 0) == 0);
    /* A second claim refreshes the process's own bid: there is still one, with the new terms. */
    CHECK(CALL(shard_election, NULL) == 8);
    CHECK(CALL(shard_claim, 7, SPL_INTENT_SEQUENTIAL, 200, UINT64_MAX) == 0);
    CHECK(CALL(shard_election, NULL) == 7);
    CHECK(CALL(shard_claim_ex, 7, 4242, SPL_INTENT_RANDOM, 3, UINT64_MAX - 1, now - 5) == 0);
    CHECK(CALL(shard_table_snapshot, table, 3) == 3 && table[2].shard_id == 0);
    for (int index = 0; index < 2; index++) {
        if (table[index].shard_id == 7) {
            CHECK(table[index].pid == 4242 && table[index].intent == SPL_INTENT_RANDOM);
            CHECK(table[index].priority == 3 && table[index].duration_tsc == UINT64_MAX - 1);
            CHECK(table[index].claimed_at == now - 5);
        }
    }
    /* It also refreshes an expired bid. */
    CHECK(CALL(shard_claim, 8, SPL_INTENT_RANDOM, 9, 0) == 0 && CALL(shard_election, NULL) == 7);
    CHECK(CALL(shard_claim, 8, SPL_INTENT_RANDOM, 9, UINT64_MAX) == 0 && CALL(shard_election, NULL) == 8);
    elsewhere("bidder");
    CHECK(CALL(shard_release, 7) == 0 && CALL(shard_release, 8) == 0);
}

/* Runs in a process that has no bid. */
static void bidder(void)
{
    CHECK(OPEN(name) == 0);
    FAILS(CALL(shard_claim, 8, SPL_INTENT_RANDOM, 255, UINT64_MAX), -1, EEXIST);
    CHECK(CALL(shard_election, NULL) == 8);
    CLOSE();
}

static void scratchpad(void)
{
    splinter_slot_snapshot_t seen;
    uint64_t number = 0x0102030405060708;
    char got[LONGEST], wanted[LONGEST] = "0";
    size_t len;

    set("system", "0");
    for (int again = 0; again < 2; again++) {
        CHECK(CALL(set_as_system, "system") == 0);
        CHECK(CALL(get_slot_snapshot, "system", &seen) == 0);
        CHECK(seen.val_len == LONGEST && seen.type_flag == SPL_SLOT_TYPE_BINARY);
        CHECK((seen.user_flag & SPL_SLOT_SYSTEM) != 0);
        CHECK(CALL(get, "system", got, sizeof(got), &len) == 0 && len == LONGEST);
        CHECK(memcmp(got, wanted, LONGEST) == 0);
    }
    /* An integer becomes its bytes. */
    CHECK(CALL(set, "system", &number, sizeof(number)) == 0);
    CHECK(CALL(set_named_type, "system", SPL_SLOT_TYPE_BIGUINT) == 0);
    CHECK(CALL(set_as_system, "system") == 0);
    CHECK(CALL(get, "system", got, sizeof(got), &len) == 0 && len == LONGEST);
    memcpy(wanted, &number, sizeof(number));
    CHECK(memcmp(got, wanted, LONGEST) == 0);
    CHECK(CALL(unset, "system") == LONGEST);
}

/* Checks the number that a value becomes as a BIGUINT. */
static void reads_as(const void *bytes, size_t len, uint64_t wanted)
{
    uint64_t got = 0, one = 1;
    size_t got_len;
    CHECK(CALL(set, "biguint", bytes, len) == 0);
    CHECK(CALL(set_named_type, "biguint", SPL_SLOT_TYPE_BIGUINT) == 0);
    CHECK(CALL(get, "biguint", &got, sizeof(got), &got_len) == 0 && got_len == 8 && got == wanted);
    /* The key stays BIGUINT when it is set again. */
    CHECK(CALL(set, "biguint", bytes, len) == 0);
    CHECK(CALL(integer_op_fetch, "biguint", SPL_OP_INC, &one, &got) == 0 && got == wanted + 1);
    CHECK(CALL(unset, "biguint") == 8);
}

static void bigints(void)
{
    uint64_t digits, letters, nine = 9, got = 0;
    uint32_t word = 0x00010203;
    uint16_t half = 0xfffe;
    uint8_t byte = 5;
    static const char *const texts[] = {"words", "A", "-1", "1.5", "4 2"};

    memcpy(&digits, "12345678", 8);
    memcpy(&letters, "abcdefgh", 8);
    reads_as("12345678", 8, digits);
    reads_as("abcdefgh", 8, letters);
    reads_as(&nine, 8, 9);
    reads_as(&word, 4, 0x00010203);
    reads_as(&half, 2, 0xfffe);
    reads_as(&byte, 1, 5);
    reads_as("42", 2, 42);
    reads_as("18446744073709551615", 20, UINT64_MAX);
    for (size_t text = 0; text < sizeof(texts) / sizeof(texts[0]); text++) {
        set("text", texts[text]);
        FAILS(CALL(set_named_type, "text", SPL_SLOT_TYPE_BIGUINT), -1, EPROTOTYPE);
    }
    /* Every operation can return the new number. */
    CHECK(CALL(set, "text", &nine, 8) == 0 && CALL(set_named_type, "text", SPL_SLOT_TYPE_BIGUINT) == 0);
    CHECK(CALL(integer_op_fetch, "text", SPL_OP_INC, &nine, &got) == 0 && got == 18);
    CHECK(CALL(integer_op_fetch, "text", SPL_OP_NOT, NULL, &got) == 0 && got == ~(uint64_t)18);
    FAILS(CALL(integer_op_fetch, "text", SPL_OP_INC, &nine, NULL), -2, EINVAL);
    FAILS(CALL(integer_op_fetch, "text", SPL_OP_INC, NULL, &got), -2, EINVAL);
    FAILS(CALL(integer_op_fetch, "text", 6, &nine, &got), -1, EINVAL);
    FAILS(CALL(integer_op_fetch, "none", SPL_OP_INC, &nine, &got), -1, ENOENT);
    FAILS(CALL(integer_op_fetch, NULL, SPL_OP_INC, &nine, &got), -2, EINVAL);
    CHECK(CALL(get, "text", &got, 8, NULL) == 0 && got == ~(uint64_t)18);
    CHECK(CALL(unset, "text") == 8);
}

static void *set_later(void *arg)
{
    (void)arg;
    usleep(20000);
    set("after", "three");
    return NULL;
}

static void waits_from_an_epoch(void)
{
    uint64_t first, now = 0, later = 0;
    pthread_t thread;

    set("after", "one");
    first = CALL(get_epoch, "after");
    FAILS(CALL(poll_after, "after", first, 0, &now), -1, ETIMEDOUT);
    FAILS(CALL(poll_after, "after", first, 10, &now), -1, ETIMEDOUT);
    CHECK(now == 0);
    /* A change before the wait ends the wait. */
    set("after", "two");
    CHECK(CALL(poll_after, "after", first, UINT64_MAX, &now) == 0 && now == CALL(get_epoch, "after") && now > first);
    CHECK(pthread_create(&thread, NULL, set_later, NULL) == 0);
    CHECK(CALL(poll_after, "after", now, UINT64_MAX, &later) == 0 && later > now);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(CALL(poll_after, "after", first, 0, NULL) == 0);
    FAILS(CALL(poll_after, "none", first, 10, &now), -1, ENOENT);
    FAILS(CALL(poll_after, NULL, first, 10, &now), -2, EINVAL);
    CHECK(CALL(unset, "after") == 5);
}

/* Checks how often a call pulses the groups of the key and of its label. */
#define PULSES(call, times)                                                                                   \
    do {                                                                                                      \
        uint64_t own = CALL(get_signal_count, 5), of_label = CALL(get_signal_count, 6);                       \
        call;                                                                                                 \
        CHECK(CALL(get_signal_count, 5) == own + (times) && CALL(get_signal_count, 6) == of_label + (times)); \
    } while (0)

/* Functions that change the value pulse the key's groups, and so do pulses. Others, by which a program marks a key as
 * processed, pulse none. A poll of the key and a wait on the bus notice both kinds. */
static void groups(void)
{
    const void *orders[] = {"1"};
    const size_t lens[] = {1};
    struct splinter_slot slot;
    uint64_t one = 1, number, epoch;
    int fd;
#ifdef SPLINTER_EMBEDDINGS
    static float vector[SPLINTER_EMBED_DIM];
#endif

    set("group", "1");
    CHECK(CALL(watch_label_register, 4, 6) == 0 && CALL(set_label, "group", 4) == 0);
    CHECK(CALL(watch_register, "group", 5) == 0 && CALL(get_slot, "group", &slot) == 0);
    PULSES(set("group", "2"), 1);
    PULSES(CHECK(CALL(append, "group", "3", 1, NULL) == 0), 1);
    PULSES(CHECK(CALL(client_set_tandem, "group", orders, lens, 1) == 0), 1);
    PULSES(CHECK(CALL(bump_slot, "group") == 0), 1);
    PULSES(CHECK(CALL(pulse_keygroup, "group") == 0), 1);
    PULSES(splinter_pulse_watchers(&slot), 1);
    PULSES(CHECK(CALL(retrain_slot, "group") == 0), 1);
    fd = CALL0(event_bus_open);
    CHECK(fd >= 0);
    (void)CALL(event_bus_wait, fd, 0);
#define QUIET(call)                                                                                           \
    do {                                                                                                      \
        epoch = CALL(get_epoch, "group");                                                                     \
        PULSES(CHECK(call), 0);                                                                               \
        CHECK(CALL(poll_after, "group", epoch, 60000, NULL) == 0 && CALL(event_bus_wait, fd, 60000) == 0);    \
    } while (0)
    QUIET(CALL(set_named_type, "group", SPL_SLOT_TYPE_BIGUINT) == 0);
    QUIET(CALL(integer_op, "group", SPL_OP_INC, &one) == 0);
    QUIET(CALL(integer_op_fetch, "group", SPL_OP_INC, &one, &number) == 0 && number == 3);
    PULSES(CHECK(CALL(set_label, "group", 8) == 0), 0);
    PULSES(CHECK(CALL(unset_label, "group", 8) == 0), 0);
    PULSES(CHECK(CALL(set_slot_time, "group", SPL_TIME_CTIME, 9, 1) == 0), 0);
    PULSES(CHECK(CALL(set_slot_time, "group", SPL_TIME_ATIME, 9, 1) == 0), 0);
    PULSES(splinter_slot_usr_set(&slot, SPL_FUSR1), 0);
    PULSES(splinter_slot_usr_clear(&slot, SPL_FUSR1), 0);
    PULSES(CHECK(CALL(watch_register, "group", 9) == 0), 0);
    PULSES(CHECK(CALL(watch_unregister, "group", 9) == 0), 0);
    PULSES(CHECK(CALL(set_as_system, "group") == 0), 0);
#ifdef SPLINTER_EMBEDDINGS
    QUIET(CALL(set_embedding, "group", vector) == 0);
#endif
    PULSES(CHECK(CALL(unset, "group") == LONGEST), 0);
    CHECK(CALL(event_bus_wait, fd, 60000) == 0);
    CALL(event_bus_close, fd);
    set("group", "1");
    CHECK(CALL(set_label, "group", 4) == 0 && CALL(watch_register, "group", 5) == 0);
    PULSES(CALL(client_unset_tandem, "group", 1), 0);
    FAILS(CALL(get, "group", NULL, 0, NULL), -1, ENOENT);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    program = argv[0];
    name = argv[1];
    alarm(240);
    if (argc == 3) {
        strcmp(argv[2], "opened") == 0 ? opened() : bidder();
        return 0;
    }
    beginning();
    bus();
    errno_stays();
    listed_names_stay();
    shards();
    scratchpad();
    bigints();
    waits_from_an_epoch();
    groups();
    CLOSE();
    puts("held");
    return 0;
}
