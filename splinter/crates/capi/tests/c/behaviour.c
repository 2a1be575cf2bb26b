/* Tests every function and every error, on a store of its own. Compiled twice: for the functions without a handle, and
 * with HANDLE for those that take one. The first argument is a unique name; in the persistent library, a path. */
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "calls.h"

enum { SLOTS = 64, LONGEST = 128 };

static const char *const too_long = "0123456789012345678901234567890123456789012345678901234567890123";

static void set(const char *key, const char *value)
{
    CHECK(CALL(set, key, value, strlen(value)) == 0);
}

static void has(const char *key, const char *value)
{
    char buf[LONGEST];
    size_t len = 0;
    CHECK(CALL(get, key, buf, sizeof(buf), &len) == 0);
    CHECK(len == strlen(value) && memcmp(buf, value, len) == 0);
}

#include "behaviour_store.h"

static void opening(const char *name)
{
    char long_name[5000];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';

    FAILS(OPEN(name), -1, ENOENT);
    FAILS(CREATE(NULL, SLOTS, LONGEST), NULL_STORE_CODE, EINVAL);
    FAILS(OPEN(NULL), NULL_STORE_CODE, EINVAL);
    FAILS(CREATE("", SLOTS, LONGEST), -1, EINVAL);
    FAILS(CREATE(long_name, SLOTS, LONGEST), -1, ENAMETOOLONG);
    FAILS(CREATE(name, 0, LONGEST), -1, EINVAL);
    FAILS(CREATE(name, SLOTS, 0), -1, EINVAL);
    FAILS(CREATE(name, SIZE_MAX, LONGEST), -1, EINVAL);
    FAILS(CREATE(name, SLOTS, SIZE_MAX), -1, EINVAL);
    CHECK(CREATE(name, SLOTS, LONGEST) == 0);
    set("kept", "value");
    CLOSE();
    FAILS(CREATE(name, SLOTS, LONGEST), -1, EEXIST);
    CHECK(CREATE_OR_OPEN(name, SLOTS, LONGEST) == 0);
    has("kept", "value");
    CLOSE();
    CHECK(OPEN_OR_CREATE(name, SLOTS, LONGEST) == 0);
    has("kept", "value");
    CLOSE();
    CHECK(OPEN(name) == 0);
    CHECK(CALL(unset, "kept") == 5);
}

static void values(void)
{
    char buf[LONGEST], big[LONGEST + 1] = {0};
    size_t len = 7;
    const void *raw;
    uint64_t epoch, before;

    set("key", "value");
    has("key", "value");
    CHECK(CALL(get, "key", NULL, 0, &len) == 0 && len == 5);
    CHECK(CALL(get, "key", NULL, 0, NULL) == 0);
    CHECK(CALL(get, "key", buf, 5, NULL) == 0);
    CHECK(CALL(get, "key", buf, SIZE_MAX, &len) == 0 && len == 5);
    memset(buf, 'z', sizeof(buf));
    FAILS(CALL(get, "key", buf, 4, &len), -1, EMSGSIZE);
    CHECK(len == 5 && buf[0] == 'z');
    FAILS(CALL(get, "none", buf, sizeof(buf), &len), -1, ENOENT);
    FAILS(CALL(get, NULL, buf, sizeof(buf), &len), -2, EINVAL);
    FAILS(CALL(get, "", buf, sizeof(buf), &len), -1, EINVAL);
    FAILS(CALL(get, too_long, buf, sizeof(buf), &len), -1, ENAMETOOLONG);

    CHECK(CALL(set, "key", "", 0) == 0);
    has("key", "");
    CHECK(CALL(set, "key", big, LONGEST) == 0);
    FAILS(CALL(set, "key", big, LONGEST + 1), -1, EMSGSIZE);
    FAILS(CALL(set, "key", big, SIZE_MAX), -1, EMSGSIZE);
    FAILS(CALL(set, "key", NULL, 1), -2, EINVAL);
    FAILS(CALL(set, "key", NULL, SIZE_MAX), -2, EINVAL);
    FAILS(CALL(set, NULL, "x", 1), -2, EINVAL);
    FAILS(CALL(set, "", "x", 1), -1, EINVAL);
    FAILS(CALL(set, too_long, "x", 1), -1, ENAMETOOLONG);
    CHECK(CALL(set, too_long + 1, "x", 1) == 0);
    CHECK(CALL(unset, too_long + 1) == 1);

    set("key", "one");
    CHECK(CALL(append, "key", "two", 3, &len) == 0 && len == 6);
    CHECK(CALL(append, "key", "!", 1, NULL) == 0);
    has("key", "onetwo!");
    FAILS(CALL(append, "none", "x", 1, NULL), -1, ENOENT);
    FAILS(CALL(append, "key", big, LONGEST, NULL), -1, EMSGSIZE);
    FAILS(CALL(append, "key", big, SIZE_MAX, NULL), -1, EMSGSIZE);
    FAILS(CALL(append, "key", NULL, 1, NULL), -2, EINVAL);
    FAILS(CALL(append, NULL, "x", 1, NULL), -2, EINVAL);

    raw = CALL(get_raw_ptr, "key", &len, &epoch);
    CHECK(raw != NULL && len == 7 && memcmp(raw, "onetwo!", 7) == 0);
    CHECK(epoch == CALL(get_epoch, "key") && epoch % 2 == 0);
    CHECK(CALL(get_raw_ptr, "key", NULL, NULL) == raw);
    SETS(CHECK(CALL(get_raw_ptr, "none", &len, &epoch) == NULL), ENOENT);
    SETS(CHECK(CALL(get_raw_ptr, NULL, &len, &epoch) == NULL), EINVAL);

    before = CALL(get_epoch, "key");
    CHECK(CALL(bump_slot, "key") == 0);
    CHECK(CALL(get_epoch, "key") > before);
    has("key", "onetwo!");
    FAILS(CALL(bump_slot, "none"), -1, ENOENT);
    FAILS(CALL(bump_slot, NULL), -2, EINVAL);
    SETS(CHECK(CALL(get_epoch, "none") == 0), ENOENT);
    SETS(CHECK(CALL(get_epoch, NULL) == 0), EINVAL);

    CHECK(CALL(unset, "key") == 7);
    FAILS(CALL(unset, "key"), -1, ENOENT);
    FAILS(CALL(unset, NULL), -2, EINVAL);
}

static void listing(void)
{
    char *keys[SLOTS];
    size_t count = 99;

    CHECK(CALL(list, keys, SLOTS, &count) == 0 && count == 0);
    set("a", "1");
    set("b", "2");
    CHECK(CALL(list, keys, SLOTS, &count) == 0 && count == 2);
    CHECK((strcmp(keys[0], "a") == 0 && strcmp(keys[1], "b") == 0)
          || (strcmp(keys[0], "b") == 0 && strcmp(keys[1], "a") == 0));
    has(keys[0], keys[0][0] == 'a' ? "1" : "2");
    CHECK(CALL(list, keys, 1, &count) == 0 && count == 1);
    CHECK(CALL(list, keys, 0, &count) == 0 && count == 0);
    CHECK(CALL(list, keys, SIZE_MAX, &count) == 0 && count == 2);
    FAILS(CALL(list, NULL, SLOTS, &count), -2, EINVAL);
    FAILS(CALL(list, keys, SLOTS, NULL), -2, EINVAL);
    CHECK(CALL(unset, "a") == 1 && CALL(unset, "b") == 1);
}

static void full(void)
{
    char key[SPLINTER_KEY_MAX];
    for (int number = 0; number < SLOTS; number++) {
        snprintf(key, sizeof(key), "full%d", number);
        CHECK(CALL(set, key, "x", 1) == 0);
    }
    FAILS(CALL(set, "one more", "x", 1), -1, ENOSPC);
    for (int number = 0; number < SLOTS; number++) {
        snprintf(key, sizeof(key), "full%d", number);
        CHECK(CALL(unset, key) == 1);
    }
}

static void polling(void)
{
    set("poll", "x");
    FAILS(CALL(poll, "poll", 0), -1, ETIMEDOUT);
    FAILS(CALL(poll, "poll", 10), -1, ETIMEDOUT);
    FAILS(CALL(poll, "none", 10), -1, ENOENT);
    FAILS(CALL(poll, "none", UINT64_MAX), -1, ENOENT);
    FAILS(CALL(poll, NULL, 10), -2, EINVAL);
    CHECK(CALL(unset, "poll") == 1);

    uint64_t epoch = 0, later = 0;
    FAILS(CALL(wait_for, "to come", 0, 1, NULL), -1, ETIMEDOUT);
    FAILS(CALL(watch_register_lasting, "to come", 64), -1, EINVAL);
    CHECK(CALL(watch_register_lasting, "to come", 44) == 0);
    set("to come", "x");
    CHECK(CALL(wait_for, "to come", 0, 60000, &epoch) == 0 && epoch == CALL(get_epoch, "to come"));
    FAILS(CALL(wait_for, "to come", epoch, 1, NULL), -1, ETIMEDOUT);
    CHECK(CALL(unset, "to come") >= 0);
    set("to come", "y");
    CHECK(CALL(wait_for, "to come", epoch, 60000, &later) == 0 && later > epoch);
    CHECK(CALL(get_signal_count, 44) == 2);
    CHECK(CALL(watch_unregister_lasting, "to come", 44) == 0);
    uint64_t count = CALL(get_signal_count, 44);
    CHECK(CALL(unset, "to come") >= 0);
    CHECK(CALL(watch_unregister_lasting, "to come", 44) == 0);
    CHECK(CALL(get_signal_count, 44) == count);
}

static void integers(void)
{
    uint64_t number = 6, got = 0;
    size_t len;
    unsigned char unaligned[9] = {0};
    static const struct {
        splinter_integer_op_t op;
        uint64_t result;
    } steps[] = {
        {SPL_OP_INC, 12}, {SPL_OP_DEC, 6}, {SPL_OP_AND, 6}, {SPL_OP_OR, 6}, {SPL_OP_XOR, 0}, {SPL_OP_NOT, UINT64_MAX},
    };

    set("number", "6");
    FAILS(CALL(integer_op, "number", SPL_OP_INC, &number), -1, EPROTOTYPE);
    CHECK(CALL(set_named_type, "number", SPL_SLOT_TYPE_BIGUINT) == 0);
    for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
        CHECK(CALL(integer_op, "number", steps[step].op, &number) == 0);
        CHECK(CALL(get, "number", &got, sizeof(got), &len) == 0 && len == 8);
        CHECK(got == steps[step].result);
    }
    CHECK(CALL(integer_op, "number", SPL_OP_NOT, NULL) == 0);
    unaligned[1] = 5;
    CHECK(CALL(integer_op, "number", SPL_OP_INC, unaligned + 1) == 0);
    CHECK(CALL(get, "number", &got, sizeof(got), NULL) == 0 && got == 5);
    /* A key stays BIGUINT when it is set to digits or to an integer. */
    set("number", "40");
    number = 2;
    CHECK(CALL(integer_op, "number", SPL_OP_INC, &number) == 0);
    CHECK(CALL(get, "number", &got, sizeof(got), NULL) == 0 && got == 42);
    got = 7;
    CHECK(CALL(set, "number", &got, sizeof(got)) == 0);
    CHECK(CALL(integer_op, "number", SPL_OP_INC, &number) == 0);
    CHECK(CALL(get, "number", &got, sizeof(got), NULL) == 0 && got == 9);
    FAILS(CALL(append, "number", "1", 1, NULL), -1, EPROTOTYPE);
    FAILS(CALL(integer_op, "number", SPL_OP_INC, NULL), -2, EINVAL);
    FAILS(CALL(integer_op, "number", 6, &number), -1, EINVAL);
    FAILS(CALL(integer_op, "number", -1, &number), -1, EINVAL);
    FAILS(CALL(integer_op, "none", SPL_OP_INC, &number), -1, ENOENT);
    FAILS(CALL(integer_op, NULL, SPL_OP_INC, &number), -2, EINVAL);
    CHECK(CALL(unset, "number") == 8);

    set("text", "words");
    FAILS(CALL(set_named_type, "text", SPL_SLOT_TYPE_BIGUINT), -1, EPROTOTYPE);
    FAILS(CALL(integer_op, "text", SPL_OP_INC, &number), -1, EPROTOTYPE);
    CHECK(CALL(unset, "text") == 5);
}

static int matched;

static void count_match(const char *key, uint64_t epoch, void *data)
{
    CHECK(strcmp(key, "slot") == 0 && epoch == *(uint64_t *)data);
    /* A callback may call any function. */
    CHECK(CALL(bump_slot, key) == 0);
    matched++;
}

static void slots(void)
{
    static const uint16_t types[] = {
        SPL_SLOT_TYPE_VOID, SPL_SLOT_TYPE_BIGINT, SPL_SLOT_TYPE_JSON, SPL_SLOT_TYPE_BINARY, SPL_SLOT_TYPE_IMGDATA,
        SPL_SLOT_TYPE_AUDIO, SPL_SLOT_TYPE_VARTEXT, SPL_SLOT_TYPE_VIDEO,
    };
    splinter_slot_snapshot_t seen;
    struct splinter_slot slot, own;
    uint64_t epoch;
    void *unknown;

    set("slot", "value");
    for (size_t type = 0; type < sizeof(types) / sizeof(types[0]); type++) {
        CHECK(CALL(set_named_type, "slot", types[type]) == 0);
        CHECK(CALL(get_slot_snapshot, "slot", &seen) == 0);
        CHECK(seen.type_flag == types[type]);
    }
    FAILS(CALL(set_named_type, "slot", 0), -1, EINVAL);
    FAILS(CALL(set_named_type, "slot", 3), -1, EINVAL);
    FAILS(CALL(set_named_type, "slot", 512), -1, EINVAL);
    FAILS(CALL(set_named_type, "none", SPL_SLOT_TYPE_JSON), -1, ENOENT);
    FAILS(CALL(set_named_type, NULL, SPL_SLOT_TYPE_JSON), -2, EINVAL);

    CHECK(CALL(set_slot_time, "slot", SPL_TIME_CTIME, 1000, 1) == 0);
    CHECK(CALL(set_slot_time, "slot", SPL_TIME_ATIME, 2000, 0) == 0);
    FAILS(CALL(set_slot_time, "slot", 2, 1, 0), -1, EINVAL);
    FAILS(CALL(set_slot_time, "none", SPL_TIME_CTIME, 1, 0), -1, ENOENT);
    FAILS(CALL(set_slot_time, NULL, SPL_TIME_CTIME, 1, 0), -2, EINVAL);

    CHECK(CALL(set_label, "slot", 0x6) == 0);
    CHECK(CALL(unset_label, "slot", 0x2) == 0);
    FAILS(CALL(set_label, "none", 1), -1, ENOENT);
    FAILS(CALL(set_label, NULL, 1), -2, EINVAL);
    FAILS(CALL(unset_label, "none", 1), -1, ENOENT);
    FAILS(CALL(unset_label, NULL, 1), -2, EINVAL);
    epoch = CALL(get_epoch, "slot");
    CALL(enumerate_matches, 0x4, count_match, &epoch);
    CHECK(matched == 1);
    CALL(enumerate_matches, 0x2, count_match, &epoch);
    CHECK(matched == 1);
    SETS(CALL(enumerate_matches, 0x4, NULL, NULL), EINVAL);

    CHECK(CALL(get_slot_snapshot, "slot", &seen) == 0);
    CHECK(strcmp(seen.key, "slot") == 0 && seen.val_len == 5 && seen.hash != 0 && seen.val_off != 0);
    CHECK(seen.ctime == 999 && seen.atime == 2000 && seen.bloom == 0x4 && seen.user_flag == 0);
    CHECK(seen.epoch == CALL(get_epoch, "slot"));
    FAILS(CALL(get_slot_snapshot, "none", &seen), -1, ENOENT);
    FAILS(CALL(get_slot_snapshot, NULL, &seen), -2, EINVAL);
    FAILS(CALL(get_slot_snapshot, "slot", NULL), -2, EINVAL);

    /* A filled slot belongs to the key: all see the flags that are set through it. */
    CHECK(sizeof(slot) % 64 == 0 && (size_t)&slot % 64 == 0);
    CHECK(CALL(get_slot, "slot", &slot) == 0);
    CHECK(strcmp(slot.key, "slot") == 0 && slot.val_len == 5 && slot.bloom == 0x4);
    FAILS(CALL(get_slot, "none", &slot), -1, ENOENT);
    FAILS(CALL(get_slot, NULL, &slot), -2, EINVAL);
    FAILS(CALL(get_slot, "slot", NULL), -2, EINVAL);
    splinter_slot_usr_set(&slot, SPL_FUSR1 | SPL_FUSR8);
    splinter_slot_usr_clear(&slot, SPL_FUSR1);
    CHECK(splinter_slot_usr_test(&slot, SPL_FUSR8) == 1 && splinter_slot_usr_test(&slot, SPL_FUSR1) == 0);
    CHECK(splinter_slot_usr_snapshot(&slot) == SPL_FUSR8 && slot.user_flag == SPL_FUSR8);
    CHECK(CALL(set_as_system, "slot") == 0);
    CHECK(splinter_slot_usr_snapshot(&slot) == (SPL_FUSR8 | SPL_SLOT_SYSTEM));
    CHECK(CALL(get_slot_snapshot, "slot", &seen) == 0 && seen.user_flag == (SPL_FUSR8 | SPL_SLOT_SYSTEM));
    FAILS(CALL(set_as_system, "none"), -1, ENOENT);
    FAILS(CALL(set_as_system, NULL), -2, EINVAL);

    /* A slot that was not filled belongs to the program. */
    memset(&own, 0, sizeof(own));
    splinter_slot_usr_set(&own, SPL_FUSR2 | SPL_FUSR3);
    splinter_slot_usr_clear(&own, SPL_FUSR3);
    CHECK(splinter_slot_usr_snapshot(&own) == SPL_FUSR2 && splinter_slot_usr_test(&own, SPL_FUSR2) == 1);
    SETS(splinter_pulse_watchers(&own), ENOENT);

    /* NULL and a slot of arbitrary bytes are errors. */
    SETS(splinter_slot_usr_set(NULL, 1), EINVAL);
    SETS(splinter_slot_usr_clear(NULL, 1), EINVAL);
    FAILS(splinter_slot_usr_test(NULL, 1), -2, EINVAL);
    SETS(CHECK(splinter_slot_usr_snapshot(NULL) == 0), EINVAL);
    SETS(splinter_pulse_watchers(NULL), EINVAL);
    memset(&own, 0xa5, sizeof(own));
    SETS(splinter_slot_usr_set(&own, 1), EINVAL);
    SETS(splinter_pulse_watchers(&own), EINVAL);
    unknown = CALL0(get_header);
    CHECK(unknown != NULL);

    CHECK(CALL(unset, "slot") == LONGEST);
    SETS(splinter_slot_usr_set(&slot, SPL_FUSR1), ENOENT);
}

#ifdef SPLINTER_EMBEDDINGS
static void vectors(void)
{
    static float vector[SPLINTER_EMBED_DIM], got[SPLINTER_EMBED_DIM];
    static splinter_slot_snapshot_t seen;
    uint64_t epoch;

    for (int index = 0; index < SPLINTER_EMBED_DIM; index++) {
        vector[index] = (float)index / 2;
    }
    FAILS(CALL(set_embedding, "vector", vector), -1, ENOENT);
    set("vector", "text");
    FAILS(CALL(get_embedding, "vector", got), -1, ENOENT);
    CHECK(CALL(set_embedding, "vector", vector) == 0);
    CHECK(CALL(get_embedding, "vector", got) == 0 && memcmp(got, vector, sizeof(got)) == 0);
    CHECK(CALL(get_slot_snapshot, "vector", &seen) == 0);
    CHECK(memcmp(seen.embedding, vector, sizeof(vector)) == 0);
    FAILS(CALL(set_embedding, "vector", NULL), -2, EINVAL);
    FAILS(CALL(set_embedding, NULL, vector), -2, EINVAL);
    FAILS(CALL(get_embedding, "vector", NULL), -2, EINVAL);
    FAILS(CALL(get_embedding, NULL, got), -2, EINVAL);
    FAILS(CALL(get_slot_snapshot, "vector", NULL), -2, EINVAL);

    epoch = CALL(get_epoch, "vector");
    CHECK(CALL(retrain_slot, "vector") == 0);
    CHECK(CALL(get_epoch, "vector") > epoch);
    FAILS(CALL(get_embedding, "vector", got), -1, ENOENT);
    CHECK(CALL(get_slot_snapshot, "vector", &seen) == 0 && seen.embedding[1] == 0);
    has("vector", "text");
    CHECK(CALL(unset, "vector") == 4);
}
#endif

/* Every function fails and sets errno if no store is open. */
static void closed(void)
{
    char buf[8];
    char *keys[1];
    size_t len;
    uint64_t word = 0;
    splinter_header_snapshot_t header;
    static splinter_slot_snapshot_t snapshot;
    struct splinter_slot slot;
    struct splinter_shard_bid_snapshot bid;
    const void *order = "x";
    const size_t one = 1;

    FAILS(CALL(set, "k", "v", 1), -2, EINVAL);
    FAILS(CALL(get, "k", buf, sizeof(buf), &len), -2, EINVAL);
    FAILS(CALL(unset, "k"), -2, EINVAL);
    FAILS(CALL(append, "k", "v", 1, &len), -2, EINVAL);
    FAILS(CALL(list, keys, 1, &len), -2, EINVAL);
    FAILS(CALL(poll, "k", 1), -2, EINVAL);
    FAILS(CALL(poll_after, "k", 2, 1, &word), -2, EINVAL);
    FAILS(CALL(wait_for, "k", 2, 1, &word), -2, EINVAL);
    SETS(CALL0(purge), EINVAL);
    SETS(CHECK(CALL(get_raw_ptr, "k", &len, &word) == NULL), EINVAL);
    SETS(CHECK(CALL(get_epoch, "k") == 0), EINVAL);
    FAILS(CALL(bump_slot, "k"), -2, EINVAL);
    FAILS(CALL(retrain_slot, "k"), -2, EINVAL);
    FAILS(CALL(set_mop, 1), -2, EINVAL);
    FAILS(CALL0(get_mop), -2, EINVAL);
    FAILS(CALL(set_av, 1), -2, EINVAL);
    FAILS(CALL0(get_av), -2, EINVAL);
    FAILS(CALL(get_header_snapshot, &header), -2, EINVAL);
    SETS(CHECK(CALL0(get_header) == NULL), EINVAL);
    FAILS(CALL(get_slot_snapshot, "k", &snapshot), -2, EINVAL);
    FAILS(CALL(get_slot, "k", &slot), -2, EINVAL);
    FAILS(CALL(set_named_type, "k", SPL_SLOT_TYPE_JSON), -2, EINVAL);
    FAILS(CALL(set_slot_time, "k", SPL_TIME_CTIME, 1, 0), -2, EINVAL);
    FAILS(CALL(set_as_system, "k"), -2, EINVAL);
    FAILS(CALL(pin, "k"), -2, EINVAL);
    FAILS(CALL(unpin, "k"), -2, EINVAL);
    FAILS(CALL(is_pinned, "k"), -2, EINVAL);
    FAILS(CALL0(get_eviction), -2, EINVAL);
    SETS(CHECK(CALL0(get_evicted_count) == 0), EINVAL);
    SETS(CHECK(CALL0(get_expired_count) == 0), EINVAL);
    FAILS(CALL(integer_op, "k", SPL_OP_NOT, NULL), -2, EINVAL);
    FAILS(CALL(integer_op_fetch, "k", SPL_OP_NOT, NULL, &word), -2, EINVAL);
    FAILS(CALL(set_label, "k", 1), -2, EINVAL);
    FAILS(CALL(unset_label, "k", 1), -2, EINVAL);
    SETS(CALL(enumerate_matches, 0, count_match, NULL), EINVAL);
    FAILS(CALL(client_set_tandem, "k", &order, &one, 1), -2, EINVAL);
    SETS(CALL(client_unset_tandem, "k", 1), EINVAL);
    FAILS(CALL(watch_register, "k", 1), -2, EINVAL);
    FAILS(CALL(watch_register_lasting, "k", 1), -2, EINVAL);
    FAILS(CALL(watch_unregister_lasting, "k", 1), -2, EINVAL);
    FAILS(CALL(watch_unregister, "k", 1), -2, EINVAL);
    FAILS(CALL(watch_label_register, 1, 1), -2, EINVAL);
    FAILS(CALL(pulse_keygroup, "k"), -2, EINVAL);
    SETS(CHECK(CALL(get_signal_count, 1) == 0), EINVAL);
    FAILS(CALL0(event_bus_init), -2, EINVAL);
    FAILS(CALL0(event_bus_open), -2, EINVAL);
    FAILS(CALL(event_bus_wait, 0, 0), -2, EINVAL);
    SETS(CALL(event_bus_close, 0), EINVAL);
    SETS(CALL(event_bus_get_dirty, &word, 1), EINVAL);
    FAILS(CALL(shard_claim, 1, 0, 0, 1), -2, EINVAL);
    FAILS(CALL(shard_claim_ex, 1, 1, 0, 0, 1, 1), -2, EINVAL);
    FAILS(CALL(shard_rebid, 1, 0, 0, 1), -2, EINVAL);
    FAILS(CALL(shard_release, 1), -2, EINVAL);
    SETS(CHECK(CALL(shard_election, NULL) == 0), EINVAL);
    FAILS(CALL(shard_is_sovereign, 1), -2, EINVAL);
    FAILS(CALL(shard_table_snapshot, &bid, 1), -2, EINVAL);
    FAILS(CALL(madvise, 1, NULL, 0, MADV_NORMAL, 0), -2, EINVAL);
#ifdef SPLINTER_EMBEDDINGS
    FAILS(CALL(set_embedding, "k", snapshot.embedding), -2, EINVAL);
    FAILS(CALL(get_embedding, "k", snapshot.embedding), -2, EINVAL);
#endif
    SETS(CLOSE(), EINVAL);
}

static void on_a_node(const char *name)
{
#ifdef HANDLE
    store = splinter_store_open_numa(name, 0);
    if (store != NULL) {
        set("node", "0");
        splinter_store_close(store);
    }
    SETS(CHECK(splinter_store_open_numa(name, -1) == NULL), EINVAL);
    SETS(CHECK(splinter_store_open_numa(name, 1 << 20) == NULL), EINVAL);
    SETS(CHECK(splinter_store_open_numa(NULL, 0) == NULL), EINVAL);
#else
    void *base = splinter_open_numa(name, 0);
    /* A sandbox may forbid mbind. */
    if (base != NULL) {
        CHECK(base == (void *)splinter_get_header());
        CHECK(splinter_config_test((struct splinter_header *)base, SPL_SYS_HYBRID_SCRUB) == 1);
        set("node", "0");
        splinter_close();
    }
    SETS(CHECK(splinter_open_numa(name, -1) == NULL), EINVAL);
    SETS(CHECK(splinter_open_numa(name, 1 << 20) == NULL), EINVAL);
    SETS(CHECK(splinter_open_numa(NULL, 0) == NULL), EINVAL);
#endif
}

int main(int argc, char **argv)
{
    uint64_t before = splinter_now();
    CHECK(argc == 2);
#ifdef HANDLE
    /* A value that is not a handle is an error. */
    closed();
    store = (splinter_store_t *)(size_t)-1;
    closed();
    store = (splinter_store_t *)argv;
#endif
    closed();
    opening(argv[1]);
    values();
    listing();
    full();
    polling();
    integers();
    slots();
#ifdef SPLINTER_EMBEDDINGS
    vectors();
#endif
    settings();
    tandems();
    signals();
    bus();
    shards();
    CLOSE();
    closed();
    /* Closing the store released the bid. */
    CHECK(OPEN(argv[1]) == 0 && CALL(shard_election, NULL) == 0);
    CLOSE();
    on_a_node(argv[1]);
    CHECK(splinter_now() > before);
    puts("held");
    return 0;
}
