/* The C interface of splinter: a key-value, vector and signal store in shared memory.
 *
 * Generated from splinter/crates/capi/src; SPLINTER_HEADER=write cargo test -p splinter-capi --lib writes it anew.
 *
 *     cc program.c -lsplinter -lpthread
 *
 * Functions return 0 or what they were asked for. Otherwise they set errno and return -1, or -2 where the call itself is
 * wrong: NULL where there must be something, or no open store. Those that return no int return 0 or NULL instead. A
 * function that does its work leaves errno as it was.
 *
 *     EAGAIN           another writes the key, or it kept changing while it was read: try again
 *     ENOENT           no such key, store or bid
 *     EEXIST           there is one already
 *     EMSGSIZE         a buffer is too small, or a value too long
 *     ENAMETOOLONG     a key has more than 63 bytes
 *     ENOSPC           the store, a table or memory is full
 *     EPROTOTYPE       the key is of another type
 *     ETIMEDOUT        it took too long
 *     EINVAL           an argument is out of bounds
 *     ENODEV           the event bus is not armed
 *     EOPNOTSUPP       this store or this process cannot do that
 *     EPERM            the bid is another's
 *     EROFS            the store is open for reading only
 *     ENOTRECOVERABLE  the library is at fault
 *
 * Functions that open or create a store may set errno to whatever the kernel refused it for.
 *
 * A process has one store of its own, which functions without a handle mean. Those with splinter_store_ before their
 * names take a handle, and do the same on any number of stores. Any thread may call any of them at any time, a forked
 * child, too; handles of closed stores are errors. What must not be: a pointer that leads nowhere, or to less than is
 * said; calling any of them from a signal handler; and leaving a function that one of them calls otherwise than by
 * returning. No call is a cancellation point: a thread that is cancelled in one ends behind it.
 *
 * A store of at most 64 MiB takes all its memory when it is created: ENOSPC is the answer then if there is not as much.
 * A larger one, and one on a file system that cannot reserve, takes memory as it is touched: when /dev/shm or the disk is
 * full then, the process gets SIGBUS.
 *
 * Each thread that writes has a writer of its own until it ends, up to a quarter of the writers that the store has room
 * for (256 if it was created by these functions): more threads of one process take turns, and so does a thread for which
 * the process has no descriptor or memory left. Where all that there is room for are other processes', writing fails with
 * ENOSPC.
 *
 * A signal group hears of splinter_set, splinter_append, splinter_client_set_tandem, splinter_bump_slot and
 * splinter_retrain_slot, and of a pulse. It does not hear of splinter_unset, of integers, types, vectors, labels, times and
 * flags: so a program that waits for a group may note on a key that it has dealt with it. Who polls a key or waits on the
 * event bus hears of every change.
 *
 * SPLINTER_PERSISTENT  names are paths, as in libsplinter_p, whichever library the program is linked with
 * SPLINTER_EMBEDDINGS  declares vectors, and has slot snapshots take them in
 */
#ifndef SPLINTER_H
#define SPLINTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What every store begins with. */
#define SPLINTER_MAGIC 0x534C4E54u

/* The version of the layout of stores. */
#define SPLINTER_VER 3

/* Room for a key, with the NUL at its end. */
#define SPLINTER_KEY_MAX 64

/* Signal groups, numbered from 0. */
#define SPLINTER_MAX_GROUPS 64

/* Bids that a store's table holds. */
#define SPLINTER_MAX_SHARDS 32

/* Bits of the mask that splinter_event_bus_get_dirty fills. A store may have more slots. */
#define SPLINTER_MAX_SLOTS 1024

/* Words of the mask that splinter_event_bus_get_dirty fills: a bit for a slot, of which others may share it. */
#define SPLINTER_EVENT_BUS_MASK_WORDS 16

/* Nanoseconds in a millisecond. */
#define NS_PER_MS 1000000ULL

/* Bits of splinter_config_*: the scrub level is full with the first alone, hybrid with both, as it mostly is, or with
 * the second alone, and none with neither. */
#define SPL_SYS_AUTO_SCRUB 1
#define SPL_SYS_HYBRID_SCRUB 2

/* Bits of splinter_config_* that mean nothing yet. */
#define SPL_SYS_RESERVED_2 4
#define SPL_SYS_RESERVED_3 8

/* Bits of splinter_config_* that are the program's; they are SPL_FLAG_USR1 to 4, too. */
#define SPL_SUSR1 16
#define SPL_SUSR2 32
#define SPL_SUSR3 64
#define SPL_SUSR4 128

/* Bits of splinter_slot_usr_*: the program's. */
#define SPL_FUSR1 1
#define SPL_FUSR2 2
#define SPL_FUSR3 4
#define SPL_FUSR4 8
#define SPL_FUSR5 16
#define SPL_FUSR6 32
#define SPL_FUSR7 64
#define SPL_FUSR8 128

/* The bit that splinter_set_as_system sets. */
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

/* The type of a key that nobody has given one. */
#define SPL_SLOT_DEFAULT_TYPE 1

/* Which time splinter_set_slot_time sets. */
#define SPL_TIME_CTIME 0
#define SPL_TIME_ATIME 1

/* What stands between the name of a tandem and the number of an order. */
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

/* What a bidder intends to do with the store's memory. */
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

/* Every store begins with one. It is known by its address, and nothing is to be read from it. */
struct splinter_header;
typedef struct splinter_header splinter_header_t;
typedef struct splinter_header splinter_bus_header_t;

/* An open store. */
typedef struct splinter_store splinter_store_t;

#ifdef __cplusplus
#define SPLINTER_ALIGNED(bytes) alignas(bytes)
#else
#define SPLINTER_ALIGNED(bytes) _Alignas(bytes)
#endif

/* What a store's header says. */
struct splinter_header_snapshot {
    /* SPLINTER_MAGIC. */
    uint32_t magic;
    /* SPLINTER_VER. */
    uint32_t version;
    /* How many keys the store holds at most. */
    uint32_t slots;
    /* The longest value, in bytes. */
    uint32_t max_val_sz;
    /* Changes published so far. */
    uint64_t epoch;
    /* What splinter_config_snapshot returns. */
    uint8_t core_flags;
    /* Zero. */
    uint8_t reserved;
    /* The upper half of what splinter_flag_snapshot returns. */
    uint16_t user_flags;
    /* Values that programs reported they could not make sense of. */
    uint64_t parse_failures;
    /* The store's epoch when the last of them was reported. */
    uint64_t last_failure_epoch;
};
typedef struct splinter_header_snapshot splinter_header_snapshot_t;

/* What a slot says of its key. */
struct splinter_slot_snapshot {
    /* The hash by which the key is placed. */
    uint64_t hash;
    /* Even, and higher after every change. */
    uint64_t epoch;
    /* Where in the store its value begins, in bytes. */
    uint64_t val_off;
    /* Its value's length in bytes. */
    uint32_t val_len;
    /* Its type: one of SPL_SLOT_TYPE_*. */
    uint16_t type_flag;
    /* Its flags: SPL_FUSR* and what else splinter_slot_usr_set has set. */
    uint16_t user_flag;
    /* When the value was made, as splinter_set_slot_time said. */
    uint64_t ctime;
    /* When the value was last used, as splinter_set_slot_time said. */
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

/* A slot as a program has it: a description, which names the key of an open store that splinter_get_slot filled
 * it for. One that was never filled, all zero, is the program's own, and nothing but its user_flag is used. */
struct splinter_slot {
    /* The store's number in this process; 0: none. */
    SPLINTER_ALIGNED(64) uint64_t store;
    /* As in struct splinter_slot_snapshot, when it was filled; so are those that follow. */
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
    /* What is bid for. */
    uint32_t shard_id;
    /* The process the bid is said to be for. */
    uint32_t pid;
    /* One of SPL_INTENT_*. */
    uint8_t intent;
    /* The higher, the sooner it is elected. */
    uint8_t priority;
    /* 1: it no longer holds. */
    uint8_t expired;
    /* 1: it is elected. */
    uint8_t sovereign;
    /* Zero. */
    uint32_t reserved;
    /* For how many ticks of splinter_now it holds; UINT64_MAX: without end. */
    uint64_t duration_tsc;
    /* When it was made or last renewed, by splinter_now. */
    uint64_t claimed_at;
};
typedef struct splinter_shard_bid_snapshot splinter_shard_bid_snapshot_t;

/* How a program is compiled decides which function it calls. */
#ifdef SPLINTER_PERSISTENT
#define splinter_create splinter_create_path
#define splinter_open splinter_open_path
#define splinter_open_or_create splinter_open_or_create_path
#define splinter_create_or_open splinter_create_or_open_path
#define splinter_open_numa splinter_open_numa_path
#define splinter_store_create splinter_store_create_path
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

/* Creates a store and makes it the process's own. A name is a store in /dev/shm; in the persistent library, and in
 * programs compiled with SPLINTER_PERSISTENT, it is a path.
 * Fails with EEXIST if there is one, EINVAL for a name or sizes that cannot be, ENOSPC if there is no memory for it. */
int splinter_create(const char *name, size_t slots, size_t max_value_size);

/* Opens a store and makes it the process's own, in place of the one before it, which is closed.
 * Fails with ENOENT if there is none, EINVAL if it is not a store. A store that may only be read is opened for reading,
 * as by all functions that open one, but on a node: what writes, bids or arms the event bus fails with EROFS then. */
int splinter_open(const char *name);

/* Opens a store, or creates it if there is none. */
int splinter_open_or_create(const char *name, size_t slots, size_t max_value_size);

/* Creates a store, or opens it if there is one. */
int splinter_create_or_open(const char *name, size_t slots, size_t max_value_size);

/* Opens a store with its memory on a NUMA node and makes it the process's own. Returns the store's address, which
 * is that of its header, or NULL. */
void *splinter_open_numa(const char *name, int node);

/* Closes the process's own store. Its name stays, until it is unlinked. Who waits for something of the store in
 * another thread is told within a moment: -2. */
void splinter_close(void);

/* Creates a store. Returns a handle, or NULL. */
splinter_store_t *splinter_store_create(const char *name, size_t slots, size_t max_value_size);

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

/* Does what the function without _path does, on a file. */
int splinter_create_path(const char *path, size_t slots, size_t max_value_size);

/* Does what the function without _path does, on a file. */
int splinter_open_path(const char *path);

/* Does what the function without _path does, on a file. */
int splinter_open_or_create_path(const char *path, size_t slots, size_t max_value_size);

/* Does what the function without _path does, on a file. */
int splinter_create_or_open_path(const char *path, size_t slots, size_t max_value_size);

/* Does what the function without _path does, on a file. */
void *splinter_open_numa_path(const char *path, int node);

/* Does what the function without _path does, on a file. */
splinter_store_t *splinter_store_create_path(const char *path, size_t slots, size_t max_value_size);

/* Does what the function without _path does, on a file. */
splinter_store_t *splinter_store_open_path(const char *path);

/* Does what the function without _path does, on a file. */
splinter_store_t *splinter_store_open_or_create_path(const char *path, size_t slots, size_t max_value_size);

/* Does what the function without _path does, on a file. */
splinter_store_t *splinter_store_create_or_open_path(const char *path, size_t slots, size_t max_value_size);

/* Does what the function without _path does, on a file. */
splinter_store_t *splinter_store_open_numa_path(const char *path, int node);

/* Keys and values */

/* Sets the value of a key, which is created if missing; its type, labels and flags stay.
 * Fails with EAGAIN while another writes the key, EMSGSIZE for a value too long, ENOSPC if the store is full. */
int splinter_set(const char *key, const void *bytes, size_t len);
int splinter_store_set(splinter_store_t *store, const char *key, const void *bytes, size_t len);

/* Copies the value of a key to a buffer of cap bytes, and its length to *len, which may be NULL. With a NULL buffer
 * the length is all. Fails with ENOENT, and with EMSGSIZE if the buffer is too small; then *len is what it takes. */
int splinter_get(const char *key, void *buf, size_t cap, size_t *len);
int splinter_store_get(splinter_store_t *store, const char *key, void *buf, size_t cap, size_t *len);

/* Removes a key. Returns the length its value had. */
int splinter_unset(const char *key);
int splinter_store_unset(splinter_store_t *store, const char *key);

/* Appends to the value of a key that is there, as a whole or not at all. *new_len, which may be NULL, is the length then. */
int splinter_append(const char *key, const void *bytes, size_t len, size_t *new_len);
int splinter_store_append(splinter_store_t *store, const char *key, const void *bytes, size_t len, size_t *new_len);

/* Fills an array with pointers to at most max keys, and *count with how many there are in it. The strings can be read
 * until the store is closed, by any thread. That of a key which was removed may come to name another, once as many
 * new keys were listed as the store can hold. */
int splinter_list(char **keys, size_t max, size_t *count);
int splinter_store_list(splinter_store_t *store, char **keys, size_t max, size_t *count);

/* Waits until a key changes, for ever with UINT64_MAX. Fails with ETIMEDOUT, and with ENOENT if there is no such key. */
int splinter_poll(const char *key, uint64_t timeout_ms);
int splinter_store_poll(splinter_store_t *store, const char *key, uint64_t timeout_ms);

/* Waits until a key has another epoch than the one given, which splinter_get_epoch or an earlier wait returned: no
 * change in between is missed. Puts the new one in *new_epoch, which may be NULL. Fails as splinter_poll does. */
int splinter_poll_after(const char *key, uint64_t epoch, uint64_t timeout_ms, uint64_t *new_epoch);
int splinter_store_poll_after(splinter_store_t *store, const char *key, uint64_t epoch, uint64_t timeout_ms, uint64_t *new_epoch);

/* Returns where the value of a key lies, or NULL. The bytes are whole while the key's epoch is *epoch or the one
 * change after it is made; whoever uses them looks at the epoch afterwards. The address lasts until the store is closed. */
const void *splinter_get_raw_ptr(const char *key, size_t *len, uint64_t *epoch);
const void *splinter_store_get_raw_ptr(splinter_store_t *store, const char *key, size_t *len, uint64_t *epoch);

/* Returns the epoch of a key: even, and higher after every change. 0: there is no such key. */
uint64_t splinter_get_epoch(const char *key);
uint64_t splinter_store_get_epoch(splinter_store_t *store, const char *key);

/* What a key has beside its value */

/* Raises the epoch of a key, and changes nothing else. */
int splinter_bump_slot(const char *key);
int splinter_store_bump_slot(splinter_store_t *store, const char *key);

/* Clears the vector of a key, and publishes the key anew, so that whoever makes vectors makes it another: its groups
 * hear of it. */
int splinter_retrain_slot(const char *key);
int splinter_store_retrain_slot(splinter_store_t *store, const char *key);

/* Gives a key a type, one of SPL_SLOT_TYPE_*. For BIGUINT the value must be a number: eight bytes are a uint64_t,
 * whatever they look like; decimal digits are what they say; fewer bytes that are no text are a shorter unsigned
 * integer. Its length is 8 then. Fails with EPROTOTYPE if it is to be BIGUINT and is no number. */
int splinter_set_named_type(const char *key, uint16_t kind);
int splinter_store_set_named_type(splinter_store_t *store, const char *key, uint16_t kind);

/* Records a time of a key: epoch less offset, in any unit. */
int splinter_set_slot_time(const char *key, unsigned short which, uint64_t epoch, size_t offset);
int splinter_store_set_slot_time(splinter_store_t *store, const char *key, unsigned short which, uint64_t epoch, size_t offset);

/* Makes a key a scratchpad: its type is BINARY, its value as long as the store allows, with zeroes behind what it was,
 * and SPL_SLOT_SYSTEM is among its flags. After EAGAIN some of that may be done; call again. */
int splinter_set_as_system(const char *key);
int splinter_store_set_as_system(splinter_store_t *store, const char *key);

/* Changes the number of a BIGUINT key by an operation, SPL_OP_*, and the uint64_t at mask; NOT takes none.
 * Fails with EPROTOTYPE if the key is of another type. */
int splinter_integer_op(const char *key, int op, const void *mask);
int splinter_store_integer_op(splinter_store_t *store, const char *key, int op, const void *mask);

/* Does what splinter_integer_op does, and puts the new number in *result. */
int splinter_integer_op_fetch(const char *key, int op, const void *mask, uint64_t *result);
int splinter_store_integer_op_fetch(splinter_store_t *store, const char *key, int op, const void *mask, uint64_t *result);

/* Adds labels to a key. */
int splinter_set_label(const char *key, uint64_t mask);
int splinter_store_set_label(splinter_store_t *store, const char *key, uint64_t mask);

/* Takes labels from a key. */
int splinter_unset_label(const char *key, uint64_t mask);
int splinter_store_unset_label(splinter_store_t *store, const char *key, uint64_t mask);

/* Calls a function for each key that carries all labels of mask. It may call anything here; the strings it gets can be
 * read for as long as those of splinter_list. */
void splinter_enumerate_matches(uint64_t mask, void (*visit)(const char *key, uint64_t epoch, void *data), void *data);

/* Does what splinter_enumerate_matches does, on the store of a handle. */
void splinter_store_enumerate_matches(splinter_store_t *store, uint64_t mask, void (*visit)(const char *key, uint64_t epoch, void *data), void *data);

/* Takes a snapshot of what a slot says of its key; with SPLINTER_EMBEDDINGS the vector, too, zero if it has none. */
int splinter_get_slot_snapshot(const char *key, splinter_slot_snapshot_t *snapshot);
int splinter_store_get_slot_snapshot(splinter_store_t *store, const char *key, splinter_slot_snapshot_t *snapshot);

/* Fills a struct splinter_slot for a key. */
int splinter_get_slot(const char *key, struct splinter_slot *slot);
int splinter_store_get_slot(splinter_store_t *store, const char *key, struct splinter_slot *slot);

/* Sets flags of the key that a slot was filled for, and in the slot; in one that was not, there alone. */
void splinter_slot_usr_set(struct splinter_slot *slot, uint16_t mask);

/* Clears flags as splinter_slot_usr_set sets them. */
void splinter_slot_usr_clear(struct splinter_slot *slot, uint16_t mask);

/* Tells whether any flag of mask is set: 1, or 0. */
int splinter_slot_usr_test(const struct splinter_slot *slot, uint16_t mask);

/* Returns the flags. */
uint16_t splinter_slot_usr_snapshot(const struct splinter_slot *slot);

/* Vectors */

#ifdef SPLINTER_EMBEDDINGS

/* Sets the vector of a key that is there. Fails with EINVAL in a store of another dimension, EOPNOTSUPP in one without. */
int splinter_set_embedding(const char *key, const float *vector);
int splinter_store_set_embedding(splinter_store_t *store, const char *key, const float *vector);

/* Copies the vector of a key. Fails with ENOENT if it has none. */
int splinter_get_embedding(const char *key, float *vector);
int splinter_store_get_embedding(splinter_store_t *store, const char *key, float *vector);

/* What splinter_get_slot_snapshot is in a program compiled with SPLINTER_EMBEDDINGS. */
int splinter_get_slot_snapshot_embedding(const char *key, splinter_slot_snapshot_t *snapshot);
int splinter_store_get_slot_snapshot_embedding(splinter_store_t *store, const char *key, splinter_slot_snapshot_t *snapshot);
#endif

/* The store as a whole */

/* Sets the scrub level: 0 none, 1 hybrid, which new stores have, 2 full. */
int splinter_set_mop(unsigned int mode);
int splinter_store_set_mop(splinter_store_t *store, unsigned int mode);

/* Returns the scrub level. */
int splinter_get_mop(void);
int splinter_store_get_mop(splinter_store_t *store);

/* Sets the scrub level to full, with 1, or none, with 0. */
int splinter_set_av(unsigned int mode);
int splinter_store_set_av(splinter_store_t *store, unsigned int mode);

/* Tells whether the scrub level is full: 1, or 0. */
int splinter_get_av(void);
int splinter_store_get_av(splinter_store_t *store);

/* Zeroes every stale byte of the store, whatever the scrub level is. */
void splinter_purge(void);
void splinter_store_purge(splinter_store_t *store);

/* Takes a snapshot of the store's header. */
int splinter_get_header_snapshot(splinter_header_snapshot_t *snapshot);
int splinter_store_get_header_snapshot(splinter_store_t *store, splinter_header_snapshot_t *snapshot);

/* Returns the store's header, to be handed to the functions below: an address that nothing is to be read from. */
struct splinter_header *splinter_get_header(void);
struct splinter_header *splinter_store_get_header(splinter_store_t *store);

/* Sets bits of SPL_SYS_* and SPL_SUSR*. */
void splinter_config_set(struct splinter_header *header, uint8_t mask);

/* Clears bits of SPL_SYS_* and SPL_SUSR*. */
void splinter_config_clear(struct splinter_header *header, uint8_t mask);

/* Tells whether any bit of mask is set: 1, or 0. */
int splinter_config_test(const struct splinter_header *header, uint8_t mask);

/* Returns all these bits. */
uint8_t splinter_config_snapshot(const struct splinter_header *header);

/* Sets flags of the store: SPL_FLAG_*. Flag 2 is the store's, and stays. */
void splinter_flag_set(struct splinter_header *header, uint32_t mask);

/* Clears flags of the store. */
void splinter_flag_clear(struct splinter_header *header, uint32_t mask);

/* Tells whether any flag of mask is set: 1, or 0. */
int splinter_flag_test(const struct splinter_header *header, uint32_t mask);

/* Returns all flags of the store. */
uint32_t splinter_flag_snapshot(const struct splinter_header *header);

/* Tandems: keys published as one, named base, base.1, base.2 and so on */

/* Sets all orders of a tandem: readers of it see all of them or none. */
int splinter_client_set_tandem(const char *base, const void **values, const size_t *lens, uint8_t orders);
int splinter_store_client_set_tandem(splinter_store_t *store, const char *base, const void **values, const size_t *lens, uint8_t orders);

/* Removes all orders of a tandem. */
void splinter_client_unset_tandem(const char *base, uint8_t orders);
void splinter_store_client_unset_tandem(splinter_store_t *store, const char *base, uint8_t orders);

/* Signals */

/* Has changes of a key signal a group. Fails with EINVAL if there is no such group. */
int splinter_watch_register(const char *key, uint8_t group);
int splinter_store_watch_register(splinter_store_t *store, const char *key, uint8_t group);

/* Takes a key out of a group. */
int splinter_watch_unregister(const char *key, uint8_t group);
int splinter_store_watch_unregister(splinter_store_t *store, const char *key, uint8_t group);

/* Has changes of keys that carry a label of mask signal a group. */
int splinter_watch_label_register(uint64_t mask, uint8_t group);
int splinter_store_watch_label_register(splinter_store_t *store, uint64_t mask, uint8_t group);

/* Signals the groups of the key that a slot was filled for, each once. */
void splinter_pulse_watchers(struct splinter_slot *slot);

/* Signals the groups of a key, each once. */
int splinter_pulse_keygroup(const char *key);
int splinter_store_pulse_keygroup(splinter_store_t *store, const char *key);

/* Returns how often a group was signalled. */
uint64_t splinter_get_signal_count(uint8_t group);
uint64_t splinter_store_get_signal_count(splinter_store_t *store, uint8_t group);

/* The event bus: all changes of a store */

/* Arms the bus, for all processes and for good. Descriptors that are opened later hear of all since: since this
 * process armed it, or, in one that did not, since the first did. */
int splinter_event_bus_init(void);
int splinter_store_event_bus_init(splinter_store_t *store);

/* Returns a descriptor that is readable when something changed since the bus was armed, or since the last wait on it,
 * for poll and its kin; nothing is to be read from it. Fails with ENODEV if the bus is not armed. A forked child opens one of its own. */
int splinter_event_bus_open(void);
int splinter_store_event_bus_open(splinter_store_t *store);

/* Waits until something changed since the last wait on this descriptor, for ever with UINT64_MAX. Of several threads
 * that wait, all return.
 * Fails with ETIMEDOUT, ENODEV if the bus is not armed, EINVAL for a descriptor that is not its. */
int splinter_event_bus_wait(int fd, uint64_t timeout_ms);
int splinter_store_event_bus_wait(splinter_store_t *store, int fd, uint64_t timeout_ms);

/* Closes a descriptor; so does closing the store. It is closed by these alone: after a close(2) the number may be
 * another's, which these would close. The library notices where that is a file, a pipe or a socket, not else. */
void splinter_event_bus_close(int fd);
void splinter_store_event_bus_close(splinter_store_t *store, int fd);

/* Fills a mask with a bit for each slot that changed since this was last asked on this open store, or at first since
 * the bus was armed, and forgets them. Slot n has bit n modulo the number of bits. Where too many changed to know which,
 * all bits are set. Sets errno to ENODEV, and no bit, if the bus is not armed. */
void splinter_event_bus_get_dirty(uint64_t *mask, size_t words);
void splinter_store_event_bus_get_dirty(splinter_store_t *store, uint64_t *mask, size_t words);

/* Bids for advice on the store's memory */

/* Bids under an id of the caller's choice, not 0, for so many ticks of splinter_now; UINT64_MAX: without end.
 * The bid goes with the process and with the store's closing. One's own bid for the id is refreshed. Fails with EEXIST
 * if the id is another's, ENOSPC if the table is full. */
int splinter_shard_claim(uint32_t id, uint8_t intent, uint8_t priority, uint64_t duration_ticks);
int splinter_store_shard_claim(splinter_store_t *store, uint32_t id, uint8_t intent, uint8_t priority, uint64_t duration_ticks);

/* Bids on behalf of a process, as of a time. */
int splinter_shard_claim_ex(uint32_t id, uint32_t pid, uint8_t intent, uint8_t priority, uint64_t duration_ticks, uint64_t claimed_at);
int splinter_store_shard_claim_ex(splinter_store_t *store, uint32_t id, uint32_t pid, uint8_t intent, uint8_t priority, uint64_t duration_ticks, uint64_t claimed_at);

/* Renews this process's bid with other terms. Fails with ENOENT if there is none, EPERM if it is another's. */
int splinter_shard_rebid(uint32_t id, uint8_t intent, uint8_t priority, uint64_t duration_ticks);
int splinter_store_shard_rebid(splinter_store_t *store, uint32_t id, uint8_t intent, uint8_t priority, uint64_t duration_ticks);

/* Releases this process's bid. */
int splinter_shard_release(uint32_t id);
int splinter_store_shard_release(splinter_store_t *store, uint32_t id);

/* Returns the id of the bid that is elected, or 0, and puts its intent in *intent, which may be NULL. */
uint32_t splinter_shard_election(uint8_t *intent);
uint32_t splinter_store_shard_election(splinter_store_t *store, uint8_t *intent);

/* Tells whether the bid for an id is elected: 1, or 0. */
int splinter_shard_is_sovereign(uint32_t id);
int splinter_store_shard_is_sovereign(splinter_store_t *store, uint32_t id);

/* Fills an array of max entries, of which SPLINTER_MAX_SHARDS are used at most, and returns how many it filled: bids
 * first, then entries without one, whose shard_id is 0 and which are expired. */
int splinter_shard_table_snapshot(struct splinter_shard_bid_snapshot *bids, size_t max);
int splinter_store_shard_table_snapshot(splinter_store_t *store, struct splinter_shard_bid_snapshot *bids, size_t max);

/* Advises the kernel on len bytes of the store at an address, or with NULL on all of it, once the caller's bid for
 * id is elected; advice is madvise's MADV_*. Fails with EAGAIN if another is and the timeout is 0, with ETIMEDOUT if
 * it was not elected for so many ticks. */
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
