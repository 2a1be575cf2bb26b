/* Tests of transactions: all changes happen or none, also while two processes make some. Compiled twice, as behaviour.c.
 * The argument is a unique name. */
#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

enum { SLOTS = 600, LONGEST = 128, TOTAL = 1000, MOVES = 2000, THREADS = 4, ROUNDS = 300 };

static splinter_transaction_t *changes;
static splinter_outcome_t outcomes[4];
static size_t place;
static uint64_t epoch;

static int commit(void)
{
    place = 99;
    epoch = 99;
    memset(outcomes, 0xa5, sizeof(outcomes));
    return CALL(commit, changes, outcomes, 4, &place, &epoch);
}

static void has(const char *key, const char *value)
{
    char buf[LONGEST];
    size_t len = 0;
    CHECK(CALL(get, key, buf, sizeof(buf), &len) == 0);
    CHECK(len == strlen(value) && memcmp(buf, value, len) == 0);
}

static uint64_t number_of(const char *key, uint64_t *its_epoch)
{
    uint64_t number = 0;
    while (CALL(get_with_epoch, key, &number, sizeof(number), NULL, its_epoch) != 0) {
        CHECK(errno == EAGAIN);
    }
    return number;
}

static void every_change_happens(void)
{
    char value[] = "value", key[] = "text";
    uint64_t three = 3, ttl = 0;
    splinter_slot_snapshot_t seen;

    CHECK(CALL(set, "old", "x", 1) == 0 && CALL(set, "labels", "x", 1) == 0 && CALL(set_label, "labels", 6) == 0);
    CHECK(splinter_transaction_set(changes, key, value, strlen(value)) == 0);
    CHECK(splinter_transaction_set_integer(changes, "number", 7) == 0);
    CHECK(splinter_transaction_integer_op_or(changes, "count", SPL_OP_INC, &three, 10) == 0);
    CHECK(splinter_transaction_unset(changes, "old") == 0);
    CHECK(splinter_transaction_set_label(changes, "labels", 9) == 0);
    CHECK(splinter_transaction_unset_label(changes, "labels", 2) == 0);
    CHECK(splinter_transaction_expire(changes, key, 1000000) == 0);
    /* The transaction has copies. */
    memset(value, 'z', sizeof(value));
    memset(key, 'z', sizeof(key) - 1);
    three = 0;
    SETS(CHECK(commit() == 0), 0);
    has("text", "value");
    CHECK(number_of("number", NULL) == 7 && number_of("count", NULL) == 13);
    FAILS(CALL(get, "old", NULL, 0, NULL), -1, ENOENT);
    CHECK(CALL(get_slot_snapshot, "labels", &seen) == 0 && seen.bloom == 13);
    CHECK(CALL(get_ttl, "text", &ttl) == 0 && ttl > 900000 && ttl <= 1000000);
    CHECK(outcomes[0].epoch == CALL(get_epoch, "text") && !outcomes[0].has_number);
    CHECK(outcomes[1].epoch == CALL(get_epoch, "number") && outcomes[1].number == 7 && outcomes[1].has_number == 1);
    CHECK(outcomes[2].number == 13 && outcomes[2].slot != outcomes[1].slot);
    /* Nothing is said where all is well, nor beyond the room for outcomes. */
    CHECK(place == 99 && epoch == 99);
    memset(outcomes, 0xa5, sizeof(outcomes));
    CHECK(CALL(commit, changes, outcomes, 1, NULL, NULL) == 0);
    CHECK(outcomes[0].epoch == CALL(get_epoch, "text") && outcomes[1].has_number == 0xa5a5a5a5);
    CHECK(number_of("count", NULL) == 16);

    /* A second set takes the deadline away, unless it is told to keep it. */
    CHECK(splinter_transaction_clear(changes) == 0);
    CHECK(splinter_transaction_set(changes, "text", "later", 5) == 0);
    CHECK(splinter_transaction_keep_ttl(changes, "text") == 0);
    CHECK(splinter_transaction_integer_op(changes, "count", SPL_OP_NOT, NULL) == 0);
    CHECK(CALL(commit, changes, NULL, SIZE_MAX, NULL, NULL) == 0);
    CHECK(CALL(get_ttl, "text", &ttl) == 0 && ttl > 900000 && ttl <= 1000000);
    CHECK(number_of("count", NULL) == ~(uint64_t)16);
    CHECK(splinter_transaction_expire(changes, "text", UINT64_MAX) == 0);
    CHECK(CALL(commit, changes, NULL, 0, NULL, NULL) == 0);
    CHECK(CALL(get_ttl, "text", &ttl) == 0 && ttl == UINT64_MAX);
    has("text", "later");

    /* What is said last of a value counts. Without keys, nothing happens, which is no failure. */
    CHECK(splinter_transaction_unset(changes, "text") == 0);
    CHECK(splinter_transaction_set(changes, "text", "", 0) == 0);
    CHECK(CALL(commit, changes, NULL, 0, NULL, NULL) == 0);
    has("text", "");
    CHECK(splinter_transaction_clear(changes) == 0 && commit() == 0);
}

/* A transaction that is refused for its second key changes nothing, whatever the reason. */
static void refuses(int code, size_t which, uint64_t found)
{
    const uint64_t before = CALL(get_epoch, "first");
    splinter_header_snapshot_t then, now;

    CHECK(CALL(get_header_snapshot, &then) == 0);
    FAILS(commit(), -1, code);
    CHECK(place == which && epoch == found && outcomes[0].has_number == 0xa5a5a5a5);
    FAILS(CALL(commit, changes, NULL, 0, NULL, NULL), -1, code);
    has("first", "as it was");
    CHECK(CALL(get_epoch, "first") == before);
    CHECK(CALL(get_header_snapshot, &now) == 0 && now.epoch == then.epoch);
    CHECK(splinter_transaction_clear(changes) == 0);
    CHECK(splinter_transaction_set(changes, "first", "changed", 7) == 0);
}

static void a_refused_transaction_changes_nothing(void)
{
    char long_value[LONGEST + 1] = {0};
    uint64_t one = 1, second;

    CHECK(CALL(set, "first", "as it was", 9) == 0 && CALL(set, "second", "x", 1) == 0);
    second = CALL(get_epoch, "second");
    CHECK(splinter_transaction_set(changes, "first", "changed", 7) == 0);
    CHECK(splinter_transaction_expect(changes, "second", SPL_IF_ABSENT, 0) == 0);
    CHECK(splinter_transaction_set(changes, "second", "changed", 7) == 0);
    refuses(EEXIST, 1, second);
    CHECK(splinter_transaction_expect(changes, "second", SPL_IF_EPOCH, second + 2) == 0);
    refuses(ESTALE, 1, second);
    CHECK(splinter_transaction_expect(changes, "third", SPL_IF_PRESENT, 0) == 0);
    refuses(ENOENT, 1, 0);
    CHECK(splinter_transaction_set_label(changes, "third", 1) == 0);
    refuses(ENOENT, 1, 0);
    CHECK(splinter_transaction_integer_op(changes, "second", SPL_OP_INC, &one) == 0);
    refuses(EPROTOTYPE, 1, 0);
    CHECK(splinter_transaction_set(changes, "second", long_value, sizeof(long_value)) == 0);
    refuses(EMSGSIZE, 1, 0);
    CHECK(splinter_transaction_expect(changes, "first", SPL_IF_EPOCH, 1) == 0);
    CHECK(splinter_transaction_expect(changes, "second", SPL_IF_EPOCH, second) == 0);
    refuses(ESTALE, 0, CALL(get_epoch, "first"));
    FAILS(CALL(get, "third", NULL, 0, NULL), -1, ENOENT);

    /* With expectations that hold, it happens. */
    CHECK(splinter_transaction_expect(changes, "second", SPL_IF_EPOCH, second) == 0);
    CHECK(splinter_transaction_expect(changes, "third", SPL_IF_ABSENT, 0) == 0);
    CHECK(commit() == 0);
    has("first", "changed");
    CHECK(outcomes[1].epoch == 0 && outcomes[1].slot == 0 && CALL(get_epoch, "second") == second);
    CHECK(splinter_transaction_clear(changes) == 0);
}

static void what_is_wrong_is_refused(void)
{
    static const char *const too_long = "0123456789012345678901234567890123456789012345678901234567890123";
    splinter_transaction_t *const freed = splinter_transaction_create();
    splinter_transaction_t *const other = splinter_transaction_create();
    const uint64_t one = 1;
    char key[SPLINTER_KEY_MAX];

    CHECK(freed != NULL && other != NULL && freed != other && freed != changes);
    SETS(splinter_transaction_free(freed), 0);
    SETS(splinter_transaction_free(freed), EINVAL);
    SETS(splinter_transaction_free(NULL), EINVAL);
    SETS(splinter_transaction_free((splinter_transaction_t *)key), EINVAL);
    FAILS(splinter_transaction_set(freed, "k", "v", 1), -2, EINVAL);
    FAILS(splinter_transaction_clear(freed), -2, EINVAL);
    FAILS(CALL(commit, freed, NULL, 0, NULL, NULL), -2, EINVAL);
    FAILS(CALL(commit, NULL, NULL, 0, NULL, NULL), -2, EINVAL);
    FAILS(splinter_transaction_clear(NULL), -2, EINVAL);
    FAILS(splinter_transaction_expect(NULL, "k", SPL_IF_ANY, 0), -2, EINVAL);
    FAILS(splinter_transaction_set(NULL, "k", "v", 1), -2, EINVAL);
    FAILS(splinter_transaction_set_integer(NULL, "k", 1), -2, EINVAL);
    FAILS(splinter_transaction_integer_op(NULL, "k", SPL_OP_INC, &one), -2, EINVAL);
    FAILS(splinter_transaction_integer_op_or(NULL, "k", SPL_OP_INC, &one, 1), -2, EINVAL);
    FAILS(splinter_transaction_unset(NULL, "k"), -2, EINVAL);
    FAILS(splinter_transaction_set_label(NULL, "k", 1), -2, EINVAL);
    FAILS(splinter_transaction_unset_label(NULL, "k", 1), -2, EINVAL);
    FAILS(splinter_transaction_expire(NULL, "k", 1), -2, EINVAL);
    FAILS(splinter_transaction_keep_ttl(NULL, "k"), -2, EINVAL);

    FAILS(splinter_transaction_set(other, NULL, "v", 1), -2, EINVAL);
    FAILS(splinter_transaction_set(other, "k", NULL, 1), -2, EINVAL);
    FAILS(splinter_transaction_set(other, "k", NULL, SIZE_MAX), -2, EINVAL);
    FAILS(splinter_transaction_set(other, "k", "v", SIZE_MAX), -1, EMSGSIZE);
    FAILS(splinter_transaction_set(other, "k", "v", (size_t)UINT32_MAX + 1), -1, EMSGSIZE);
    FAILS(splinter_transaction_set(other, "", "v", 1), -1, EINVAL);
    FAILS(splinter_transaction_set(other, too_long, "v", 1), -1, ENAMETOOLONG);
    FAILS(splinter_transaction_expect(other, "k", 4, 0), -1, EINVAL);
    FAILS(splinter_transaction_expect(other, "k", -1, 0), -1, EINVAL);
    FAILS(splinter_transaction_integer_op(other, "k", 6, &one), -1, EINVAL);
    FAILS(splinter_transaction_integer_op(other, "k", SPL_OP_INC, NULL), -2, EINVAL);
    FAILS(splinter_transaction_integer_op_or(other, "k", SPL_OP_INC, NULL, 1), -2, EINVAL);

    /* What was refused is no part of it: there is room for all keys, and for none beyond. */
    for (int number = 0; number < SPLINTER_MAX_TRANSACTION_KEYS; number++) {
        snprintf(key, sizeof(key), "many%d", number);
        CHECK(splinter_transaction_set(other, key, key, strlen(key)) == 0);
    }
    FAILS(splinter_transaction_set(other, "k", "v", 1), -1, ENOSPC);
    CHECK(splinter_transaction_set(other, key, "last", 4) == 0);
    CHECK(CALL(commit, other, NULL, 0, NULL, NULL) == 0);
    has("many0", "many0");
    has(key, "last");
    FAILS(CALL(get, "k", NULL, 0, NULL), -1, ENOENT);
    splinter_transaction_free(other);
}

#ifdef SPLINTER_EMBEDDINGS
static void vectors_come_with_their_values(void)
{
    static float vector[SPLINTER_EMBED_DIM], got[SPLINTER_EMBED_DIM];

    vector[0] = NAN;
    vector[1] = -0.0F;
    vector[2] = INFINITY;
    FAILS(splinter_transaction_set_embedding(NULL, "v", vector), -2, EINVAL);
    FAILS(splinter_transaction_set_embedding(changes, "v", NULL), -2, EINVAL);
    CHECK(splinter_transaction_set(changes, "v", "text", 4) == 0);
    CHECK(splinter_transaction_set_embedding(changes, "v", vector) == 0);
    CHECK(commit() == 0);
    has("v", "text");
    CHECK(CALL(get_embedding, "v", got) == 0 && memcmp(got, vector, sizeof(got)) == 0);
    CHECK(splinter_transaction_clear(changes) == 0);
}
#endif

static void groups_are_signalled(void)
{
    uint64_t count;

    CHECK(CALL(watch_register, "first", 3) == 0 && CALL(watch_register, "number", 4) == 0);
    count = CALL(get_signal_count, 3);
    CHECK(splinter_transaction_set(changes, "first", "x", 1) == 0);
    CHECK(splinter_transaction_expect(changes, "number", SPL_IF_PRESENT, 0) == 0);
    CHECK(commit() == 0);
    CHECK(CALL(get_signal_count, 3) == count + 1 && CALL(get_signal_count, 4) == 0);
    CHECK(splinter_transaction_clear(changes) == 0);
}

/* One that all threads share, until one of them frees it. */
static splinter_transaction_t *shared;

/* Makes, commits and frees transactions, and uses one that other threads use, too. */
static void *commit_and_free(void *arg)
{
    const uint64_t one = 1;
    char own[16];

    snprintf(own, sizeof(own), "own%d", *(int *)arg);
    for (int round = 0; round < ROUNDS; round++) {
        splinter_transaction_t *mine = splinter_transaction_create();
        CHECK(mine != NULL);
        CHECK(splinter_transaction_integer_op_or(mine, own, SPL_OP_INC, &one, 0) == 0);
        CHECK(splinter_transaction_integer_op_or(mine, "all", SPL_OP_INC, &one, 0) == 0);
        while (CALL(commit, mine, NULL, 0, NULL, NULL) != 0) {
            CHECK(errno == EAGAIN);
        }
        SETS(splinter_transaction_free(mine), 0);
        FAILS(splinter_transaction_clear(mine), -2, EINVAL);
        if (splinter_transaction_set(shared, own, own, sizeof(own)) != 0
            || splinter_transaction_expect(shared, "shared", SPL_IF_PRESENT, 0) != 0) {
            CHECK(errno == EINVAL);
        } else if (CALL(commit, shared, NULL, 0, NULL, NULL) != 0) {
            CHECK(errno == ENOENT || errno == EAGAIN || errno == EINVAL);
        }
        if (round == ROUNDS / 2 && *(int *)arg == 0) {
            splinter_transaction_free(shared);
        }
    }
    return NULL;
}

static void threads_use_transactions_at_once(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];

    shared = splinter_transaction_create();
    for (int number = 0; number < THREADS; number++) {
        numbers[number] = number;
        CHECK(pthread_create(&threads[number], NULL, commit_and_free, &numbers[number]) == 0);
    }
    for (int number = 0; number < THREADS; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    CHECK(number_of("all", NULL) == THREADS * ROUNDS && number_of("own0", NULL) == ROUNDS);
    FAILS(splinter_transaction_clear(shared), -2, EINVAL);
}

/* Moves amounts from one account to the other and back, whatever another process does meanwhile. */
static void move_on(void)
{
    for (uint64_t move = 0; move < MOVES; move++) {
        const uint64_t amount = move % 7;
        const int forth = move % 2 == 0;
        CHECK(splinter_transaction_clear(changes) == 0);
        CHECK(splinter_transaction_integer_op(changes, forth ? "a" : "b", SPL_OP_DEC, &amount) == 0);
        CHECK(splinter_transaction_integer_op(changes, forth ? "b" : "a", SPL_OP_INC, &amount) == 0);
        while (commit() != 0) {
            CHECK(errno == EAGAIN);
        }
    }
}

/* Moves amounts that were read before, if both accounts are still as they were. A transaction that only checks tells
 * whether two reads belong together: then the sum holds. */
static void check_and_move(void)
{
    int held = 0;

    for (int round = 0; round < MOVES || held == 0; round++) {
        uint64_t epoch_of_a, epoch_of_b;
        const uint64_t a = number_of("a", &epoch_of_a), b = number_of("b", &epoch_of_b);

        CHECK(splinter_transaction_clear(changes) == 0);
        CHECK(splinter_transaction_expect(changes, "a", SPL_IF_EPOCH, epoch_of_a) == 0);
        CHECK(splinter_transaction_expect(changes, "b", SPL_IF_EPOCH, epoch_of_b) == 0);
        if (round % 2 == 0) {
            CHECK(splinter_transaction_set_integer(changes, "a", a - 1) == 0);
            CHECK(splinter_transaction_set_integer(changes, "b", b + 1) == 0);
        }
        if (commit() == 0) {
            CHECK(a + b == TOTAL);
            held++;
        } else {
            CHECK(errno == EAGAIN || (errno == ESTALE && (place == 0 ? epoch > epoch_of_a : epoch > epoch_of_b)));
        }
    }
}

/* Whenever both are read at one moment, the sum holds. */
static void the_sum_is_always_there(void)
{
    const char *keys[] = {"a", "nothing", "b", "text"};
    uint64_t values[4];
    size_t lens[4];
    char one[1];

    CHECK(CALL(set, "text", "twelve bytes", 12) == 0);
    for (int round = 0; round < MOVES; round++) {
        while (CALL(get_consistent, keys, 4, values, 8, lens) != 0) {
            CHECK(errno == EAGAIN);
        }
        CHECK(values[0] + values[2] == TOTAL && lens[0] == 8 && lens[1] == SIZE_MAX && lens[2] == 8 && lens[3] == 12);
    }
    CHECK(CALL(get_consistent, keys, 0, one, 1, lens) == 0);
    FAILS(CALL(get_consistent, NULL, 1, one, 1, lens), -2, EINVAL);
    FAILS(CALL(get_consistent, keys, 1, NULL, 1, lens), -2, EINVAL);
    FAILS(CALL(get_consistent, keys, 1, one, 1, NULL), -2, EINVAL);
    FAILS(CALL(get_consistent, keys, 4, one, SIZE_MAX, lens), -1, EINVAL);
    FAILS(CALL(get_consistent, keys, SIZE_MAX, one, 1, lens), -1, EINVAL);
    keys[1] = NULL;
    FAILS(CALL(get_consistent, keys, 4, values, 8, lens), -2, EINVAL);
    keys[1] = "";
    FAILS(CALL(get_consistent, keys, 4, values, 8, lens), -1, EINVAL);
}

static void two_processes_keep_the_sum(const char *name)
{
    int status = -1;
    pid_t child;

    CHECK(splinter_transaction_set_integer(changes, "a", TOTAL) == 0);
    CHECK(splinter_transaction_set_integer(changes, "b", 0) == 0);
    CHECK(commit() == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(250);
        CLOSE();
        CHECK(OPEN(name) == 0);
        /* The child has the transaction of its parent, and changes its own copy. */
        move_on();
        splinter_transaction_free(changes);
        _exit(0);
    }
    check_and_move();
    the_sum_is_always_there();
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(number_of("a", NULL) + number_of("b", NULL) == TOTAL);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    CHECK(CREATE(argv[1], SLOTS, LONGEST) == 0);
    SETS(changes = splinter_transaction_create(), 0);
    CHECK(changes != NULL);
    every_change_happens();
    a_refused_transaction_changes_nothing();
    what_is_wrong_is_refused();
#ifdef SPLINTER_EMBEDDINGS
    vectors_come_with_their_values();
#endif
    groups_are_signalled();
    threads_use_transactions_at_once();
    two_processes_keep_the_sum(argv[1]);
    CLOSE();
    FAILS(CALL(commit, changes, NULL, 0, NULL, NULL), -2, EINVAL);
    splinter_transaction_free(changes);
    puts("held");
    return 0;
}
