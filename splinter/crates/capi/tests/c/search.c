/* Tests of search: every option against a plain loop over all vectors, scores of the program's own, wrong calls, forked
 * children, and searches while another thread writes. Compiled twice, as behaviour.c. The argument is a unique name. */
#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

enum { SLOTS = 512, LONGEST = 96, KEYS = 300, NEAR = 30, DIM = SPLINTER_EMBED_DIM, ROUNDS = 60 };

/* A key, as the plain loop finds it. */
typedef struct {
    char key[SPLINTER_KEY_MAX];
    uint64_t epoch, labels;
    unsigned type_flag;
    float vector[DIM];
    double score;
} item_t;

static item_t items[SLOTS], *expected[SLOTS];
static splinter_hit_t hits[SLOTS];
static float query[DIM];
static size_t count, matches;

/* Returns a number from -1 to 1. */
static float number(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (float)((double)(state >> 40) / (1 << 23) - 1);
}

/* The square root, without the library for it. */
static double root(double square)
{
    double result = square > 1 ? square : 1;
    for (int round = 0; round < 60; round++) {
        result = (result + square / result) / 2;
    }
    return result;
}

static double score_of(const float *x, const float *q, int metric)
{
    double dot = 0, xx = 0, qq = 0, distance = 0;

    for (int index = 0; index < DIM; index++) {
        dot += (double)x[index] * q[index];
        xx += (double)x[index] * x[index];
        qq += (double)q[index] * q[index];
        distance += ((double)x[index] - q[index]) * ((double)x[index] - q[index]);
    }
    if (metric == SPLINTER_METRIC_L2) {
        return -root(distance);
    }
    return metric == SPLINTER_METRIC_DOT ? dot : xx * qq == 0 ? 0 : dot / root(xx * qq);
}

/* Is rounding all that two scores differ by? */
static int same(double one, double other)
{
    return fabs(one - other) <= 1e-5 * (1 + fabs(other));
}

static int by_score(const void *one, const void *other)
{
    double a = (*(item_t *const *)one)->score, b = (*(item_t *const *)other)->score;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* Do two keys have the same base? */
static int of_one_tandem(const char *one, const char *other)
{
    size_t len = strcspn(one, SPL_ORDER_ACCESSOR);
    return len == strcspn(other, SPL_ORDER_ACCESSOR) && memcmp(one, other, len) == 0;
}

/* Fills the store: random vectors, of which the first NEAR are near the query, the nearest first. */
static void fill(void)
{
    float vector[DIM];
    char key[SPLINTER_KEY_MAX], value[LONGEST];
    const float broken = NAN;

    for (int index = 0; index < DIM; index++) {
        query[index] = number();
    }
    for (int at = 0; at < KEYS; at++) {
        int is_order = at % 6 == 5;
        int base = at - is_order;
        snprintf(key, sizeof(key), "%s%d%s", base % 5 == 0 ? "note:" : "doc:", base, is_order ? ".1" : "");
        snprintf(value, sizeof(value), "the value of %s", key);
        CHECK(CALL(set, key, value, strlen(value)) == 0);
        for (int index = 0; index < DIM; index++) {
            vector[index] = number() + (at < NEAR ? query[index] * (float)(NEAR + 20 - at) / 10 : 0);
        }
        CHECK(CALL(set_embedding, key, vector) == 0);
        CHECK(CALL(set_label, key, UINT64_C(1) << (at % 3) | (at % 7 == 0 ? 8 : 0)) == 0);
        if (at % 11 == 0) {
            CHECK(CALL(set_named_type, key, SPL_SLOT_TYPE_JSON) == 0);
        }
        for (int times = 0; times < at % 4; times++) {
            CHECK(CALL(bump_slot, key) == 0);
        }
    }
    /* No search finds these. */
    CHECK(CALL(set, "doc:none", "x", 1) == 0 && CALL(set, "doc:broken", "x", 1) == 0);
    memcpy(vector, query, sizeof(vector));
    memcpy(&vector[7], &broken, sizeof(broken));
    CHECK(CALL(set_embedding, "doc:broken", vector) == 0);
}

/* What the function rescore counts and checks. */
typedef struct {
    pthread_t thread;
    int calls, closes;
} rescored_t;

/* What rescore makes of a score: a key whose name ends in 3 is no hit, and one that ends in 7 comes first. */
static double rescored(const char *key, double score)
{
    char last = key[strlen(key) - 1];
    return last == '3' ? NAN : last == '7' ? score + 2 : score;
}

static double rescore(const splinter_candidate_t *candidate, void *data)
{
    rescored_t *seen = (rescored_t *)data;
    char value[LONGEST], copy[LONGEST];
    splinter_slot_snapshot_t slot;
    size_t len;

    CHECK(pthread_equal(seen->thread, pthread_self()));
    snprintf(value, sizeof(value), "the value of %s", candidate->key);
    CHECK(candidate->len == strlen(value) && memcmp(candidate->value, value, candidate->len) == 0);
    if (seen->closes && seen->calls++ == 0) {
        CLOSE();
    } else if (!seen->closes) {
        seen->calls++;
        /* It may call functions, and errno is its own. */
        CHECK(CALL(get, candidate->key, copy, sizeof(copy), &len) == 0 && len == candidate->len);
        CHECK(CALL(get_slot_snapshot, candidate->key, &slot) == 0);
        CHECK(candidate->labels == slot.bloom && candidate->type_flag == slot.type_flag);
        CHECK(candidate->epoch == slot.epoch && same(candidate->score, score_of(slot.embedding, query, 0)));
        errno = EDOM;
    }
    return rescored(candidate->key, candidate->score);
}

/* Finds what a search should, by a plain loop. Returns the number of hits. */
static size_t plain(const float *vector, const splinter_search_t *options, const char *without)
{
    static char *keys[SLOTS];
    static splinter_slot_snapshot_t slot;
    size_t all, found = 0, kept = 0, k = options->k == 0 ? 10 : options->k;

    CHECK(CALL(list, keys, SLOTS, &all) == 0);
    for (size_t at = 0; at < all; at++) {
        item_t *item = &items[found];
        if (CALL(get_embedding, keys[at], item->vector) != 0) {
            CHECK(errno == ENOENT);
            continue;
        }
        CHECK(CALL(get_slot_snapshot, keys[at], &slot) == 0);
        strcpy(item->key, keys[at]);
        item->labels = slot.bloom;
        item->epoch = slot.epoch;
        item->type_flag = slot.type_flag;
        item->score = score_of(item->vector, vector, options->metric);
        if (options->rescore != NULL) {
            item->score = rescored(item->key, item->score);
        }
        if (isnan(item->score) || (without != NULL && strcmp(item->key, without) == 0) ||
            (item->labels & options->labels_all) != options->labels_all ||
            (options->labels_any != 0 && (item->labels & options->labels_any) == 0) ||
            (item->labels & options->labels_none) != 0 || item->epoch < options->min_epoch ||
            (options->prefix != NULL && strncmp(item->key, options->prefix, strlen(options->prefix)) != 0) ||
            (options->type_flag != 0 && item->type_flag != options->type_flag) ||
            (options->has_min_score && item->score < options->min_score)) {
            continue;
        }
        expected[found++] = item;
    }
    qsort(expected, found, sizeof(*expected), by_score);
    for (size_t at = 0; at < found; at++) {
        int is_other = 0;
        for (size_t before = 0; options->group_orders && before < kept; before++) {
            is_other |= of_one_tandem(expected[before]->key, expected[at]->key);
        }
        if (!is_other) {
            expected[kept++] = expected[at];
        }
    }
    matches = kept;
    return kept < k ? kept : k;
}

/* Checks that the hits are those of the plain loop, or, if they may miss some, that there are as many and each is one. */
static void check(size_t wanted, int is_whole)
{
    CHECK(count == wanted);
    for (size_t at = 0; at < count; at++) {
        size_t place = 0;
        char name[SPLINTER_KEY_MAX];
        while (place < matches && strcmp(expected[place]->key, hits[at].key) != 0) {
            place++;
        }
        CHECK(place < matches && same(hits[at].score, expected[place]->score));
        CHECK(hits[at].epoch == expected[place]->epoch && hits[at].slot < SLOTS && hits[at].reserved == 0);
        CHECK(at == 0 || hits[at].score <= hits[at - 1].score);
        CHECK(!is_whole || same(hits[at].score, expected[at]->score));
        /* Behind the key are zeroes. */
        memset(name, 0, sizeof(name));
        strcpy(name, hits[at].key);
        CHECK(memcmp(name, hits[at].key, sizeof(name)) == 0);
    }
}

/* Searches with options, exactly and by sketches, in one thread and in three, near the query and near a key. */
static void search(splinter_search_t *options)
{
    splinter_slot_snapshot_t seven;
    size_t wanted;

    options->exact = 1;
    if (options->rescore == NULL) {
        CHECK(CALL(get_slot_snapshot, "doc:7", &seven) == 0);
        wanted = plain(seven.embedding, options, "doc:7");
        SETS(CHECK(CALL(search_near, "doc:7", options, hits, SLOTS, &count) == 0), 0);
        check(wanted, 1);
    }
    wanted = plain(query, options, NULL);
    for (int way = 0; way < 4; way++) {
        options->exact = way % 2;
        options->threads = way < 2 ? 0 : 3;
        memset(hits, 0xa5, sizeof(hits));
        SETS(CHECK(CALL(search, query, options, hits, SLOTS, &count) == 0), 0);
        check(wanted, options->exact);
    }
}

static splinter_search_t options_of(size_t k)
{
    splinter_search_t options;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.k = k;
    return options;
}

static void every_option_finds_what_a_plain_loop_finds(void)
{
    splinter_search_t options = options_of(0);
    rescored_t seen = {pthread_self(), 0, 0};
    static float kept[DIM];

    CHECK(CALL0(get_embedding_dim) == DIM);
    CHECK(plain(query, &options, NULL) == 10);
    SETS(CHECK(CALL(search, query, NULL, hits, SLOTS, &count) == 0), 0);
    /* Those that are near stand out, so that sketches miss none. */
    check(10, 1);
    for (int metric = 0; metric < 3; metric++) {
        options = options_of(25);
        options.metric = metric;
        search(&options);
    }
#define WITH(k, field, what)                                                                                  \
    do {                                                                                                      \
        options = options_of(k);                                                                              \
        options.field = (what);                                                                               \
        search(&options);                                                                                     \
        CHECK(count > 0);                                                                                     \
    } while (0)
    WITH(7, dim, DIM);
    WITH(SIZE_MAX, labels_all, 9);
    WITH(30, labels_any, 10);
    WITH(30, labels_none, 3);
    WITH(30, prefix, "note:");
    WITH(30, prefix, "");
    WITH(SIZE_MAX, type_flag, SPL_SLOT_TYPE_JSON);
    WITH(30, min_epoch, CALL(get_epoch, "doc:3"));
    WITH(30, depth, 260);
    WITH(3, depth, SIZE_MAX);
    WITH(20, group_orders, 1);
    /* Without has_min_score it does not count. */
    WITH(12, min_score, 100);
    CHECK(count == 12);
    options = options_of(SIZE_MAX);
    options.has_min_score = 1;
    options.min_score = 0.95;
    search(&options);
    CHECK(count > 3 && count < NEAR);
    options.min_score = 100;
    search(&options);
    CHECK(count == 0);
    /* Of keys that are all far away, few candidates miss some; an exact search does not mind. */
    memcpy(kept, query, sizeof(query));
    for (int round = 0; round < 5; round++) {
        for (int index = 0; index < DIM; index++) {
            query[index] = number();
        }
        WITH(10, depth, 1);
    }
    memcpy(query, kept, sizeof(query));
    /* All together. */
    options = options_of(5);
    options.metric = SPLINTER_METRIC_L2;
    options.labels_any = 3;
    options.labels_none = 8;
    options.prefix = "doc:";
    options.type_flag = SPL_SLOT_TYPE_VOID;
    options.min_epoch = 2;
    options.group_orders = 1;
    search(&options);
    CHECK(count == 5);

    options = options_of(12);
    options.rescore = rescore;
    options.data = &seen;
    options.depth = SIZE_MAX;
    search(&options);
    CHECK(count == 12 && seen.calls >= 4 * KEYS && hits[0].score > 1);
    for (size_t at = 0; at < count; at++) {
        CHECK(hits[at].key[strlen(hits[at].key) - 1] != '3');
    }
}

static void hits_are_as_many_as_there_is_room_for(void)
{
    splinter_search_t options = options_of(20);
    struct {
        splinter_search_t known;
        uint64_t later[4];
    } longer;

    plain(query, &options, NULL);
    memset(hits, 0, sizeof(hits));
    CHECK(CALL(search, query, &options, hits, 3, &count) == 0);
    CHECK(hits[3].key[0] == 0 && hits[3].score == 0);
    check(3, 1);
    CHECK(CALL(search, query, NULL, hits, 4, &count) == 0 && hits[4].key[0] == 0);
    check(4, 1);
    CHECK(CALL(search, query, &options, hits, 0, &count) == 0 && count == 0);
    options.k = 0;
    CHECK(CALL(search, query, &options, hits, SIZE_MAX, &count) == 0);
    check(10, 1);
    /* A program with a later header may say what this library does not know, if it is nothing. */
    memset(&longer, 0, sizeof(longer));
    longer.known = options_of(2);
    longer.known.size = sizeof(longer);
    CHECK(CALL(search, query, &longer.known, hits, SLOTS, &count) == 0 && count == 2);
    longer.later[3] = 1;
    FAILS(CALL(search, query, &longer.known, hits, SLOTS, &count), -1, EINVAL);
}

static void similarity_is_the_score_of_a_search(void)
{
    splinter_search_t options = options_of(SIZE_MAX);
    double one, other;

    options.exact = 1;
    for (options.metric = 0; options.metric < 3; options.metric++) {
        CHECK(CALL(search_near, "doc:8", &options, hits, SLOTS, &count) == 0 && count == KEYS - 1);
        for (size_t at = 0; at < count; at += 50) {
            SETS(CHECK(CALL(similarity, "doc:8", hits[at].key, options.metric, &one) == 0), 0);
            CHECK(CALL(similarity, hits[at].key, "doc:8", options.metric, &other) == 0);
            CHECK(one == hits[at].score && same(other, one));
        }
    }
    CHECK(CALL(similarity, "doc:8", "doc:8", SPLINTER_METRIC_L2, &one) == 0 && one == 0);
}

static void what_is_wrong_is_refused(void)
{
    splinter_search_t options;
    const char *long_key = "0123456789012345678901234567890123456789012345678901234567890123";
    double score = 9;
    float part = query[5];

    count = 99;
    FAILS(CALL(search, NULL, NULL, hits, SLOTS, &count), -2, EINVAL);
    FAILS(CALL(search, query, NULL, NULL, SLOTS, &count), -2, EINVAL);
    FAILS(CALL(search, query, NULL, hits, SLOTS, NULL), -2, EINVAL);
    FAILS(CALL(search_near, NULL, NULL, hits, SLOTS, &count), -2, EINVAL);
    FAILS(CALL(search_near, "doc:7", NULL, NULL, SLOTS, &count), -2, EINVAL);
    FAILS(CALL(search_near, "doc:7", NULL, hits, SLOTS, NULL), -2, EINVAL);
    FAILS(CALL(search_near, "", NULL, hits, SLOTS, &count), -1, EINVAL);
    FAILS(CALL(search_near, long_key, NULL, hits, SLOTS, &count), -1, ENAMETOOLONG);
    FAILS(CALL(search_near, "missing", NULL, hits, SLOTS, &count), -1, ENOENT);
    FAILS(CALL(search_near, "doc:none", NULL, hits, SLOTS, &count), -1, ENOENT);
    FAILS(CALL(search_near, "doc:broken", NULL, hits, SLOTS, &count), -1, EINVAL);
    query[5] = NAN;
    FAILS(CALL(search, query, NULL, hits, SLOTS, &count), -1, EINVAL);
    query[5] = INFINITY;
    FAILS(CALL(search, query, NULL, hits, SLOTS, &count), -1, EINVAL);
    query[5] = part;
#define REFUSED(field, what, number)                                                                          \
    do {                                                                                                      \
        options = options_of(3);                                                                              \
        options.field = (what);                                                                               \
        FAILS(CALL(search, query, &options, hits, SLOTS, &count), -1, number);                                \
    } while (0)
    REFUSED(size, 0, EINVAL);
    REFUSED(size, sizeof(options) - 1, EINVAL);
    REFUSED(size, SIZE_MAX, EINVAL);
    REFUSED(dim, DIM - 1, EINVAL);
    REFUSED(dim, SIZE_MAX, EINVAL);
    REFUSED(metric, 3, EINVAL);
    REFUSED(metric, -1, EINVAL);
    REFUSED(type_flag, 3, EINVAL);
    REFUSED(type_flag, 512, EINVAL);
    REFUSED(type_flag, 65536 + SPL_SLOT_TYPE_JSON, EINVAL);
    REFUSED(prefix, long_key, ENAMETOOLONG);
    options = options_of(3);
    options.has_min_score = 1;
    options.min_score = NAN;
    FAILS(CALL(search_near, "doc:7", &options, hits, SLOTS, &count), -1, EINVAL);
    CHECK(count == 99);

    FAILS(CALL(similarity, NULL, "doc:7", 0, &score), -2, EINVAL);
    FAILS(CALL(similarity, "doc:7", NULL, 0, &score), -2, EINVAL);
    FAILS(CALL(similarity, "doc:7", "doc:8", 0, NULL), -2, EINVAL);
    FAILS(CALL(similarity, "doc:7", "doc:8", 3, &score), -1, EINVAL);
    FAILS(CALL(similarity, "doc:7", "missing", 0, &score), -1, ENOENT);
    FAILS(CALL(similarity, "doc:none", "doc:7", 0, &score), -1, ENOENT);
    FAILS(CALL(similarity, "doc:broken", "doc:7", 0, &score), -1, EINVAL);
    FAILS(CALL(similarity, long_key, "doc:7", 0, &score), -1, ENAMETOOLONG);
    CHECK(score == 9);
}

static void a_forked_child_searches(const char *name)
{
    splinter_search_t options = options_of(10);
    int status = -1;
    pid_t child;

    plain(query, &options, NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(250);
        CHECK(CALL(search, query, NULL, hits, SLOTS, &count) == 0);
        check(10, 1);
        /* Its parent has none of its threads. */
        options.threads = 2;
        CHECK(CALL(search, query, &options, hits, SLOTS, &count) == 0);
        check(10, 1);
        CLOSE();
        CHECK(OPEN(name) == 0 && CALL(search, query, NULL, hits, SLOTS, &count) == 0);
        check(10, 1);
        CLOSE();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The vectors that the writing thread gives to the key "moving" by turns. */
static float turns[2][DIM];
static int is_over;

static void *write_on(void *arg)
{
    int turn = 0;
    (void)arg;
    for (; !__atomic_load_n(&is_over, __ATOMIC_RELAXED); turn ^= 1) {
        CHECK(CALL(set_embedding, "moving", turns[turn]) == 0);
        CHECK(CALL(set, "gone", "x", 1) == 0 && CALL(set_embedding, "gone", turns[turn]) == 0);
        CHECK(CALL(unset, "gone") == 1);
    }
    return NULL;
}

static void searches_hold_while_a_thread_writes(void)
{
    splinter_search_t options = options_of(12);
    double scores[2];
    pthread_t thread;
    int done = 0;

    plain(query, &options, NULL);
    for (int turn = 0; turn < 2; turn++) {
        for (int index = 0; index < DIM; index++) {
            turns[turn][index] = query[index] * (float)(turn + 1) + number() / 8;
        }
        scores[turn] = score_of(turns[turn], query, 0);
    }
    CHECK(CALL(set, "moving", "x", 1) == 0 && CALL(set_embedding, "moving", turns[0]) == 0);
    CHECK(pthread_create(&thread, NULL, write_on, NULL) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        size_t at = 0, rest = 0;
        double score;
        options.exact = round % 2;
        options.threads = round % 3 == 0 ? 2 : 1;
        if (CALL(search, query, &options, hits, SLOTS, &count) != 0) {
            CHECK(errno == EAGAIN);
            continue;
        }
        done++;
        CHECK(count == 12);
        for (; at < count; at++) {
            /* Both vectors of these keys are nearer than all others. */
            if (strcmp(hits[at].key, "moving") == 0 || strcmp(hits[at].key, "gone") == 0) {
                CHECK(at <= 1);
                CHECK(same(hits[at].score, scores[0]) || same(hits[at].score, scores[1]));
                continue;
            }
            CHECK(strcmp(hits[at].key, expected[rest]->key) == 0 && same(hits[at].score, expected[rest]->score));
            rest++;
        }
        CHECK(rest >= 10);
        CHECK(CALL(similarity, "moving", "doc:8", 0, &score) == 0 || errno == EAGAIN);
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
    CHECK(pthread_join(thread, NULL) == 0 && done > 0);
}

int main(int argc, char **argv)
{
    splinter_search_t options = options_of(10);
    rescored_t seen = {pthread_self(), 0, 1};
    double score;

    CHECK(argc == 2);
    CHECK(CREATE(argv[1], SLOTS, LONGEST) == 0);
    CHECK(CALL(search, query, NULL, hits, SLOTS, &count) == 0 && count == 0);
    fill();
    every_option_finds_what_a_plain_loop_finds();
    hits_are_as_many_as_there_is_room_for();
    similarity_is_the_score_of_a_search();
    what_is_wrong_is_refused();
    a_forked_child_searches(argv[1]);
    searches_hold_while_a_thread_writes();
    /* The function of a search may close the store, which the search still uses. */
    options.rescore = rescore;
    options.data = &seen;
    options.prefix = "doc:";
    CHECK(CALL(search, query, &options, hits, SLOTS, &count) == 0);
    CHECK(count == 10 && seen.calls >= 100);
    FAILS(CALL(search, query, &options, hits, SLOTS, &count), -2, EINVAL);
    FAILS(CALL(search_near, "doc:7", &options, hits, SLOTS, &count), -2, EINVAL);
    FAILS(CALL(similarity, "doc:7", "doc:8", 0, &score), -2, EINVAL);
    FAILS(CALL0(get_embedding_dim), -2, EINVAL);
    puts("held");
    return 0;
}
