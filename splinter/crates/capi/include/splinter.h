/* The C interface of splinter: a key-value, vector and signal store in shared memory.
 *
 * Generated from splinter/crates/capi/src; SPLINTER_HEADER=write cargo test -p splinter-capi --lib writes it.
 *
 *     cc program.c -lsplinter -lpthread
 *
 * Functions return 0, or the number that is asked for. On failure they set errno and return -1, or -2 if the call itself
 * is wrong: a NULL pointer that must not be NULL, or no open store. Functions that return no int return 0 or NULL on
 * failure. A function that succeeds leaves errno as it was.
 *
 *     EAGAIN           another thread writes the key, or it changed during every try; a queue is full or empty: try again
 *     ENOENT           no such key, store, bid, queue or group
 *     EEXIST           the name, id or key exists already
 *     ESTALE           the key has another epoch than the caller expects
 *     EMSGSIZE         a buffer is too small, or a value too long
 *     ENAMETOOLONG     a key has more than 63 bytes
 *     ENOSPC           the store, a table or memory is full
 *     EPROTOTYPE       the key is of another type
 *     ETIMEDOUT        the time ran out
 *     EINVAL           an argument is out of bounds
 *     EIDRM            the queue was removed
 *     EBADMSG          a key of the queue was overwritten by something else, or removed
 *     ENODEV           the event bus is not armed
 *     EOPNOTSUPP       this store or this process cannot do that
 *     EPERM            the bid belongs to another process
 *     EROFS            the store is open read-only
 *     ENOTRECOVERABLE  an error in the library itself
 *
 * Functions that open or create a store may also set errno to an error of the kernel.
 *
 * A process has one default store, which functions without a handle use. Functions whose names begin with splinter_store_
 * take a handle, and do the same on any number of stores. Any thread may call any function at any time, and so may a
 * forked child. The handle of a closed store is an error. Programs must not pass pointers to too little memory, call
 * functions from a signal handler, or leave a function that the library calls other than by returning. No call is a
 * cancellation point: a thread that is cancelled during a call ends after it.
 *
 * A store of at most 64 MiB takes all its memory when it is created, which fails with ENOSPC if there is too little. A
 * larger store, and one on a file system that cannot reserve memory, takes it as it is used. If /dev/shm or the disk is
 * full then, the process gets SIGBUS.
 *
 * Each thread that writes has its own writer until it ends. One process can have a quarter of the store's writers (of 256
 * in a store that these functions created). If a process has more threads, or no descriptor or memory left, its threads
 * take turns. If all writers belong to other processes, writing fails with ENOSPC.
 *
 * These functions signal the groups of a key: splinter_set, splinter_append, splinter_client_set_tandem,
 * splinter_bump_slot, splinter_retrain_slot, splinter_commit, and those that pulse. Otherwise, removing a key and changing
 * integers, types, vectors, labels, times and flags signal no group. So a program that waits for a group can mark a key as
 * done without waking itself. Polling a key and the event bus report every change.
 *
 * SPLINTER_PERSISTENT  names are paths with either library, as in libsplinter_p
 * SPLINTER_EMBEDDINGS  declares the functions for vectors, and adds vectors to slot snapshots
 */
#ifndef SPLINTER_H
#define SPLINTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first four bytes of every store. */
#define SPLINTER_MAGIC 0x534C4E54u

/* The version of the layout of stores. */
#define SPLINTER_VER 4

/* The size of a key in bytes, with the NUL at its end. */
#define SPLINTER_KEY_MAX 64

/* The number of signal groups; the first is 0. */
#define SPLINTER_MAX_GROUPS 64

/* The most bids in a store's table. */
#define SPLINTER_MAX_SHARDS 32

/* The bits of the mask that splinter_event_bus_get_dirty fills. A store may have more slots. */
#define SPLINTER_MAX_SLOTS 1024

/* The words of the mask that splinter_event_bus_get_dirty fills. Slots may share a bit. */
#define SPLINTER_EVENT_BUS_MASK_WORDS 16

/* The most keys of a transaction. */
#define SPLINTER_MAX_TRANSACTION_KEYS 255

/* Nanoseconds in a millisecond. */
#define NS_PER_MS 1000000ULL

/* Bits of splinter_config_*. The first alone sets the scrub level to full, the second sets it to hybrid (the default),
 * and without both it is none. */
#define SPL_SYS_AUTO_SCRUB 1
#define SPL_SYS_HYBRID_SCRUB 2

/* Unused bits of splinter_config_*. */
#define SPL_SYS_RESERVED_2 4
#define SPL_SYS_RESERVED_3 8

/* Bits of splinter_config_* for programs; they are SPL_FLAG_USR1 to 4, too. */
#define SPL_SUSR1 16
#define SPL_SUSR2 32
#define SPL_SUSR3 64
#define SPL_SUSR4 128

/* Bits of splinter_slot_usr_* for programs. */
#define SPL_FUSR1 1
#define SPL_FUSR2 2
#define SPL_FUSR3 4
#define SPL_FUSR4 8
#define SPL_FUSR5 16
#define SPL_FUSR6 32
#define SPL_FUSR7 64
#define SPL_FUSR8 128

/* The bit that splinter_set_as_system sets. It is not what keeps the key in a cache: splinter_set_as_system pins it. */
#define SPL_SLOT_SYSTEM 32768

/* Types that splinter_set_named_type gives to keys. */
#define SPL_SLOT_TYPE_VOID 1
#define SPL_SLOT_TYPE_BIGINT 2
#define SPL_SLOT_TYPE_BIGUINT 4
#define SPL_SLOT_TYPE_JSON 8
#define SPL_SLOT_TYPE_BINARY 16
#define SPL_SLOT_TYPE_IMGDATA 32
#define SPL_SLOT_TYPE_AUDIO 64
#define SPL_SLOT_TYPE_VARTEXT 128
#define SPL_SLOT_TYPE_VIDEO 256

/* The type of a key to which no program gave a type. */
#define SPL_SLOT_DEFAULT_TYPE 1

/* Which time splinter_set_slot_time sets. */
#define SPL_TIME_CTIME 0
#define SPL_TIME_ATIME 1

/* The text between the name of a tandem and the number of an order. */
#define SPL_ORDER_ACCESSOR "."

/* Flags of a store, for splinter_flag_*: the system's, and the program's. */
#define SPL_FLAG_AUTO_VACUUM (1u << 0)
#define SPL_FLAG_RES_GP2 (1u << 1)
#define SPL_FLAG_RES_GP3 (1u << 2)
#define SPL_FLAG_RES_GP4 (1u << 3)
#define SPL_FLAG_RES_GP5 (1u << 4)
#define SPL_FLAG_RES_GP6 (1u << 5)
#define SPL_FLAG_RES_GP7 (1u << 6)
#define SPL_FLAG_RES_GP8 (1u << 7)
#define SPL_FLAG_RES_GP9 (1u << 8)
#define SPL_FLAG_RES_GP10 (1u << 9)
#define SPL_FLAG_RES_GP11 (1u << 10)
#define SPL_FLAG_RES_GP12 (1u << 11)
#define SPL_FLAG_RES_GP13 (1u << 12)
#define SPL_FLAG_RES_GP14 (1u << 13)
#define SPL_FLAG_RES_GP15 (1u << 14)
#define SPL_FLAG_RES_GP16 (1u << 15)
#define SPL_FLAG_USR1 (1u << 16)
#define SPL_FLAG_USR2 (1u << 17)
#define SPL_FLAG_USR3 (1u << 18)
#define SPL_FLAG_USR4 (1u << 19)
#define SPL_FLAG_USR5 (1u << 20)
#define SPL_FLAG_USR6 (1u << 21)
#define SPL_FLAG_USR7 (1u << 22)
#define SPL_FLAG_USR8 (1u << 23)
#define SPL_FLAG_USR9 (1u << 24)
#define SPL_FLAG_USR10 (1u << 25)
#define SPL_FLAG_USR11 (1u << 26)
#define SPL_FLAG_USR12 (1u << 27)
#define SPL_FLAG_USR13 (1u << 28)
#define SPL_FLAG_USR14 (1u << 29)
#define SPL_FLAG_USR15 (1u << 30)
#define SPL_FLAG_USR16 (1u << 31)

/* The operations of splinter_integer_op. */
typedef enum {
    SPL_OP_AND = 0,
    SPL_OP_OR = 1,
    SPL_OP_XOR = 2,
    SPL_OP_NOT = 3,
    SPL_OP_INC = 4,
    SPL_OP_DEC = 5
} splinter_integer_op_t;

/* What splinter_set_if and its kin expect of a key. */
typedef enum {
    SPL_IF_ANY = 0,
    SPL_IF_ABSENT = 1,
    SPL_IF_PRESENT = 2,
    SPL_IF_EPOCH = 3
} splinter_expect_t;

/* Where a new group of a queue begins. */
typedef enum {
    SPL_QUEUE_NEWEST = 0,
    SPL_QUEUE_OLDEST = 1
} splinter_queue_start_t;

/* Which key makes room for a new one in a full store. */
typedef enum {
    SPL_EVICT_EXPIRED = 0,
    SPL_EVICT_SIEVE = 1,
    SPL_EVICT_LRU = 2
} splinter_eviction_t;

/* What a score measures: L2 is the negated distance. */
typedef enum {
    SPLINTER_METRIC_COSINE = 0,
    SPLINTER_METRIC_DOT = 1,
    SPLINTER_METRIC_L2 = 2
} splinter_metric_t;

/* The use that a bidder intends for the store's memory. */
typedef enum {
    SPL_INTENT_NONE = 0,
    SPL_INTENT_WILLNEED = 1,
    SPL_INTENT_SEQUENTIAL = 2,
    SPL_INTENT_RANDOM = 3,
    SPL_INTENT_DONTNEED = 4
} splinter_intent_t;

#ifdef SPLINTER_EMBEDDINGS
/* The dimension of vectors. */
#define SPLINTER_EMBED_DIM 768
#endif

/* The header of a store. Programs pass its address, and must not read from it. */
struct splinter_header;
typedef struct splinter_header splinter_header_t;
typedef struct splinter_header splinter_bus_header_t;

/* An open store. */
typedef struct splinter_store splinter_store_t;

/* What a program wants done with several keys. */
typedef struct splinter_transaction splinter_transaction_t;

/* An open queue, and one of those who receive its messages. */
typedef struct splinter_queue splinter_queue_t;
typedef struct splinter_consumer splinter_consumer_t;

#ifdef __cplusplus
#define SPLINTER_ALIGNED(bytes) alignas(bytes)
#else
#define SPLINTER_ALIGNED(bytes) _Alignas(bytes)
#endif

/* The fields of a store's header. */
struct splinter_header_snapshot {
    /* SPLINTER_MAGIC. */
    uint32_t magic;
    /* SPLINTER_VER. */
    uint32_t version;
    /* The most keys that the store can hold. */
    uint32_t slots;
    /* The longest value, in bytes. */
    uint32_t max_val_sz;
    /* The number of changes so far. */
    uint64_t epoch;
    /* The result of splinter_config_snapshot. */
    uint8_t core_flags;
    /* Zero. */
    uint8_t reserved;
    /* The upper half of the result of splinter_flag_snapshot. */
    uint16_t user_flags;
    /* The number of values that programs reported as malformed. */
    uint64_t parse_failures;
    /* The store's epoch at the last such report. */
    uint64_t last_failure_epoch;
};
typedef struct splinter_header_snapshot splinter_header_snapshot_t;

/* The metadata of a key. */
struct splinter_slot_snapshot {
    /* The hash by which the key is placed. */
    uint64_t hash;
    /* Even, and higher after every change. */
    uint64_t epoch;
    /* The offset of its value in the store, in bytes. */
    uint64_t val_off;
    /* Its value's length in bytes. */
    uint32_t val_len;
    /* Its type: one of SPL_SLOT_TYPE_*. */
    uint16_t type_flag;
    /* Its flags: SPL_FUSR* and other bits that splinter_slot_usr_set has set. */
    uint16_t user_flag;
    /* When the value was made, as splinter_set_slot_time recorded. */
    uint64_t ctime;
    /* When the value was last used, as splinter_set_slot_time recorded. */
    uint64_t atime;
    /* Its labels. */
    uint64_t bloom;
    /* The key. */
    char key[SPLINTER_KEY_MAX];
#ifdef SPLINTER_EMBEDDINGS
    /* Its vector; zero if it has none. */
    float embedding[SPLINTER_EMBED_DIM];
#endif
};
typedef struct splinter_slot_snapshot splinter_slot_snapshot_t;

/* A slot that belongs to the program. splinter_get_slot fills it for a key of an open store. In a slot that was never
 * filled, and is all zero, functions use only user_flag. */
struct splinter_slot {
    /* The store's number in this process; 0: none. */
    SPLINTER_ALIGNED(64) uint64_t store;
    /* This field and the next ones are as in struct splinter_slot_snapshot, when the slot was filled. */
    uint64_t hash;
    /* Even, and higher after every change. */
    uint64_t epoch;
    /* The labels. */
    uint64_t bloom;
    /* When the value was made. */
    uint64_t ctime;
    /* When the value was last used. */
    uint64_t atime;
    /* The value's length in bytes. */
    uint32_t val_len;
    /* The type: one of SPL_SLOT_TYPE_*. */
    uint16_t type_flag;
    /* The flags, which splinter_slot_usr_set and splinter_slot_usr_clear keep up to date. */
    uint16_t user_flag;
    /* Zero. */
    uint64_t reserved;
    /* The key. */
    char key[SPLINTER_KEY_MAX];
};
typedef struct splinter_slot splinter_slot_t;

/* A bid for advice on a store's memory. */
struct splinter_shard_bid_snapshot {
    /* The id of the bid. */
    uint32_t shard_id;
    /* The process for which the bid was made. */
    uint32_t pid;
    /* One of SPL_INTENT_*. */
    uint8_t intent;
    /* The higher, the sooner it is elected. */
    uint8_t priority;
    /* 1 if the bid has expired. */
    uint8_t expired;
    /* 1 if the bid is elected. */
    uint8_t sovereign;
    /* Zero. */
    uint32_t reserved;
    /* How many ticks of splinter_now the bid holds; UINT64_MAX is without end. */
    uint64_t duration_tsc;
    /* When it was made or last renewed, by splinter_now. */
    uint64_t claimed_at;
};
typedef struct splinter_shard_bid_snapshot splinter_shard_bid_snapshot_t;

/* What became of a key in a transaction. */
struct splinter_outcome {
    /* Its epoch after the change; 0 if its value and vector are as they were. */
    uint64_t epoch;
    /* The number that splinter_transaction_set_integer or an integer operation made. */
    uint64_t number;
    /* The number of its slot, as splinter_event_bus_get_dirty counts; 0 if the epoch is 0. */
    uint32_t slot;
    /* 1 if there is a number, otherwise 0. */
    uint32_t has_number;
};
typedef struct splinter_outcome splinter_outcome_t;

/* What splinter_queue_recv tells of a message, besides its bytes. */
struct splinter_queue_message {
    /* Its place in the queue: later messages have higher ones. */
    uint64_t position;
    /* How often consumers of the group took it: 1 unless one died, returned it or was too slow. */
    uint32_t deliveries;
    /* Zero. */
    uint32_t reserved;
};
typedef struct splinter_queue_message splinter_queue_message_t;

/* The terms of a queue, and how many messages were sent. */
struct splinter_queue_snapshot {
    /* How many messages it holds. */
    uint64_t capacity;
    /* The longest message, in bytes. */
    uint64_t max_len;
    /* After how many milliseconds without an acknowledgement a message comes again; UINT64_MAX: never. */
    uint64_t timeout_ms;
    /* How many messages were ever sent: the next position. */
    uint64_t sent;
    /* How many groups it has. */
    uint64_t groups;
};
typedef struct splinter_queue_snapshot splinter_queue_snapshot_t;

/* A key that a search found. At some instant during the search it was there with all that this says. */
struct splinter_hit {
    /* The key. */
    char key[SPLINTER_KEY_MAX];
    /* The number of its slot, as splinter_event_bus_get_dirty counts. */
    uint32_t slot;
    /* Zero. */
    uint32_t reserved;
    /* Its epoch; while a writer publishes a change, perhaps that before the change. */
    uint64_t epoch;
    /* How near its vector is to the query: higher is nearer, whatever the metric. */
    double score;
};
typedef struct splinter_hit splinter_hit_t;

/* A key that a search may find: what the function rescore of its options is called with. Everything is of one moment. */
struct splinter_candidate {
    /* The key. */
    char key[SPLINTER_KEY_MAX];
    /* The number of its slot. */
    uint32_t slot;
    /* Its type: one of SPL_SLOT_TYPE_*. */
    unsigned int type_flag;
    /* Its epoch. */
    uint64_t epoch;
    /* Its labels. */
    uint64_t labels;
    /* The score of its vector. */
    double score;
    /* A copy of its value, which stays until the function returns. */
    const void *value;
    /* Its value's length in bytes. */
    size_t len;
};
typedef struct splinter_candidate splinter_candidate_t;

/* Options of splinter_search and splinter_search_near. Set size, and leave every other member zero that is not wanted:
 * later versions may have more of them. */
struct splinter_search {
    /* sizeof(splinter_search_t). */
    size_t size;
    /* How many hits are wanted; 0: 10. SIZE_MAX: as many as there is room for. */
    size_t k;
    /* How many components the query has; 0: SPLINTER_EMBED_DIM. splinter_search_near ignores it. */
    size_t dim;
    /* Finds only keys that carry all of these labels. */
    uint64_t labels_all;
    /* Finds only keys that carry at least one of these labels; 0: any key. */
    uint64_t labels_any;
    /* Finds only keys that carry none of these labels. */
    uint64_t labels_none;
    /* Finds only keys of this epoch or a later one. */
    uint64_t min_epoch;
    /* Finds only keys with this score or a higher one, if has_min_score is not 0. */
    double min_score;
    /* Finds only keys that begin with this; NULL: any key. */
    const char *prefix;
    /* How many candidates, which are chosen by sketches of their vectors, are scored by the vectors; 0: 500, and ten for
     * each hit that is wanted. More miss fewer of the nearest keys, and take longer. */
    size_t depth;
    /* A function that gives a candidate another score, as a hybrid search does; NULL: none. It is called in the calling
     * thread, and may call any function of this library. A candidate whose score is no number is no hit. */
    double (*rescore)(const splinter_candidate_t *candidate, void *data);
    /* What the function gets as its second argument. */
    void *data;
    /* One of SPLINTER_METRIC_*. */
    int metric;
    /* Finds only keys of this type, one of SPL_SLOT_TYPE_*; 0: any key. */
    unsigned int type_flag;
    /* How many threads scan, 256 at most; 0: one, the calling thread. */
    unsigned int threads;
    /* Not 0: min_score counts. */
    int has_min_score;
    /* Not 0: scores every vector, so that no nearer one is missed. */
    int exact;
    /* Not 0: finds the orders of a tandem as one, by the best of them. */
    int group_orders;
};
typedef struct splinter_search splinter_search_t;

/* These macros, which the program defines, select the functions that it calls. */
#ifdef SPLINTER_PERSISTENT
#define splinter_create splinter_create_path
#define splinter_create_cache splinter_create_cache_path
#define splinter_open splinter_open_path
#define splinter_open_or_create splinter_open_or_create_path
#define splinter_create_or_open splinter_create_or_open_path
#define splinter_open_numa splinter_open_numa_path
#define splinter_store_create splinter_store_create_path
#define splinter_store_create_cache splinter_store_create_cache_path
#define splinter_store_open splinter_store_open_path
#define splinter_store_open_or_create splinter_store_open_or_create_path
#define splinter_store_create_or_open splinter_store_create_or_open_path
#define splinter_store_open_numa splinter_store_open_numa_path
#endif
#ifdef SPLINTER_EMBEDDINGS
#define splinter_get_slot_snapshot splinter_get_slot_snapshot_embedding
#define splinter_store_get_slot_snapshot splinter_store_get_slot_snapshot_embedding
#endif

/* Opening and closing */

/* Creates a store and makes it the process's default store. A name is a store in /dev/shm; in the persistent library,
 * and in programs compiled with SPLINTER_PERSISTENT, it is a path.
 * Fails with EEXIST if the name exists, EINVAL for an invalid name or size, ENOSPC if there is too little memory. */
int splinter_create(const char *name, size_t slots, size_t max_value_size);

/* Creates a cache, and makes it the process's default store: a store that makes room for a new key by evicting one, once it
 * is full. policy is SPL_EVICT_SIEVE, which keeps the keys that are used again, or SPL_EVICT_LRU, which keeps those that
 * were used last; with SPL_EVICT_EXPIRED only keys go that have expired, as in a store of splinter_create. Pinned keys
 * stay: see splinter_pin. Evicting a key signals its groups. Fails as splinter_create does, and with EINVAL for another
 * policy. */
int splinter_create_cache(const char *name, size_t slots, size_t max_value_size, int policy);

/* Opens a store and makes it the process's default store. Closes the previous default store.
 * Fails with ENOENT if there is no store, EINVAL if the file is not a store. If the caller may only read the store, this
 * function, like all that open one except those with _numa, opens it read-only: writing, bidding and arming the event
 * bus then fail with EROFS. */
int splinter_open(const char *name);

/* Opens a store, or creates it if there is none. */
int splinter_open_or_create(const char *name, size_t slots, size_t max_value_size);

/* Creates a store, or opens it if there is one. */
int splinter_create_or_open(const char *name, size_t slots, size_t max_value_size);

/* Opens a store with its memory on a NUMA node, and makes it the process's default store. Returns the address of the
 * store, which is that of its header, or NULL. */
void *splinter_open_numa(const char *name, int node);

/* Closes the default store. Its name stays until it is unlinked. A call of another thread that waits for the store soon
 * returns -2. */
void splinter_close(void);

/* Creates a store. Returns a handle, or NULL. */
splinter_store_t *splinter_store_create(const char *name, size_t slots, size_t max_value_size);

/* Creates a cache, as splinter_create_cache does. Returns a handle, or NULL. */
splinter_store_t *splinter_store_create_cache(const char *name, size_t slots, size_t max_value_size, int policy);

/* Opens a store. Returns a handle, or NULL. */
splinter_store_t *splinter_store_open(const char *name);

/* Opens a store, or creates it if there is none. Returns a handle, or NULL. */
splinter_store_t *splinter_store_open_or_create(const char *name, size_t slots, size_t max_value_size);

/* Creates a store, or opens it if there is one. Returns a handle, or NULL. */
splinter_store_t *splinter_store_create_or_open(const char *name, size_t slots, size_t max_value_size);

/* Opens a store with its memory on a NUMA node. Returns a handle, or NULL. */
splinter_store_t *splinter_store_open_numa(const char *name, int node);

/* Closes a store. Its handle is an error from then on, for every thread. */
void splinter_store_close(splinter_store_t *store);

/* The same by path, in either library */

/* Does the same as the function without _path, on a file. */
int splinter_create_path(const char *path, size_t slots, size_t max_value_size);

/* Does the same as the function without _path, on a file. */
int splinter_create_cache_path(const char *path, size_t slots, size_t max_value_size, int policy);

/* Does the same as the function without _path, on a file. */
int splinter_open_path(const char *path);

/* Does the same as the function without _path, on a file. */
int splinter_open_or_create_path(const char *path, size_t slots, size_t max_value_size);

/* Does the same as the function without _path, on a file. */
int splinter_create_or_open_path(const char *path, size_t slots, size_t max_value_size);

/* Does the same as the function without _path, on a file. */
void *splinter_open_numa_path(const char *path, int node);

/* Does the same as the function without _path, on a file. */
splinter_store_t *splinter_store_create_path(const char *path, size_t slots, size_t max_value_size);

/* Does the same as the function without _path, on a file. */
splinter_store_t *splinter_store_create_cache_path(const char *path, size_t slots, size_t max_value_size, int policy);

/* Does the same as the function without _path, on a file. */
splinter_store_t *splinter_store_open_path(const char *path);

/* Does the same as the function without _path, on a file. */
splinter_store_t *splinter_store_open_or_create_path(const char *path, size_t slots, size_t max_value_size);

/* Does the same as the function without _path, on a file. */
splinter_store_t *splinter_store_create_or_open_path(const char *path, size_t slots, size_t max_value_size);

/* Does the same as the function without _path, on a file. */
splinter_store_t *splinter_store_open_numa_path(const char *path, int node);

/* Keys and values */

/* Sets the value of a key, and creates the key if it is missing. Its type, labels and flags stay.
 * Fails with EAGAIN while another thread writes the key, EMSGSIZE if the value is too long, ENOSPC if the store is full, or
 * all keys of a cache are pinned. */
int splinter_set(const char *key, const void *bytes, size_t len);
int splinter_store_set(splinter_store_t *store, const char *key, const void *bytes, size_t len);

/* Copies the value of a key to a buffer of cap bytes, and its length to *len, which may be NULL. With a NULL buffer it
 * only returns the length. Fails with ENOENT, and with EMSGSIZE if the buffer is too small; *len is then the size needed. */
int splinter_get(const char *key, void *buf, size_t cap, size_t *len);
int splinter_store_get(splinter_store_t *store, const char *key, void *buf, size_t cap, size_t *len);

/* Removes a key. Returns the length that its value had. */
int splinter_unset(const char *key);
int splinter_store_unset(splinter_store_t *store, const char *key);

/* Appends to the value of an existing key, all bytes or none. Puts the new length in *new_len, which may be NULL. */
int splinter_append(const char *key, const void *bytes, size_t len, size_t *new_len);
int splinter_store_append(splinter_store_t *store, const char *key, const void *bytes, size_t len, size_t *new_len);

/* Sets the value of a key as splinter_set does, and lets the key expire after so many milliseconds: from then on no
 * process reads it. The time goes on while the machine sleeps, and setting the clock does not move it. */
int splinter_set_for(const char *key, const void *bytes, size_t len, uint64_t ttl_ms);
int splinter_store_set_for(splinter_store_t *store, const char *key, const void *bytes, size_t len, uint64_t ttl_ms);

/* Lets a key expire after so many milliseconds; never, if that is UINT64_MAX. Setting the key anew clears its deadline,
 * and other changes keep it. The epoch stays. */
int splinter_expire(const char *key, uint64_t ttl_ms);
int splinter_store_expire(splinter_store_t *store, const char *key, uint64_t ttl_ms);

/* Puts for how many milliseconds a key stays in *ttl_ms: UINT64_MAX if that is until it is removed. */
int splinter_get_ttl(const char *key, uint64_t *ttl_ms);
int splinter_store_get_ttl(splinter_store_t *store, const char *key, uint64_t *ttl_ms);

/* Removes keys that have expired, so that watchers hear of it: looks at up to budget keys with deadlines, from where the
 * last call stopped. Returns how many it removed. Nothing needs it: expired keys are missing all the same. */
int splinter_sweep_expired(unsigned int budget);
int splinter_store_sweep_expired(splinter_store_t *store, unsigned int budget);

/* Fills an array with pointers to at most max keys, and puts their number in *count. Any thread may read the strings
 * until the store is closed. The string of a removed key may later hold another key, once as many new keys were listed
 * as the store can hold. */
int splinter_list(char **keys, size_t max, size_t *count);
int splinter_store_list(splinter_store_t *store, char **keys, size_t max, size_t *count);

/* Waits until a key changes, forever with UINT64_MAX. Fails with ETIMEDOUT, and with ENOENT if the key does not exist. */
int splinter_poll(const char *key, uint64_t timeout_ms);
int splinter_store_poll(splinter_store_t *store, const char *key, uint64_t timeout_ms);

/* Waits until the epoch of a key differs from the given one, which splinter_get_epoch or an earlier wait returned. So it
 * misses no change in between. Puts the new epoch in *new_epoch, which may be NULL. Fails as splinter_poll does. */
int splinter_poll_after(const char *key, uint64_t epoch, uint64_t timeout_ms, uint64_t *new_epoch);
int splinter_store_poll_after(splinter_store_t *store, const char *key, uint64_t epoch, uint64_t timeout_ms, uint64_t *new_epoch);

/* Waits until a key exists with another epoch than the given one: 0 for any. It waits for a key that does not exist yet,
 * and goes on if the key is removed. Puts the epoch in *new_epoch, which may be NULL. Fails with ETIMEDOUT. While the
 * key is missing, each change of any key costs its writer a little more. */
int splinter_wait_for(const char *key, uint64_t epoch, uint64_t timeout_ms, uint64_t *new_epoch);
int splinter_store_wait_for(splinter_store_t *store, const char *key, uint64_t epoch, uint64_t timeout_ms, uint64_t *new_epoch);

/* Returns the address of the value of a key, or NULL. The bytes are consistent while the epoch of the key is *epoch: the
 * caller compares the epoch after it has used the bytes. The address is valid until the store is closed. */
const void *splinter_get_raw_ptr(const char *key, size_t *len, uint64_t *epoch);
const void *splinter_store_get_raw_ptr(splinter_store_t *store, const char *key, size_t *len, uint64_t *epoch);

/* Returns the epoch of a key, which is even and grows by 2 with every change of its value, vector or type; 0 if the key
 * does not exist. Labels, times and flags leave it alone. */
uint64_t splinter_get_epoch(const char *key);
uint64_t splinter_store_get_epoch(splinter_store_t *store, const char *key);

/* Copies the value of a key as splinter_get does, and puts its epoch in *epoch: the one to expect in splinter_set_if. */
int splinter_get_with_epoch(const char *key, void *buf, size_t cap, size_t *len, uint64_t *epoch);
int splinter_store_get_with_epoch(splinter_store_t *store, const char *key, void *buf, size_t cap, size_t *len, uint64_t *epoch);

/* Sets the value of a key as splinter_set does, if the key is as expected at that instant: SPL_IF_ABSENT, SPL_IF_PRESENT,
 * SPL_IF_EPOCH with the epoch expected, or SPL_IF_ANY. Puts the new epoch in *new_epoch, which may be NULL. Fails with
 * EEXIST if the key exists and should not, ESTALE if it has another epoch, which *new_epoch then is, and ENOENT if it
 * does not exist and should. */
int splinter_set_if(const char *key, const void *bytes, size_t len, int expect, uint64_t epoch, uint64_t *new_epoch);
int splinter_store_set_if(splinter_store_t *store, const char *key, const void *bytes, size_t len, int expect, uint64_t epoch, uint64_t *new_epoch);

/* Appends to the value of a key as splinter_append does, if the key is as expected, as for splinter_set_if. */
int splinter_append_if(const char *key, const void *bytes, size_t len, int expect, uint64_t epoch, uint64_t *new_epoch);
int splinter_store_append_if(splinter_store_t *store, const char *key, const void *bytes, size_t len, int expect, uint64_t epoch, uint64_t *new_epoch);

/* Removes a key if it is as expected, as for splinter_set_if. */
int splinter_unset_if(const char *key, int expect, uint64_t epoch, uint64_t *new_epoch);
int splinter_store_unset_if(splinter_store_t *store, const char *key, int expect, uint64_t epoch, uint64_t *new_epoch);

/* Metadata of a key */

/* Raises the epoch of a key, and changes nothing else. */
int splinter_bump_slot(const char *key);
int splinter_store_bump_slot(splinter_store_t *store, const char *key);

/* Clears the vector of a key, raises its epoch, and signals its groups. A program that makes vectors can then make a
 * new one. */
int splinter_retrain_slot(const char *key);
int splinter_store_retrain_slot(splinter_store_t *store, const char *key);

/* Gives a key a type, one of SPL_SLOT_TYPE_*. For BIGUINT the value must be a number: eight bytes of any content are a
 * uint64_t, decimal digits are the number that they spell, and fewer bytes that are not text are a shorter unsigned
 * integer. The value then has eight bytes. Fails with EPROTOTYPE if the type is BIGUINT and the value is not a number. */
int splinter_set_named_type(const char *key, uint16_t kind);
int splinter_store_set_named_type(splinter_store_t *store, const char *key, uint16_t kind);

/* Records a time of a key: epoch less offset, in any unit. */
int splinter_set_slot_time(const char *key, unsigned short which, uint64_t epoch, size_t offset);
int splinter_store_set_slot_time(splinter_store_t *store, const char *key, unsigned short which, uint64_t epoch, size_t offset);

/* Makes a key a scratchpad: sets its type to BINARY, extends its value with zeroes to the longest that the store allows,
 * sets its flag SPL_SLOT_SYSTEM, and pins it. After EAGAIN a part may be done; call again. */
int splinter_set_as_system(const char *key);
int splinter_store_set_as_system(splinter_store_t *store, const char *key);

/* Pins a key: no cache evicts it until it is unpinned or removed. Setting it anew leaves it pinned, and a deadline still
 * holds. The epoch stays. */
int splinter_pin(const char *key);
int splinter_store_pin(splinter_store_t *store, const char *key);

/* Lets a cache evict a key again. */
int splinter_unpin(const char *key);
int splinter_store_unpin(splinter_store_t *store, const char *key);

/* Returns 1 if a key is pinned, otherwise 0. */
int splinter_is_pinned(const char *key);
int splinter_store_is_pinned(splinter_store_t *store, const char *key);

/* Changes the number of a BIGUINT key by an operation, SPL_OP_*, with the uint64_t at mask as its operand, which NOT
 * ignores. Fails with EPROTOTYPE if the key has another type. */
int splinter_integer_op(const char *key, int op, const void *mask);
int splinter_store_integer_op(splinter_store_t *store, const char *key, int op, const void *mask);

/* Does the same as splinter_integer_op, and puts the new number in *result. */
int splinter_integer_op_fetch(const char *key, int op, const void *mask, uint64_t *result);
int splinter_store_integer_op_fetch(splinter_store_t *store, const char *key, int op, const void *mask, uint64_t *result);

/* Does the same as splinter_integer_op_fetch, or applies the operation to initial if the key does not exist, and creates
 * it. The result may be NULL. */
int splinter_integer_op_or(const char *key, int op, const void *mask, uint64_t initial, uint64_t *result);
int splinter_store_integer_op_or(splinter_store_t *store, const char *key, int op, const void *mask, uint64_t initial, uint64_t *result);

/* Adds labels to a key. */
int splinter_set_label(const char *key, uint64_t mask);
int splinter_store_set_label(splinter_store_t *store, const char *key, uint64_t mask);

/* Removes labels from a key. */
int splinter_unset_label(const char *key, uint64_t mask);
int splinter_store_unset_label(splinter_store_t *store, const char *key, uint64_t mask);

/* Calls a function for each key that has all labels in mask. The function may call any function of this library. It may
 * read the key's string for as long as one from splinter_list. */
void splinter_enumerate_matches(uint64_t mask, void (*visit)(const char *key, uint64_t epoch, void *data), void *data);

/* Does the same as splinter_enumerate_matches, on the store of a handle. */
void splinter_store_enumerate_matches(splinter_store_t *store, uint64_t mask, void (*visit)(const char *key, uint64_t epoch, void *data), void *data);

/* Copies the metadata of a key; with SPLINTER_EMBEDDINGS also its vector, which is zero if the key has none. */
int splinter_get_slot_snapshot(const char *key, splinter_slot_snapshot_t *snapshot);
int splinter_store_get_slot_snapshot(splinter_store_t *store, const char *key, splinter_slot_snapshot_t *snapshot);

/* Fills a struct splinter_slot for a key. */
int splinter_get_slot(const char *key, struct splinter_slot *slot);
int splinter_store_get_slot(splinter_store_t *store, const char *key, struct splinter_slot *slot);

/* Sets flags in a slot, and in the key for which splinter_get_slot filled the slot, if it did. */
void splinter_slot_usr_set(struct splinter_slot *slot, uint16_t mask);

/* Clears flags as splinter_slot_usr_set sets them. */
void splinter_slot_usr_clear(struct splinter_slot *slot, uint16_t mask);

/* Returns 1 if any flag of mask is set, otherwise 0. */
int splinter_slot_usr_test(const struct splinter_slot *slot, uint16_t mask);

/* Returns the flags. */
uint16_t splinter_slot_usr_snapshot(const struct splinter_slot *slot);

/* Vectors */

#ifdef SPLINTER_EMBEDDINGS

/* Sets the vector of an existing key. Fails with EINVAL if the store has vectors of another dimension, and with
 * EOPNOTSUPP if it has none. */
int splinter_set_embedding(const char *key, const float *vector);
int splinter_store_set_embedding(splinter_store_t *store, const char *key, const float *vector);

/* Sets the vector of a key if the key is as expected, as for splinter_set_if. So the vector of a text is never set over
 * that of a later text. */
int splinter_set_embedding_if(const char *key, const float *vector, int expect, uint64_t epoch, uint64_t *new_epoch);
int splinter_store_set_embedding_if(splinter_store_t *store, const char *key, const float *vector, int expect, uint64_t epoch, uint64_t *new_epoch);

/* Copies the vector of a key. Fails with ENOENT if it has none. */
int splinter_get_embedding(const char *key, float *vector);
int splinter_store_get_embedding(splinter_store_t *store, const char *key, float *vector);

/* Returns how many components the store's vectors have; 0: it has none. */
int splinter_get_embedding_dim(void);
int splinter_store_get_embedding_dim(splinter_store_t *store);

/* Makes a transaction set the vector of a key: of the value that it sets, if it does. */
int splinter_transaction_set_embedding(splinter_transaction_t *transaction, const char *key, const float *vector);

/* The function that splinter_get_slot_snapshot stands for in a program compiled with SPLINTER_EMBEDDINGS. */
int splinter_get_slot_snapshot_embedding(const char *key, splinter_slot_snapshot_t *snapshot);
int splinter_store_get_slot_snapshot_embedding(splinter_store_t *store, const char *key, splinter_slot_snapshot_t *snapshot);
#endif

/* Search: the keys whose vectors are nearest */

#ifdef SPLINTER_EMBEDDINGS

/* Finds the keys whose vectors are nearest to a query, of all keys as they are now: there is no index to build. Puts the
 * hits in hits, the best first, and their number in *count: 10 at most, unless options, which may be NULL, say something
 * else, and never more than capacity. The query has SPLINTER_EMBED_DIM components, or as many as options say. Without the
 * option exact a search may miss some of the nearest. It changes nothing in the store, and keeps no key in a cache.
 * Fails with EINVAL if the query has another dimension than the store's vectors or a component that is infinite or no number,
 * or if an option is out of bounds; ENAMETOOLONG if the prefix is; EOPNOTSUPP if the store has no vectors; and EAGAIN if
 * other threads changed a key all the while. */
int splinter_search(const float *query, const splinter_search_t *options, splinter_hit_t *hits, size_t capacity, size_t *count);

/* Does the same as splinter_search, on the store of a handle. */
int splinter_store_search(splinter_store_t *store, const float *query, const splinter_search_t *options, splinter_hit_t *hits, size_t capacity, size_t *count);

/* Finds the keys whose vectors are nearest to that of a key, which is left out itself, as splinter_search does. Vectors
 * may have any dimension. Fails with ENOENT if the key does not exist or has no vector. */
int splinter_search_near(const char *key, const splinter_search_t *options, splinter_hit_t *hits, size_t capacity, size_t *count);

/* Does the same as splinter_search_near, on the store of a handle. */
int splinter_store_search_near(splinter_store_t *store, const char *key, const splinter_search_t *options, splinter_hit_t *hits, size_t capacity, size_t *count);

/* Puts in *score how near the vectors of two keys are to each other, by a metric, SPLINTER_METRIC_*, both as they are at
 * one moment: the score that a search near the one gives the other. Fails with ENOENT if a key does not exist or has no
 * vector, EINVAL if a component is infinite or no number, EOPNOTSUPP if the store has no vectors, and EAGAIN. */
int splinter_similarity(const char *a, const char *b, int metric, double *score);
int splinter_store_similarity(splinter_store_t *store, const char *a, const char *b, int metric, double *score);
#endif

/* The store as a whole */

/* Sets the scrub level: 0 none, 1 hybrid (the default of new stores), 2 full. */
int splinter_set_mop(unsigned int mode);
int splinter_store_set_mop(splinter_store_t *store, unsigned int mode);

/* Returns the scrub level. */
int splinter_get_mop(void);
int splinter_store_get_mop(splinter_store_t *store);

/* Sets the scrub level to full for 1, and to none for 0. */
int splinter_set_av(unsigned int mode);
int splinter_store_set_av(splinter_store_t *store, unsigned int mode);

/* Returns 1 if the scrub level is full, otherwise 0. */
int splinter_get_av(void);
int splinter_store_get_av(splinter_store_t *store);

/* Returns which key makes room for a new one in a full store: one of SPL_EVICT_*, as given to splinter_create_cache. */
int splinter_get_eviction(void);
int splinter_store_get_eviction(splinter_store_t *store);

/* Returns how many keys the store has evicted. */
uint64_t splinter_get_evicted_count(void);
uint64_t splinter_store_get_evicted_count(splinter_store_t *store);

/* Returns how many keys the store has removed because they had expired. */
uint64_t splinter_get_expired_count(void);
uint64_t splinter_store_get_expired_count(splinter_store_t *store);

/* Zeroes every stale byte of the store, at any scrub level. */
void splinter_purge(void);
void splinter_store_purge(splinter_store_t *store);

/* Takes a snapshot of the store's header. */
int splinter_get_header_snapshot(splinter_header_snapshot_t *snapshot);
int splinter_store_get_header_snapshot(splinter_store_t *store, splinter_header_snapshot_t *snapshot);

/* Returns the address of the store's header, as an argument for the functions below. Programs must not read from it. */
struct splinter_header *splinter_get_header(void);
struct splinter_header *splinter_store_get_header(splinter_store_t *store);

/* Sets bits of SPL_SYS_* and SPL_SUSR*. */
void splinter_config_set(struct splinter_header *header, uint8_t mask);

/* Clears bits of SPL_SYS_* and SPL_SUSR*. */
void splinter_config_clear(struct splinter_header *header, uint8_t mask);

/* Returns 1 if any bit of mask is set, otherwise 0. */
int splinter_config_test(const struct splinter_header *header, uint8_t mask);

/* Returns all these bits. */
uint8_t splinter_config_snapshot(const struct splinter_header *header);

/* Sets flags of the store: SPL_FLAG_*. The store itself owns flag 2, which does not change. */
void splinter_flag_set(struct splinter_header *header, uint32_t mask);

/* Clears flags of the store. */
void splinter_flag_clear(struct splinter_header *header, uint32_t mask);

/* Returns 1 if any flag of mask is set, otherwise 0. */
int splinter_flag_test(const struct splinter_header *header, uint32_t mask);

/* Returns all flags of the store. */
uint32_t splinter_flag_snapshot(const struct splinter_header *header);

/* Transactions: changes of several keys that happen together, or not at all */

/* Makes an empty transaction, for any store. The functions below add keys to it, at most SPLINTER_MAX_TRANSACTION_KEYS:
 * for a key too many they fail with ENOSPC. They copy what they are given. A key that is named again keeps its place. If
 * a process forks while another thread uses a transaction, its child gets EOPNOTSUPP for it until it clears it. */
splinter_transaction_t *splinter_transaction_create(void);

/* Frees a transaction. Its handle is an error from then on, for every thread. */
void splinter_transaction_free(splinter_transaction_t *transaction);

/* Removes all keys from a transaction. */
int splinter_transaction_clear(splinter_transaction_t *transaction);

/* Makes a transaction happen only if a key is as expected, as for splinter_set_if. Without a change of the key, that is
 * all that it does with it. */
int splinter_transaction_expect(splinter_transaction_t *transaction, const char *key, int expect, uint64_t epoch);

/* Makes a transaction set the value of a key, as splinter_set does. This function and the next four replace each other:
 * the last one counts. */
int splinter_transaction_set(splinter_transaction_t *transaction, const char *key, const void *bytes, size_t len);

/* Makes a transaction set a key to a number, of type BIGUINT. */
int splinter_transaction_set_integer(splinter_transaction_t *transaction, const char *key, uint64_t number);

/* Makes a transaction change the number of a key, as splinter_integer_op does. */
int splinter_transaction_integer_op(splinter_transaction_t *transaction, const char *key, int op, const void *mask);

/* Makes a transaction change the number of a key, as splinter_integer_op_or does. */
int splinter_transaction_integer_op_or(splinter_transaction_t *transaction, const char *key, int op, const void *mask, uint64_t initial);

/* Makes a transaction remove a key. That the key does not exist is no failure, unless it is expected to. */
int splinter_transaction_unset(splinter_transaction_t *transaction, const char *key);

/* Makes a transaction add labels to a key. */
int splinter_transaction_set_label(splinter_transaction_t *transaction, const char *key, uint64_t mask);

/* Makes a transaction remove labels from a key. */
int splinter_transaction_unset_label(splinter_transaction_t *transaction, const char *key, uint64_t mask);

/* Lets a key expire after so many milliseconds from the commit on; never, if that is UINT64_MAX. Without this, a key that
 * is set to a value or number stays until it is removed, and any other as long as before. */
int splinter_transaction_expire(splinter_transaction_t *transaction, const char *key, uint64_t ttl_ms);

/* Lets a key that is set expire when it would have before. */
int splinter_transaction_keep_ttl(splinter_transaction_t *transaction, const char *key);

/* Makes all changes of a transaction at once, or none. Every reader finds all keys as before or all as after, also if
 * this process dies half-way. The transaction stays as it is, and can be committed again.
 * Puts what became of each key in outcomes, which has room for max of them and may be NULL, in the order in which the
 * transaction named them. Fails for a key that stands in the way; if there are several, for any of them: EEXIST, ESTALE or
 * ENOENT if it is not as expected or does not exist, EAGAIN while another thread writes it, EPROTOTYPE, EMSGSIZE, EINVAL
 * and ENOSPC as for the functions that make such a change alone. A key that is expected to be missing needs a free slot.
 * Then *place is that key's place, from 0 on, and *epoch its epoch if it exists and is not as expected, otherwise 0. For
 * failures that no key caused *place is SIZE_MAX. Both may be NULL. */
int splinter_commit(splinter_transaction_t *transaction, splinter_outcome_t *outcomes, size_t max, size_t *place, uint64_t *epoch);
int splinter_store_commit(splinter_store_t *store, splinter_transaction_t *transaction, splinter_outcome_t *outcomes, size_t max, size_t *place, uint64_t *epoch);

/* Reads count keys as they were at one moment. Copies the value of key number i to buf + i * stride, and puts its length
 * in lens[i]: SIZE_MAX if the key did not exist, more than stride if the value is longer, which is then not copied.
 * Fails with EAGAIN if other threads changed the keys all the while. */
int splinter_get_consistent(const char *const *keys, size_t count, void *buf, size_t stride, size_t *lens);
int splinter_store_get_consistent(splinter_store_t *store, const char *const *keys, size_t count, void *buf, size_t stride, size_t *lens);

/* Tandems: keys published as one, named base, base.1, base.2 and so on */

/* Sets all orders of a tandem. Readers of the tandem see all new values or none. */
int splinter_client_set_tandem(const char *base, const void **values, const size_t *lens, uint8_t orders);
int splinter_store_client_set_tandem(splinter_store_t *store, const char *base, const void **values, const size_t *lens, uint8_t orders);

/* Removes all orders of a tandem. */
void splinter_client_unset_tandem(const char *base, uint8_t orders);
void splinter_store_client_unset_tandem(splinter_store_t *store, const char *base, uint8_t orders);

/* Queues: messages that one consumer of each group gets */

/* Creates a queue for capacity messages, a power of two, of at most max_len bytes. It is the keys name, name/0, name/1 and so
 * on, and name:default, the key of its only group. A message that was received and not acknowledged for timeout_ms
 * milliseconds is delivered again; UINT64_MAX waits for the consumer's end alone. Returns a handle, or NULL. Fails with EEXIST
 * if there is a queue or another key of such a name, ENOSPC if the store has too few free slots, and EINVAL for a name or
 * terms that cannot be: max_len is at most 16 less than the store's longest value. */
splinter_queue_t *splinter_queue_create(const char *name, uint64_t capacity, size_t max_len, uint64_t timeout_ms);
splinter_queue_t *splinter_store_queue_create(splinter_store_t *store, const char *name, uint64_t capacity, size_t max_len, uint64_t timeout_ms);

/* Opens a queue. Returns a handle, or NULL. Any thread may use it, and so may a forked child. It ends with its store. Fails
 * with ENOENT if there is no queue, EPROTOTYPE if the key is not one, EBADMSG if keys of it are missing. */
splinter_queue_t *splinter_queue_open(const char *name);
splinter_queue_t *splinter_store_queue_open(splinter_store_t *store, const char *name);

/* Opens a queue, or creates it if there is none. */
splinter_queue_t *splinter_queue_open_or_create(const char *name, uint64_t capacity, size_t max_len, uint64_t timeout_ms);
splinter_queue_t *splinter_store_queue_open_or_create(splinter_store_t *store, const char *name, uint64_t capacity, size_t max_len, uint64_t timeout_ms);

/* Removes a queue with all its messages and groups. Calls with handles of it then fail with EIDRM, in all processes. */
int splinter_queue_remove(const char *name);
int splinter_store_queue_remove(splinter_store_t *store, const char *name);

/* Closes a queue, whose consumers stay. Its handle is an error from then on, for every thread; a call that waits soon
 * returns -2. */
void splinter_queue_close(splinter_queue_t *queue);

/* Sends a message. Puts its position in *position, which may be NULL. While the queue is full, because a group has not
 * acknowledged its oldest message, waits timeout_ms milliseconds, forever with UINT64_MAX; then fails with ETIMEDOUT, or
 * with EAGAIN if timeout_ms is 0. Fails with EMSGSIZE if the message is too long. Each thread that sends takes a writer of
 * the store, at most 16 by one handle. */
int splinter_queue_send(splinter_queue_t *queue, const void *bytes, size_t len, uint64_t timeout_ms, uint64_t *position);

/* Creates a group, which gets every message from the next one on (SPL_QUEUE_NEWEST), or also those that are certainly still
 * there (SPL_QUEUE_OLDEST). Fails with EEXIST if there is such a group, ENOSPC if there is no room for another. */
int splinter_queue_create_group(splinter_queue_t *queue, const char *group, int start);

/* Drops a group: no message waits for it any longer. Fails with ENOENT if there is no such group. */
int splinter_queue_drop_group(splinter_queue_t *queue, const char *group);

/* Copies the name of a group to a buffer of cap bytes, of which SPLINTER_KEY_MAX are enough. The first has the index 0. Fails
 * with ENOENT if there are fewer groups. */
int splinter_queue_get_group(splinter_queue_t *queue, size_t index, char *buf, size_t cap);

/* Counts the messages that a group has not acknowledged, those in flight included. */
int splinter_queue_backlog(splinter_queue_t *queue, const char *group, uint64_t *count);

/* Tells the terms of a queue, and how many messages were sent. */
int splinter_queue_get_snapshot(splinter_queue_t *queue, splinter_queue_snapshot_t *snapshot);

/* Makes a consumer of a group, and takes a writer of the store for it. Returns a handle, or NULL. Each thread that receives
 * has its own: of threads that share one, each finishes the others' messages. A forked child makes its own, too, and gets
 * EOPNOTSUPP for its parent's. Fails with ENOENT if there is no such group. */
splinter_consumer_t *splinter_queue_join(splinter_queue_t *queue, const char *group);

/* Leaves a group. Other consumers get what this one has not finished, the message that it got last included. They also do
 * when its process ends in any way. The handle is an error from then on, for every thread. */
void splinter_queue_leave(splinter_consumer_t *consumer);

/* Finishes the last message, and copies the next one to a buffer of cap bytes. Puts its length in *len, and what else there
 * is to tell of it in *message; both may be NULL. Without a message, waits timeout_ms milliseconds, forever with UINT64_MAX;
 * then fails with ETIMEDOUT, or with EAGAIN if timeout_ms is 0. A finished message is acknowledged with the next batch, or
 * at once by splinter_queue_ack. Fails with EMSGSIZE, and does nothing, if the buffer is too small for the queue's longest
 * message, whose length *len then is. */
int splinter_queue_recv(splinter_consumer_t *consumer, void *buf, size_t cap, size_t *len, uint64_t timeout_ms, splinter_queue_message_t *message);

/* Acknowledges all messages that a consumer got, the last one included. Nothing happens to those that came to another
 * consumer meanwhile, since the queue's timeout was over. */
int splinter_queue_ack(splinter_consumer_t *consumer);

/* Gives the last message back, to be delivered again after delay_ms milliseconds, to any consumer of the group. Acknowledges
 * those before it. */
int splinter_queue_nack(splinter_consumer_t *consumer, uint64_t delay_ms);

/* Sets how many messages a consumer takes at once, at most: 64 at first, and fewer if they are long or the queue is small.
 * More make each cheaper, fewer leave more to other consumers. */
int splinter_queue_set_batch(splinter_consumer_t *consumer, size_t messages);

/* Returns 1 if other consumers notice the end of this one's process, otherwise 0: then they get what it had after the queue's
 * timeout only. */
int splinter_queue_is_death_noticed(splinter_consumer_t *consumer);

/* Signals */

/* Makes changes of a key signal a group. Fails with EINVAL if the group does not exist. */
int splinter_watch_register(const char *key, uint8_t group);
int splinter_store_watch_register(splinter_store_t *store, const char *key, uint8_t group);

/* Stops changes of a key from signalling a group. */
int splinter_watch_unregister(const char *key, uint8_t group);
int splinter_store_watch_unregister(splinter_store_t *store, const char *key, uint8_t group);

/* Makes changes of a key signal a group, whether or not the key exists, and so again after each removal. Fails with
 * ENOSPC if the store has 56 of these already. After EAGAIN the same call completes it. */
int splinter_watch_register_lasting(const char *key, uint8_t group);
int splinter_store_watch_register_lasting(splinter_store_t *store, const char *key, uint8_t group);

/* Stops changes of a key from signalling a group, also after it is removed and set again. */
int splinter_watch_unregister_lasting(const char *key, uint8_t group);
int splinter_store_watch_unregister_lasting(splinter_store_t *store, const char *key, uint8_t group);

/* Makes changes of all keys that have a label in mask signal a group. */
int splinter_watch_label_register(uint64_t mask, uint8_t group);
int splinter_store_watch_label_register(splinter_store_t *store, uint64_t mask, uint8_t group);

/* Signals each group of the key for which splinter_get_slot filled the slot, once. */
void splinter_pulse_watchers(struct splinter_slot *slot);

/* Signals each group of a key once. */
int splinter_pulse_keygroup(const char *key);
int splinter_store_pulse_keygroup(splinter_store_t *store, const char *key);

/* Returns how many times a group was signalled. */
uint64_t splinter_get_signal_count(uint8_t group);
uint64_t splinter_store_get_signal_count(splinter_store_t *store, uint8_t group);

/* The event bus: all changes of a store */

/* Arms the bus, for all processes and for good. Descriptors that are opened later report all changes since this process
 * armed the bus, or, in a process that did not, since the first one did. */
int splinter_event_bus_init(void);
int splinter_store_event_bus_init(splinter_store_t *store);

/* Returns a descriptor for poll(2) and similar calls. It is readable when something changed since the bus was armed, or
 * since the last wait on the descriptor. Programs must not read from it. Fails with ENODEV if the bus is not armed. A
 * forked child must open its own. */
int splinter_event_bus_open(void);
int splinter_store_event_bus_open(splinter_store_t *store);

/* Waits until something changed since the last wait on this descriptor, forever with UINT64_MAX. If several threads
 * wait, all of them return.
 * Fails with ETIMEDOUT, ENODEV if the bus is not armed, EINVAL if the descriptor is not one of the bus. */
int splinter_event_bus_wait(int fd, uint64_t timeout_ms);
int splinter_store_event_bus_wait(splinter_store_t *store, int fd, uint64_t timeout_ms);

/* Closes a descriptor. Closing the store does so, too. Do not close it with close(2): its number may then belong to
 * another file, which this function would close. The library notices that for files, pipes and sockets only. */
void splinter_event_bus_close(int fd);
void splinter_store_event_bus_close(splinter_store_t *store, int fd);

/* Fills a mask with a bit for each slot that changed since the last call for this open store, or, in the first call,
 * since the bus was armed. Slot n has bit n modulo the number of bits. If there were too many changes to know the slots,
 * all bits are set. If the bus is not armed, errno is ENODEV and no bit is set. */
void splinter_event_bus_get_dirty(uint64_t *mask, size_t words);
void splinter_store_event_bus_get_dirty(splinter_store_t *store, uint64_t *mask, size_t words);

/* Bids for advice on the store's memory */

/* Makes a bid with an id of the caller's choice, not 0, for a number of ticks of splinter_now; UINT64_MAX is without end.
 * The bid ends with the process, and when the store is closed. If this process has a bid with the id, it is renewed.
 * Fails with EEXIST if the id is another process's, ENOSPC if the table is full. */
int splinter_shard_claim(uint32_t id, uint8_t intent, uint8_t priority, uint64_t duration_ticks);
int splinter_store_shard_claim(splinter_store_t *store, uint32_t id, uint8_t intent, uint8_t priority, uint64_t duration_ticks);

/* Makes a bid for the process pid, as if it was made at the time claimed_at. */
int splinter_shard_claim_ex(uint32_t id, uint32_t pid, uint8_t intent, uint8_t priority, uint64_t duration_ticks, uint64_t claimed_at);
int splinter_store_shard_claim_ex(splinter_store_t *store, uint32_t id, uint32_t pid, uint8_t intent, uint8_t priority, uint64_t duration_ticks, uint64_t claimed_at);

/* Renews this process's bid with other terms. Fails with ENOENT if there is no such bid, EPERM if it is another's. */
int splinter_shard_rebid(uint32_t id, uint8_t intent, uint8_t priority, uint64_t duration_ticks);
int splinter_store_shard_rebid(splinter_store_t *store, uint32_t id, uint8_t intent, uint8_t priority, uint64_t duration_ticks);

/* Releases this process's bid. */
int splinter_shard_release(uint32_t id);
int splinter_store_shard_release(splinter_store_t *store, uint32_t id);

/* Returns the id of the elected bid, or 0, and puts its intent in *intent, which may be NULL. */
uint32_t splinter_shard_election(uint8_t *intent);
uint32_t splinter_store_shard_election(splinter_store_t *store, uint8_t *intent);

/* Returns 1 if the bid with this id is elected, otherwise 0. */
int splinter_shard_is_sovereign(uint32_t id);
int splinter_store_shard_is_sovereign(splinter_store_t *store, uint32_t id);

/* Fills an array of max entries, at most SPLINTER_MAX_SHARDS, and returns the number of entries. Bids come first, then
 * entries without a bid, which have the shard_id 0 and are expired. */
int splinter_shard_table_snapshot(struct splinter_shard_bid_snapshot *bids, size_t max);
int splinter_store_shard_table_snapshot(splinter_store_t *store, struct splinter_shard_bid_snapshot *bids, size_t max);

/* Advises the kernel on len bytes of the store at an address, or with NULL on all of it, once the caller's bid with the
 * id is elected. advice is one of MADV_* of madvise(2). Fails with EAGAIN if another bid is elected and the timeout is
 * 0, and with ETIMEDOUT if the bid was not elected within timeout_ticks. */
int splinter_madvise(uint32_t id, void *address, size_t len, int advice, uint64_t timeout_ticks);
int splinter_store_madvise(splinter_store_t *store, uint32_t id, void *address, size_t len, int advice, uint64_t timeout_ticks);

/* The clock */

/* Returns the processor's time-stamp counter. */
#if defined(__x86_64__) && defined(__GNUC__)
static inline uint64_t splinter_now(void)
{
    return __builtin_ia32_rdtsc();
}
#else
uint64_t splinter_now(void);
#endif

#ifdef __cplusplus
}
#endif

#endif
