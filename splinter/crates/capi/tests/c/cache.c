/* Tests of caches: a full one evicts keys, and keeps those that are used or pinned. Compiled several times, as behaviour.c.
 * The argument is a unique name. */
#include <unistd.h>

#include "calls.h"

enum { SLOTS = 64, LONGEST = 32, PASSING = 1000, GROUP = 5 };

static int exists(const char *key)
{
    if (CALL(get_epoch, key) != 0) {
        return 1;
    }
    CHECK(errno == ENOENT);
    return 0;
}

static size_t count(void)
{
    char *keys[2 * SLOTS];
    size_t found = 0;
    CHECK(CALL(list, keys, 2 * SLOTS, &found) == 0);
    return found;
}

/* Sets so many keys with names that no call has used before, and reads each if they are to be used. */
static void set_new_keys(int many, int to_be_used)
{
    static int number;
    char key[SPLINTER_KEY_MAX], buf[LONGEST];
    while (many-- > 0) {
        snprintf(key, sizeof(key), "new %d", number++);
        CHECK(CALL(set, key, "x", 1) == 0);
        CHECK(!to_be_used || CALL(get, key, buf, sizeof(buf), NULL) == 0);
    }
}

static void set_new(int many)
{
    set_new_keys(many, 0);
}

/* Replaces every key that may go. SIEVE keeps a key that was used once for as long as no other key is used. */
static void replace_all(void)
{
    set_new_keys(PASSING, 1);
}

static void a_full_cache_evicts(void)
{
    const uint64_t evicted = CALL0(get_evicted_count);

    CHECK(CALL(set, "first", "x", 1) == 0 && CALL(watch_register, "first", GROUP) == 0);
    CHECK(CALL(get_signal_count, GROUP) == 0);
    set_new(PASSING);
    CHECK(count() == SLOTS);
    CHECK(CALL0(get_evicted_count) == evicted + PASSING + 1 - SLOTS);
    /* The first key has gone, and its group has heard of it. */
    CHECK(!exists("first") && CALL(get_signal_count, GROUP) == 1);
    FAILS(CALL(get, "first", NULL, 0, NULL), -1, ENOENT);
}

static void a_key_that_is_used_stays(void)
{
    char buf[LONGEST];

    CHECK(CALL(set, "used", "x", 1) == 0);
    for (int round = 0; round < PASSING; round++) {
        CHECK(CALL(get, "used", buf, sizeof(buf), NULL) == 0);
        set_new(1);
    }
    CHECK(exists("used"));
    /* Once others are used instead, it goes. */
    replace_all();
    CHECK(!exists("used"));
}

static void a_pinned_key_stays(void)
{
    uint64_t epoch;

    CHECK(CALL(set, "pinned", "x", 1) == 0);
    epoch = CALL(get_epoch, "pinned");
    CHECK(CALL(is_pinned, "pinned") == 0);
    CHECK(CALL(pin, "pinned") == 0 && CALL(pin, "pinned") == 0);
    CHECK(CALL(is_pinned, "pinned") == 1 && CALL(get_epoch, "pinned") == epoch);
    replace_all();
    CHECK(exists("pinned"));
    /* Setting it anew, to a number too, leaves it pinned. */
    CHECK(CALL(set, "pinned", "12345678", 8) == 0);
    CHECK(CALL(set_named_type, "pinned", SPL_SLOT_TYPE_BIGUINT) == 0);
    replace_all();
    CHECK(exists("pinned") && CALL(is_pinned, "pinned") == 1);
    CHECK(CALL(unpin, "pinned") == 0 && CALL(unpin, "pinned") == 0 && CALL(is_pinned, "pinned") == 0);
    replace_all();
    CHECK(!exists("pinned"));

    /* A key that comes back is not pinned. */
    CHECK(CALL(set, "pinned", "x", 1) == 0 && CALL(pin, "pinned") == 0 && CALL(unset, "pinned") == 1);
    CHECK(CALL(set, "pinned", "x", 1) == 0 && CALL(is_pinned, "pinned") == 0);

    FAILS(CALL(pin, "none"), -1, ENOENT);
    FAILS(CALL(unpin, "none"), -1, ENOENT);
    FAILS(CALL(is_pinned, "none"), -1, ENOENT);
    FAILS(CALL(pin, ""), -1, EINVAL);
    FAILS(CALL(pin, NULL), -2, EINVAL);
    FAILS(CALL(unpin, NULL), -2, EINVAL);
    FAILS(CALL(is_pinned, NULL), -2, EINVAL);
}

static void a_system_key_stays(void)
{
    size_t len = 0;

    CHECK(CALL(set, "system", "x", 1) == 0 && CALL(set_as_system, "system") == 0);
    CHECK(CALL(is_pinned, "system") == 1);
    /* One that is pinned already stays pinned. */
    CHECK(CALL(set, "both", "x", 1) == 0 && CALL(pin, "both") == 0 && CALL(set_as_system, "both") == 0);
    replace_all();
    CHECK(CALL(get, "system", NULL, 0, &len) == 0 && len == LONGEST);
    CHECK(exists("both") && CALL(is_pinned, "both") == 1);
    CHECK(CALL(unset, "system") == LONGEST && CALL(unset, "both") == LONGEST);
}

static void a_key_that_expired_goes_first(void)
{
    const uint64_t expired = CALL0(get_expired_count);
    uint64_t evicted;

    set_new(SLOTS);
    CHECK(CALL(set_for, "expires", "x", 1, 1) == 0);
    usleep(20000);
    evicted = CALL0(get_evicted_count);
    set_new(1);
    CHECK(CALL0(get_expired_count) == expired + 1 && CALL0(get_evicted_count) == evicted);
    CHECK(count() == SLOTS);
}

/* If nothing may go, the cache is as full as any store. */
static void a_cache_of_pinned_keys_is_full(void)
{
    char *keys[SLOTS];
    size_t found = 0;
    uint64_t evicted;

    set_new(SLOTS);
    CHECK(CALL(list, keys, SLOTS, &found) == 0 && found == SLOTS);
    for (size_t number = 0; number < found; number++) {
        CHECK(CALL(pin, keys[number]) == 0);
    }
    evicted = CALL0(get_evicted_count);
    FAILS(CALL(set, "one more", "x", 1), -1, ENOSPC);
    FAILS(CALL(set_if, "one more", "x", 1, SPL_IF_ABSENT, 0, NULL), -1, ENOSPC);
    CHECK(CALL0(get_evicted_count) == evicted && count() == SLOTS);
    /* Keys that are there can be set. */
    CHECK(CALL(set, keys[0], "y", 1) == 0);
    CHECK(CALL(unpin, keys[7]) == 0);
    CHECK(CALL(set, "one more", "x", 1) == 0 && !exists(keys[7]));
    CHECK(CALL0(get_evicted_count) == evicted + 1 && count() == SLOTS);
    for (size_t number = 0; number < found; number++) {
        CHECK(number == 7 || CALL(is_pinned, keys[number]) == 1);
    }
}

/* Without a way of eviction, a full store stays as it is. */
static void a_full_store_evicts_nothing(void)
{
    set_new(SLOTS);
    FAILS(CALL(set, "one more", "x", 1), -1, ENOSPC);
    CHECK(CALL0(get_evicted_count) == 0 && count() == SLOTS);
}

int main(int argc, char **argv)
{
    const int policies[] = {SPL_EVICT_SIEVE, SPL_EVICT_LRU, SPL_EVICT_EXPIRED};
    const char *name = argv[1];
    char path[300];

    CHECK(argc == 2);
    /* A name with a slash is a path. */
    snprintf(path, sizeof(path), "%s%s", strchr(name, '/') != NULL ? "" : "/dev/shm/", name);
    for (int bad = 0; bad < 3; bad++) {
        FAILS(CREATE_CACHE(name, SLOTS, LONGEST, bad == 0 ? -1 : SPL_EVICT_LRU + bad), -1, EINVAL);
        CHECK(access(path, F_OK) != 0);
    }
    FAILS(CREATE_CACHE(NULL, SLOTS, LONGEST, SPL_EVICT_SIEVE), NULL_STORE_CODE, EINVAL);
    FAILS(CREATE_CACHE(name, 0, LONGEST, SPL_EVICT_SIEVE), -1, EINVAL);
    for (int number = 0; number < 3; number++) {
        CHECK(CREATE_CACHE(name, SLOTS, LONGEST, policies[number]) == 0);
        CHECK(access(path, F_OK) == 0);
        CHECK(CALL0(get_eviction) == policies[number]);
        CHECK(CALL0(get_evicted_count) == 0 && CALL0(get_expired_count) == 0);
        if (policies[number] == SPL_EVICT_EXPIRED) {
            a_full_store_evicts_nothing();
        } else {
            a_full_cache_evicts();
            a_key_that_is_used_stays();
            a_pinned_key_stays();
            a_system_key_stays();
            a_key_that_expired_goes_first();
            a_cache_of_pinned_keys_is_full();
        }
        CLOSE();
        /* A process that opens the store finds how it evicts. */
        CHECK(OPEN(name) == 0 && CALL0(get_eviction) == policies[number]);
        CLOSE();
        if (number < 2) {
            CHECK(unlink(path) == 0);
        }
    }
    FAILS(CREATE_CACHE(name, SLOTS, LONGEST, SPL_EVICT_SIEVE), -1, EEXIST);
    /* A store of the function without a policy is no cache. */
    CHECK(unlink(path) == 0 && CREATE(name, SLOTS, LONGEST) == 0 && CALL0(get_eviction) == SPL_EVICT_EXPIRED);
    CLOSE();
    puts("held");
    return 0;
}
