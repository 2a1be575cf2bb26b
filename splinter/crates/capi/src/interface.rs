//! The table of all exported functions: their names, parameters, documentation in the header, and implementations. Its
//! order and sections are those of the header.

use crate::args::{Handle, HeaderPtr, In, Out, SlotPtr, Text};
use crate::opening::Naming::{Path, Plain};
use crate::opening::OpenMode::{Create, CreateOrOpen, OpenOrCreate};
use crate::settings::with_header;
use crate::shapes::{
    BidSnapshot, HeaderSnapshot, Outcome, QueueMessage, QueueSnapshot, SearchHit, SearchOptions,
    SlotSnapshot, SlotSnapshotWithVector,
};
use crate::slots::Visit;
use crate::{
    bids, bus, caches, conditional, lifetimes, opening, queues, search, settings, signals, slots,
    transactions, values, vectors,
};
use libc::{c_char, c_int, c_uint, c_ushort, c_void};
use splinter_queue::Queue;

/// The sections of the header, in order.
#[cfg(test)]
pub(crate) const SECTIONS: [crate::declarations::Section; 14] = [
    OPENING,
    PATHS,
    VALUES,
    SLOTS,
    VECTORS,
    SEARCH,
    SETTINGS,
    TRANSACTIONS,
    TANDEMS,
    QUEUES,
    SIGNALS,
    BUS,
    SHARDS,
    CLOCK,
];

interface! { OPENING = "Opening and closing", uncancelled;
    /// Creates a store and makes it the process's default store. A name is a store in /dev/shm; in the persistent library,
    /// and in programs compiled with SPLINTER_PERSISTENT, it is a path.
    /// Fails with EEXIST if the name exists, EINVAL for an invalid name or size, ENOSPC if there is too little memory.
    function splinter_create(name: Text<'_>, slots: usize, max_value_size: usize) -> c_int = opening::open(Create, Plain);
    /// Creates a cache, and makes it the process's default store: a store that makes room for a new key by evicting one, once it
    /// is full. policy is SPL_EVICT_SIEVE, which keeps the keys that are used again, or SPL_EVICT_LRU, which keeps those that
    /// were used last; with SPL_EVICT_EXPIRED only keys go that have expired, as in a store of splinter_create. Pinned keys
    /// stay: see splinter_pin. Evicting a key signals its groups. Fails as splinter_create does, and with EINVAL for another
    /// policy.
    function splinter_create_cache(name: Text<'_>, slots: usize, max_value_size: usize, policy: c_int) -> c_int = opening::create_cache(Plain);
    /// Opens a store and makes it the process's default store. Closes the previous default store.
    /// Fails with ENOENT if there is no store, EINVAL if the file is not a store. If the caller may only read the store, this
    /// function, like all that open one except those with _numa, opens it read-only: writing, bidding and arming the event
    /// bus then fail with EROFS.
    function splinter_open(name: Text<'_>) -> c_int = opening::open_existing(Plain);
    /// Opens a store, or creates it if there is none.
    function splinter_open_or_create(name: Text<'_>, slots: usize, max_value_size: usize) -> c_int = opening::open(OpenOrCreate, Plain);
    /// Creates a store, or opens it if there is one.
    function splinter_create_or_open(name: Text<'_>, slots: usize, max_value_size: usize) -> c_int = opening::open(CreateOrOpen, Plain);
    /// Opens a store with its memory on a NUMA node, and makes it the process's default store. Returns the address of the
    /// store, which is that of its header, or NULL.
    function splinter_open_numa(name: Text<'_>, node: c_int) -> *mut c_void = opening::open_on_node(Plain);
    /// Closes the default store. Its name stays until it is unlinked. A call of another thread that waits for the store soon
    /// returns -2.
    function splinter_close() -> () = opening::close_default;
    /// Creates a store. Returns a handle, or NULL.
    function splinter_store_create(name: Text<'_>, slots: usize, max_value_size: usize) -> Handle = opening::open(Create, Plain);
    /// Creates a cache, as splinter_create_cache does. Returns a handle, or NULL.
    function splinter_store_create_cache(name: Text<'_>, slots: usize, max_value_size: usize, policy: c_int) -> Handle = opening::create_cache(Plain);
    /// Opens a store. Returns a handle, or NULL.
    function splinter_store_open(name: Text<'_>) -> Handle = opening::open_existing(Plain);
    /// Opens a store, or creates it if there is none. Returns a handle, or NULL.
    function splinter_store_open_or_create(name: Text<'_>, slots: usize, max_value_size: usize) -> Handle = opening::open(OpenOrCreate, Plain);
    /// Creates a store, or opens it if there is one. Returns a handle, or NULL.
    function splinter_store_create_or_open(name: Text<'_>, slots: usize, max_value_size: usize) -> Handle = opening::open(CreateOrOpen, Plain);
    /// Opens a store with its memory on a NUMA node. Returns a handle, or NULL.
    function splinter_store_open_numa(name: Text<'_>, node: c_int) -> Handle = opening::open_on_node(Plain);
    /// Closes a store. Its handle is an error from then on, for every thread.
    function splinter_store_close(store: Handle) -> () = opening::close;
}

interface! { PATHS = "The same by path, in either library", uncancelled;
    /// Does the same as the function without _path, on a file.
    function splinter_create_path(path: Text<'_>, slots: usize, max_value_size: usize) -> c_int = opening::open(Create, Path);
    /// Does the same as the function without _path, on a file.
    function splinter_create_cache_path(path: Text<'_>, slots: usize, max_value_size: usize, policy: c_int) -> c_int = opening::create_cache(Path);
    /// Does the same as the function without _path, on a file.
    function splinter_open_path(path: Text<'_>) -> c_int = opening::open_existing(Path);
    /// Does the same as the function without _path, on a file.
    function splinter_open_or_create_path(path: Text<'_>, slots: usize, max_value_size: usize) -> c_int = opening::open(OpenOrCreate, Path);
    /// Does the same as the function without _path, on a file.
    function splinter_create_or_open_path(path: Text<'_>, slots: usize, max_value_size: usize) -> c_int = opening::open(CreateOrOpen, Path);
    /// Does the same as the function without _path, on a file.
    function splinter_open_numa_path(path: Text<'_>, node: c_int) -> *mut c_void = opening::open_on_node(Path);
    /// Does the same as the function without _path, on a file.
    function splinter_store_create_path(path: Text<'_>, slots: usize, max_value_size: usize) -> Handle = opening::open(Create, Path);
    /// Does the same as the function without _path, on a file.
    function splinter_store_create_cache_path(path: Text<'_>, slots: usize, max_value_size: usize, policy: c_int) -> Handle = opening::create_cache(Path);
    /// Does the same as the function without _path, on a file.
    function splinter_store_open_path(path: Text<'_>) -> Handle = opening::open_existing(Path);
    /// Does the same as the function without _path, on a file.
    function splinter_store_open_or_create_path(path: Text<'_>, slots: usize, max_value_size: usize) -> Handle = opening::open(OpenOrCreate, Path);
    /// Does the same as the function without _path, on a file.
    function splinter_store_create_or_open_path(path: Text<'_>, slots: usize, max_value_size: usize) -> Handle = opening::open(CreateOrOpen, Path);
    /// Does the same as the function without _path, on a file.
    function splinter_store_open_numa_path(path: Text<'_>, node: c_int) -> Handle = opening::open_on_node(Path);
}

interface! { VALUES = "Keys and values";
    /// Sets the value of a key, and creates the key if it is missing. Its type, labels and flags stay.
    /// Fails with EAGAIN while another thread writes the key, EMSGSIZE if the value is too long, ENOSPC if the store is full, or
    /// all keys of a cache are pinned.
    pair splinter_set, splinter_store_set(key: Text<'_>, bytes: In<'_, c_void>, len: usize) -> c_int = values::set;
    /// Copies the value of a key to a buffer of cap bytes, and its length to *len, which may be NULL. With a NULL buffer it
    /// only returns the length. Fails with ENOENT, and with EMSGSIZE if the buffer is too small; *len is then the size needed.
    pair splinter_get, splinter_store_get(key: Text<'_>, buf: Out<'_, c_void>, cap: usize, len: Out<'_, usize>) -> c_int = values::get;
    /// Removes a key. Returns the length that its value had.
    pair splinter_unset, splinter_store_unset(key: Text<'_>) -> c_int = values::unset;
    /// Appends to the value of an existing key, all bytes or none. Puts the new length in *new_len, which may be NULL.
    pair splinter_append, splinter_store_append(key: Text<'_>, bytes: In<'_, c_void>, len: usize, new_len: Out<'_, usize>) -> c_int = values::append;
    /// Sets the value of a key as splinter_set does, and lets the key expire after so many milliseconds: from then on no
    /// process reads it. The time goes on while the machine sleeps, and setting the clock does not move it.
    pair splinter_set_for, splinter_store_set_for(key: Text<'_>, bytes: In<'_, c_void>, len: usize, ttl_ms: u64) -> c_int = lifetimes::set_for;
    /// Lets a key expire after so many milliseconds; never, if that is UINT64_MAX. Setting the key anew clears its deadline,
    /// and other changes keep it. The epoch stays.
    pair splinter_expire, splinter_store_expire(key: Text<'_>, ttl_ms: u64) -> c_int = lifetimes::expire;
    /// Puts for how many milliseconds a key stays in *ttl_ms: UINT64_MAX if that is until it is removed.
    pair splinter_get_ttl, splinter_store_get_ttl(key: Text<'_>, ttl_ms: Out<'_, u64>) -> c_int = lifetimes::get_ttl;
    /// Removes keys that have expired, so that watchers hear of it: looks at up to budget keys with deadlines, from where the
    /// last call stopped. Returns how many it removed. Nothing needs it: expired keys are missing all the same.
    pair splinter_sweep_expired, splinter_store_sweep_expired(budget: c_uint) -> c_int = lifetimes::sweep;
    /// Fills an array with pointers to at most max keys, and puts their number in *count. Any thread may read the strings
    /// until the store is closed. The string of a removed key may later hold another key, once as many new keys were listed
    /// as the store can hold.
    pair splinter_list, splinter_store_list(keys: Out<'_, *mut c_char>, max: usize, count: Out<'_, usize>) -> c_int = values::list;
    /// Waits until a key changes, forever with UINT64_MAX. Fails with ETIMEDOUT, and with ENOENT if the key does not exist.
    pair splinter_poll, splinter_store_poll(key: Text<'_>, timeout_ms: u64) -> c_int = values::poll;
    /// Waits until the epoch of a key differs from the given one, which splinter_get_epoch or an earlier wait returned. So it
    /// misses no change in between. Puts the new epoch in *new_epoch, which may be NULL. Fails as splinter_poll does.
    pair splinter_poll_after, splinter_store_poll_after(key: Text<'_>, epoch: u64, timeout_ms: u64, new_epoch: Out<'_, u64>) -> c_int = values::poll_after;
    /// Waits until a key exists with another epoch than the given one: 0 for any. It waits for a key that does not exist yet,
    /// and goes on if the key is removed. Puts the epoch in *new_epoch, which may be NULL. Fails with ETIMEDOUT. While the
    /// key is missing, each change of any key costs its writer a little more.
    pair splinter_wait_for, splinter_store_wait_for(key: Text<'_>, epoch: u64, timeout_ms: u64, new_epoch: Out<'_, u64>) -> c_int = values::wait_for;
    /// Returns the address of the value of a key, or NULL. The bytes are consistent while the epoch of the key is *epoch: the
    /// caller compares the epoch after it has used the bytes. The address is valid until the store is closed.
    pair splinter_get_raw_ptr, splinter_store_get_raw_ptr(key: Text<'_>, len: Out<'_, usize>, epoch: Out<'_, u64>) -> *const c_void = values::raw_ptr;
    /// Returns the epoch of a key, which is even and grows by 2 with every change of its value, vector or type; 0 if the key
    /// does not exist. Labels, times and flags leave it alone.
    pair splinter_get_epoch, splinter_store_get_epoch(key: Text<'_>) -> u64 = values::epoch;
    /// Copies the value of a key as splinter_get does, and puts its epoch in *epoch: the one to expect in splinter_set_if.
    pair splinter_get_with_epoch, splinter_store_get_with_epoch(key: Text<'_>, buf: Out<'_, c_void>, cap: usize, len: Out<'_, usize>, epoch: Out<'_, u64>) -> c_int = conditional::get_with_epoch;
    /// Sets the value of a key as splinter_set does, if the key is as expected at that instant: SPL_IF_ABSENT, SPL_IF_PRESENT,
    /// SPL_IF_EPOCH with the epoch expected, or SPL_IF_ANY. Puts the new epoch in *new_epoch, which may be NULL. Fails with
    /// EEXIST if the key exists and should not, ESTALE if it has another epoch, which *new_epoch then is, and ENOENT if it
    /// does not exist and should.
    pair splinter_set_if, splinter_store_set_if(key: Text<'_>, bytes: In<'_, c_void>, len: usize, expect: c_int, epoch: u64, new_epoch: Out<'_, u64>) -> c_int = conditional::set_if;
    /// Appends to the value of a key as splinter_append does, if the key is as expected, as for splinter_set_if.
    pair splinter_append_if, splinter_store_append_if(key: Text<'_>, bytes: In<'_, c_void>, len: usize, expect: c_int, epoch: u64, new_epoch: Out<'_, u64>) -> c_int = conditional::append_if;
    /// Removes a key if it is as expected, as for splinter_set_if.
    pair splinter_unset_if, splinter_store_unset_if(key: Text<'_>, expect: c_int, epoch: u64, new_epoch: Out<'_, u64>) -> c_int = conditional::unset_if;
}

interface! { SLOTS = "Metadata of a key";
    /// Raises the epoch of a key, and changes nothing else.
    pair splinter_bump_slot, splinter_store_bump_slot(key: Text<'_>) -> c_int = slots::bump;
    /// Clears the vector of a key, raises its epoch, and signals its groups. A program that makes vectors can then make a
    /// new one.
    pair splinter_retrain_slot, splinter_store_retrain_slot(key: Text<'_>) -> c_int = slots::retrain;
    /// Gives a key a type, one of SPL_SLOT_TYPE_*. For BIGUINT the value must be a number: eight bytes of any content are a
    /// uint64_t, decimal digits are the number that they spell, and fewer bytes that are not text are a shorter unsigned
    /// integer. The value then has eight bytes. Fails with EPROTOTYPE if the type is BIGUINT and the value is not a number.
    pair splinter_set_named_type, splinter_store_set_named_type(key: Text<'_>, kind: u16) -> c_int = slots::set_named_type;
    /// Records a time of a key: epoch less offset, in any unit.
    pair splinter_set_slot_time, splinter_store_set_slot_time(key: Text<'_>, which: c_ushort, epoch: u64, offset: usize) -> c_int = slots::set_slot_time;
    /// Makes a key a scratchpad: sets its type to BINARY, extends its value with zeroes to the longest that the store allows,
    /// sets its flag SPL_SLOT_SYSTEM, and pins it. After EAGAIN a part may be done; call again.
    pair splinter_set_as_system, splinter_store_set_as_system(key: Text<'_>) -> c_int = slots::set_as_system;
    /// Pins a key: no cache evicts it until it is unpinned or removed. Setting it anew leaves it pinned, and a deadline still
    /// holds. The epoch stays.
    pair splinter_pin, splinter_store_pin(key: Text<'_>) -> c_int = caches::pin;
    /// Lets a cache evict a key again.
    pair splinter_unpin, splinter_store_unpin(key: Text<'_>) -> c_int = caches::unpin;
    /// Returns 1 if a key is pinned, otherwise 0.
    pair splinter_is_pinned, splinter_store_is_pinned(key: Text<'_>) -> c_int = caches::is_pinned;
    /// Changes the number of a BIGUINT key by an operation, SPL_OP_*, with the uint64_t at mask as its operand, which NOT
    /// ignores. Fails with EPROTOTYPE if the key has another type.
    pair splinter_integer_op, splinter_store_integer_op(key: Text<'_>, op: c_int, mask: In<'_, c_void>) -> c_int = slots::integer_op;
    /// Does the same as splinter_integer_op, and puts the new number in *result.
    pair splinter_integer_op_fetch, splinter_store_integer_op_fetch(key: Text<'_>, op: c_int, mask: In<'_, c_void>, result: Out<'_, u64>) -> c_int = slots::integer_op_fetch;
    /// Does the same as splinter_integer_op_fetch, or applies the operation to initial if the key does not exist, and creates
    /// it. The result may be NULL.
    pair splinter_integer_op_or, splinter_store_integer_op_or(key: Text<'_>, op: c_int, mask: In<'_, c_void>, initial: u64, result: Out<'_, u64>) -> c_int = conditional::integer_op_or;
    /// Adds labels to a key.
    pair splinter_set_label, splinter_store_set_label(key: Text<'_>, mask: u64) -> c_int = slots::set_label;
    /// Removes labels from a key.
    pair splinter_unset_label, splinter_store_unset_label(key: Text<'_>, mask: u64) -> c_int = slots::unset_label;
    /// Calls a function for each key that has all labels in mask. The function may call any function of this library. It may
    /// read the key's string for as long as one from splinter_list.
    function splinter_enumerate_matches(mask: u64, visit: Visit, data: *mut c_void) -> () = |mask, visit, data| slots::visit(crate::handles::default_serial(), mask, visit, data);
    /// Does the same as splinter_enumerate_matches, on the store of a handle.
    function splinter_store_enumerate_matches(store: Handle, mask: u64, visit: Visit, data: *mut c_void) -> () = |store: Handle, mask, visit, data| slots::visit(store.serial(), mask, visit, data);
    /// Copies the metadata of a key; with SPLINTER_EMBEDDINGS also its vector, which is zero if the key has none.
    pair splinter_get_slot_snapshot, splinter_store_get_slot_snapshot(key: Text<'_>, snapshot: Out<'_, SlotSnapshot>) -> c_int = slots::snapshot;
    /// Fills a struct splinter_slot for a key.
    pair splinter_get_slot, splinter_store_get_slot(key: Text<'_>, slot: SlotPtr<'_>) -> c_int = slots::slot;
    /// Sets flags in a slot, and in the key for which splinter_get_slot filled the slot, if it did.
    function splinter_slot_usr_set(slot: SlotPtr<'_>, mask: u16) -> () = slots::usr_set;
    /// Clears flags as splinter_slot_usr_set sets them.
    function splinter_slot_usr_clear(slot: SlotPtr<'_>, mask: u16) -> () = slots::usr_clear;
    /// Returns 1 if any flag of mask is set, otherwise 0.
    function splinter_slot_usr_test(slot: SlotConst<'_>, mask: u16) -> c_int = slots::usr_test;
    /// Returns the flags.
    function splinter_slot_usr_snapshot(slot: SlotConst<'_>) -> u16 = slots::usr_snapshot;
}

interface! { VECTORS = "Vectors" if "SPLINTER_EMBEDDINGS";
    /// Sets the vector of an existing key. Fails with EINVAL if the store has vectors of another dimension, and with
    /// EOPNOTSUPP if it has none.
    pair splinter_set_embedding, splinter_store_set_embedding(key: Text<'_>, vector: In<'_, f32>) -> c_int = vectors::set;
    /// Sets the vector of a key if the key is as expected, as for splinter_set_if. So the vector of a text is never set over
    /// that of a later text.
    pair splinter_set_embedding_if, splinter_store_set_embedding_if(key: Text<'_>, vector: In<'_, f32>, expect: c_int, epoch: u64, new_epoch: Out<'_, u64>) -> c_int = conditional::set_embedding_if;
    /// Copies the vector of a key. Fails with ENOENT if it has none.
    pair splinter_get_embedding, splinter_store_get_embedding(key: Text<'_>, vector: Out<'_, f32>) -> c_int = vectors::get;
    /// Returns how many components the store's vectors have; 0: it has none.
    pair splinter_get_embedding_dim, splinter_store_get_embedding_dim() -> c_int = vectors::dimension;
    /// Makes a transaction set the vector of a key: of the value that it sets, if it does.
    function splinter_transaction_set_embedding(transaction: TransactionHandle, key: Text<'_>, vector: In<'_, f32>) -> c_int = transactions::set_embedding;
    /// The function that splinter_get_slot_snapshot stands for in a program compiled with SPLINTER_EMBEDDINGS.
    pair splinter_get_slot_snapshot_embedding, splinter_store_get_slot_snapshot_embedding(key: Text<'_>, snapshot: Out<'_, SlotSnapshotWithVector>) -> c_int = vectors::snapshot;
}

interface! { SEARCH = "Search: the keys whose vectors are nearest" if "SPLINTER_EMBEDDINGS";
    /// Finds the keys whose vectors are nearest to a query, of all keys as they are now: there is no index to build. Puts the
    /// hits in hits, the best first, and their number in *count: 10 at most, unless options, which may be NULL, say something
    /// else, and never more than capacity. The query has SPLINTER_EMBED_DIM components, or as many as options say. Without the
    /// option exact a search may miss some of the nearest. It changes nothing in the store, and keeps no key in a cache.
    /// Fails with EINVAL if the query has another dimension than the store's vectors or a component that is infinite or no number,
    /// or if an option is out of bounds; ENAMETOOLONG if the prefix is; EOPNOTSUPP if the store has no vectors; and EAGAIN if
    /// other threads changed a key all the while.
    function splinter_search(query: In<'_, f32>, options: In<'_, SearchOptions>, hits: Out<'_, SearchHit>, capacity: usize, count: Out<'_, usize>) -> c_int = |query, options, hits, capacity, count| search::search(&*search::default_store()?, query, options, hits, capacity, count);
    /// Does the same as splinter_search, on the store of a handle.
    function splinter_store_search(store: Handle, query: In<'_, f32>, options: In<'_, SearchOptions>, hits: Out<'_, SearchHit>, capacity: usize, count: Out<'_, usize>) -> c_int = |store, query, options, hits, capacity, count| search::search(&*search::store_of(store)?, query, options, hits, capacity, count);
    /// Finds the keys whose vectors are nearest to that of a key, which is left out itself, as splinter_search does. Vectors
    /// may have any dimension. Fails with ENOENT if the key does not exist or has no vector.
    function splinter_search_near(key: Text<'_>, options: In<'_, SearchOptions>, hits: Out<'_, SearchHit>, capacity: usize, count: Out<'_, usize>) -> c_int = |key, options, hits, capacity, count| search::near(&*search::default_store()?, key, options, hits, capacity, count);
    /// Does the same as splinter_search_near, on the store of a handle.
    function splinter_store_search_near(store: Handle, key: Text<'_>, options: In<'_, SearchOptions>, hits: Out<'_, SearchHit>, capacity: usize, count: Out<'_, usize>) -> c_int = |store, key, options, hits, capacity, count| search::near(&*search::store_of(store)?, key, options, hits, capacity, count);
    /// Puts in *score how near the vectors of two keys are to each other, by a metric, SPLINTER_METRIC_*, both as they are at
    /// one moment: the score that a search near the one gives the other. Fails with ENOENT if a key does not exist or has no
    /// vector, EINVAL if a component is infinite or no number, EOPNOTSUPP if the store has no vectors, and EAGAIN.
    pair splinter_similarity, splinter_store_similarity(a: Text<'_>, b: Text<'_>, metric: c_int, score: Out<'_, f64>) -> c_int = search::similarity;
}

interface! { SETTINGS = "The store as a whole";
    /// Sets the scrub level: 0 none, 1 hybrid (the default of new stores), 2 full.
    pair splinter_set_mop, splinter_store_set_mop(mode: c_uint) -> c_int = settings::set_mop;
    /// Returns the scrub level.
    pair splinter_get_mop, splinter_store_get_mop() -> c_int = settings::get_mop;
    /// Sets the scrub level to full for 1, and to none for 0.
    pair splinter_set_av, splinter_store_set_av(mode: c_uint) -> c_int = settings::set_av;
    /// Returns 1 if the scrub level is full, otherwise 0.
    pair splinter_get_av, splinter_store_get_av() -> c_int = settings::get_av;
    /// Returns which key makes room for a new one in a full store: one of SPL_EVICT_*, as given to splinter_create_cache.
    pair splinter_get_eviction, splinter_store_get_eviction() -> c_int = caches::eviction;
    /// Returns how many keys the store has evicted.
    pair splinter_get_evicted_count, splinter_store_get_evicted_count() -> u64 = caches::evicted_count;
    /// Returns how many keys the store has removed because they had expired.
    pair splinter_get_expired_count, splinter_store_get_expired_count() -> u64 = caches::expired_count;
    /// Zeroes every stale byte of the store, at any scrub level.
    pair splinter_purge, splinter_store_purge() -> () = settings::purge;
    /// Takes a snapshot of the store's header.
    pair splinter_get_header_snapshot, splinter_store_get_header_snapshot(snapshot: Out<'_, HeaderSnapshot>) -> c_int = settings::header_snapshot;
    /// Returns the address of the store's header, as an argument for the functions below. Programs must not read from it.
    pair splinter_get_header, splinter_store_get_header() -> HeaderPtr = opening::header;
    /// Sets bits of SPL_SYS_* and SPL_SUSR*.
    function splinter_config_set(header: HeaderPtr, mask: u8) -> () = |header, mask| with_header(header, |store| settings::config_set(store, mask));
    /// Clears bits of SPL_SYS_* and SPL_SUSR*.
    function splinter_config_clear(header: HeaderPtr, mask: u8) -> () = |header, mask| with_header(header, |store| settings::config_clear(store, mask));
    /// Returns 1 if any bit of mask is set, otherwise 0.
    function splinter_config_test(header: HeaderConst, mask: u8) -> c_int = |header, mask| with_header(header, |store| settings::config_test(store, mask));
    /// Returns all these bits.
    function splinter_config_snapshot(header: HeaderConst) -> u8 = |header| with_header(header, settings::config_snapshot);
    /// Sets flags of the store: SPL_FLAG_*. The store itself owns flag 2, which does not change.
    function splinter_flag_set(header: HeaderPtr, mask: u32) -> () = |header, mask| with_header(header, |store| settings::flag_set(store, mask));
    /// Clears flags of the store.
    function splinter_flag_clear(header: HeaderPtr, mask: u32) -> () = |header, mask| with_header(header, |store| settings::flag_clear(store, mask));
    /// Returns 1 if any flag of mask is set, otherwise 0.
    function splinter_flag_test(header: HeaderConst, mask: u32) -> c_int = |header, mask| with_header(header, |store| settings::flag_test(store, mask));
    /// Returns all flags of the store.
    function splinter_flag_snapshot(header: HeaderConst) -> u32 = |header| with_header(header, settings::flag_snapshot);
}

interface! { TRANSACTIONS = "Transactions: changes of several keys that happen together, or not at all";
    /// Makes an empty transaction, for any store. The functions below add keys to it, at most SPLINTER_MAX_TRANSACTION_KEYS:
    /// for a key too many they fail with ENOSPC. They copy what they are given. A key that is named again keeps its place. If
    /// a process forks while another thread uses a transaction, its child gets EOPNOTSUPP for it until it clears it.
    function splinter_transaction_create() -> TransactionHandle = transactions::create;
    /// Frees a transaction. Its handle is an error from then on, for every thread.
    function splinter_transaction_free(transaction: TransactionHandle) -> () = transactions::free;
    /// Removes all keys from a transaction.
    function splinter_transaction_clear(transaction: TransactionHandle) -> c_int = transactions::clear;
    /// Makes a transaction happen only if a key is as expected, as for splinter_set_if. Without a change of the key, that is
    /// all that it does with it.
    function splinter_transaction_expect(transaction: TransactionHandle, key: Text<'_>, expect: c_int, epoch: u64) -> c_int = transactions::expect;
    /// Makes a transaction set the value of a key, as splinter_set does. This function and the next four replace each other:
    /// the last one counts.
    function splinter_transaction_set(transaction: TransactionHandle, key: Text<'_>, bytes: In<'_, c_void>, len: usize) -> c_int = transactions::set;
    /// Makes a transaction set a key to a number, of type BIGUINT.
    function splinter_transaction_set_integer(transaction: TransactionHandle, key: Text<'_>, number: u64) -> c_int = transactions::set_integer;
    /// Makes a transaction change the number of a key, as splinter_integer_op does.
    function splinter_transaction_integer_op(transaction: TransactionHandle, key: Text<'_>, op: c_int, mask: In<'_, c_void>) -> c_int = transactions::integer_op;
    /// Makes a transaction change the number of a key, as splinter_integer_op_or does.
    function splinter_transaction_integer_op_or(transaction: TransactionHandle, key: Text<'_>, op: c_int, mask: In<'_, c_void>, initial: u64) -> c_int = transactions::integer_op_or;
    /// Makes a transaction remove a key. That the key does not exist is no failure, unless it is expected to.
    function splinter_transaction_unset(transaction: TransactionHandle, key: Text<'_>) -> c_int = transactions::unset;
    /// Makes a transaction add labels to a key.
    function splinter_transaction_set_label(transaction: TransactionHandle, key: Text<'_>, mask: u64) -> c_int = transactions::set_label;
    /// Makes a transaction remove labels from a key.
    function splinter_transaction_unset_label(transaction: TransactionHandle, key: Text<'_>, mask: u64) -> c_int = transactions::unset_label;
    /// Lets a key expire after so many milliseconds from the commit on; never, if that is UINT64_MAX. Without this, a key that
    /// is set to a value or number stays until it is removed, and any other as long as before.
    function splinter_transaction_expire(transaction: TransactionHandle, key: Text<'_>, ttl_ms: u64) -> c_int = transactions::expire;
    /// Lets a key that is set expire when it would have before.
    function splinter_transaction_keep_ttl(transaction: TransactionHandle, key: Text<'_>) -> c_int = transactions::keep_ttl;
    /// Makes all changes of a transaction at once, or none. Every reader finds all keys as before or all as after, also if
    /// this process dies half-way. The transaction stays as it is, and can be committed again.
    /// Puts what became of each key in outcomes, which has room for max of them and may be NULL, in the order in which the
    /// transaction named them. Fails for a key that stands in the way; if there are several, for any of them: EEXIST, ESTALE or
    /// ENOENT if it is not as expected or does not exist, EAGAIN while another thread writes it, EPROTOTYPE, EMSGSIZE, EINVAL
    /// and ENOSPC as for the functions that make such a change alone. A key that is expected to be missing needs a free slot.
    /// Then *place is that key's place, from 0 on, and *epoch its epoch if it exists and is not as expected, otherwise 0. For
    /// failures that no key caused *place is SIZE_MAX. Both may be NULL.
    pair splinter_commit, splinter_store_commit(transaction: TransactionHandle, outcomes: Out<'_, Outcome>, max: usize, place: Out<'_, usize>, epoch: Out<'_, u64>) -> c_int = transactions::commit;
    /// Reads count keys as they were at one moment. Copies the value of key number i to buf + i * stride, and puts its length
    /// in lens[i]: SIZE_MAX if the key did not exist, more than stride if the value is longer, which is then not copied.
    /// Fails with EAGAIN if other threads changed the keys all the while.
    pair splinter_get_consistent, splinter_store_get_consistent(keys: In<'_, *const c_char>, count: usize, buf: Out<'_, c_void>, stride: usize, lens: Out<'_, usize>) -> c_int = values::get_consistent;
}

interface! { TANDEMS = "Tandems: keys published as one, named base, base.1, base.2 and so on";
    /// Sets all orders of a tandem. Readers of the tandem see all new values or none.
    pair splinter_client_set_tandem, splinter_store_client_set_tandem(base: Text<'_>, values: In<'_, *const c_void>, lens: In<'_, usize>, orders: u8) -> c_int = signals::set_tandem;
    /// Removes all orders of a tandem.
    pair splinter_client_unset_tandem, splinter_store_client_unset_tandem(base: Text<'_>, orders: u8) -> () = signals::unset_tandem;
}

interface! { QUEUES = "Queues: messages that one consumer of each group gets", uncancelled;
    /// Creates a queue for capacity messages, a power of two, of at most max_len bytes. It is the keys name, name/0, name/1 and so
    /// on, and name:default, the key of its only group. A message that was received and not acknowledged for timeout_ms
    /// milliseconds is delivered again; UINT64_MAX waits for the consumer's end alone. Returns a handle, or NULL. Fails with EEXIST
    /// if there is a queue or another key of such a name, ENOSPC if the store has too few free slots, and EINVAL for a name or
    /// terms that cannot be: max_len is at most 16 less than the store's longest value.
    pair splinter_queue_create, splinter_store_queue_create(name: Text<'_>, capacity: u64, max_len: usize, timeout_ms: u64) -> QueueHandle = queues::create(Queue::create);
    /// Opens a queue. Returns a handle, or NULL. Any thread may use it, and so may a forked child. It ends with its store. Fails
    /// with ENOENT if there is no queue, EPROTOTYPE if the key is not one, EBADMSG if keys of it are missing.
    pair splinter_queue_open, splinter_store_queue_open(name: Text<'_>) -> QueueHandle = queues::open;
    /// Opens a queue, or creates it if there is none.
    pair splinter_queue_open_or_create, splinter_store_queue_open_or_create(name: Text<'_>, capacity: u64, max_len: usize, timeout_ms: u64) -> QueueHandle = queues::create(Queue::open_or_create);
    /// Removes a queue with all its messages and groups. Calls with handles of it then fail with EIDRM, in all processes.
    pair splinter_queue_remove, splinter_store_queue_remove(name: Text<'_>) -> c_int = queues::remove;
    /// Closes a queue, whose consumers stay. Its handle is an error from then on, for every thread; a call that waits soon
    /// returns -2.
    function splinter_queue_close(queue: QueueHandle) -> () = queues::close;
    /// Sends a message. Puts its position in *position, which may be NULL. While the queue is full, because a group has not
    /// acknowledged its oldest message, waits timeout_ms milliseconds, forever with UINT64_MAX; then fails with ETIMEDOUT, or
    /// with EAGAIN if timeout_ms is 0. Fails with EMSGSIZE if the message is too long. Each thread that sends takes a writer of
    /// the store, at most 16 by one handle.
    function splinter_queue_send(queue: QueueHandle, bytes: In<'_, c_void>, len: usize, timeout_ms: u64, position: Out<'_, u64>) -> c_int = queues::send;
    /// Creates a group, which gets every message from the next one on (SPL_QUEUE_NEWEST), or also those that are certainly still
    /// there (SPL_QUEUE_OLDEST). Fails with EEXIST if there is such a group, ENOSPC if there is no room for another.
    function splinter_queue_create_group(queue: QueueHandle, group: Text<'_>, start: c_int) -> c_int = queues::create_group;
    /// Drops a group: no message waits for it any longer. Fails with ENOENT if there is no such group.
    function splinter_queue_drop_group(queue: QueueHandle, group: Text<'_>) -> c_int = queues::drop_group;
    /// Copies the name of a group to a buffer of cap bytes, of which SPLINTER_KEY_MAX are enough. The first has the index 0. Fails
    /// with ENOENT if there are fewer groups.
    function splinter_queue_get_group(queue: QueueHandle, index: usize, buf: Out<'_, c_char>, cap: usize) -> c_int = queues::get_group;
    /// Counts the messages that a group has not acknowledged, those in flight included.
    function splinter_queue_backlog(queue: QueueHandle, group: Text<'_>, count: Out<'_, u64>) -> c_int = queues::backlog;
    /// Tells the terms of a queue, and how many messages were sent.
    function splinter_queue_get_snapshot(queue: QueueHandle, snapshot: Out<'_, QueueSnapshot>) -> c_int = queues::snapshot;
    /// Makes a consumer of a group, and takes a writer of the store for it. Returns a handle, or NULL. Each thread that receives
    /// has its own: of threads that share one, each finishes the others' messages. A forked child makes its own, too, and gets
    /// EOPNOTSUPP for its parent's. Fails with ENOENT if there is no such group.
    function splinter_queue_join(queue: QueueHandle, group: Text<'_>) -> ConsumerHandle = queues::join;
    /// Leaves a group. Other consumers get what this one has not finished, the message that it got last included. They also do
    /// when its process ends in any way. The handle is an error from then on, for every thread.
    function splinter_queue_leave(consumer: ConsumerHandle) -> () = queues::leave;
    /// Finishes the last message, and copies the next one to a buffer of cap bytes. Puts its length in *len, and what else there
    /// is to tell of it in *message; both may be NULL. Without a message, waits timeout_ms milliseconds, forever with UINT64_MAX;
    /// then fails with ETIMEDOUT, or with EAGAIN if timeout_ms is 0. A finished message is acknowledged with the next batch, or
    /// at once by splinter_queue_ack. Fails with EMSGSIZE, and does nothing, if the buffer is too small for the queue's longest
    /// message, whose length *len then is.
    function splinter_queue_recv(consumer: ConsumerHandle, buf: Out<'_, c_void>, cap: usize, len: Out<'_, usize>, timeout_ms: u64, message: Out<'_, QueueMessage>) -> c_int = queues::recv;
    /// Acknowledges all messages that a consumer got, the last one included. Nothing happens to those that came to another
    /// consumer meanwhile, since the queue's timeout was over.
    function splinter_queue_ack(consumer: ConsumerHandle) -> c_int = queues::ack;
    /// Gives the last message back, to be delivered again after delay_ms milliseconds, to any consumer of the group. Acknowledges
    /// those before it.
    function splinter_queue_nack(consumer: ConsumerHandle, delay_ms: u64) -> c_int = queues::nack;
    /// Sets how many messages a consumer takes at once, at most: 64 at first, and fewer if they are long or the queue is small.
    /// More make each cheaper, fewer leave more to other consumers.
    function splinter_queue_set_batch(consumer: ConsumerHandle, messages: usize) -> c_int = queues::set_batch;
    /// Returns 1 if other consumers notice the end of this one's process, otherwise 0: then they get what it had after the queue's
    /// timeout only.
    function splinter_queue_is_death_noticed(consumer: ConsumerHandle) -> c_int = queues::is_death_noticed;
}

interface! { SIGNALS = "Signals";
    /// Makes changes of a key signal a group. Fails with EINVAL if the group does not exist.
    pair splinter_watch_register, splinter_store_watch_register(key: Text<'_>, group: u8) -> c_int = signals::watch_register;
    /// Stops changes of a key from signalling a group.
    pair splinter_watch_unregister, splinter_store_watch_unregister(key: Text<'_>, group: u8) -> c_int = signals::watch_unregister;
    /// Makes changes of a key signal a group, whether or not the key exists, and so again after each removal. Fails with
    /// ENOSPC if the store has 56 of these already. After EAGAIN the same call completes it.
    pair splinter_watch_register_lasting, splinter_store_watch_register_lasting(key: Text<'_>, group: u8) -> c_int = signals::watch_register_lasting;
    /// Stops changes of a key from signalling a group, also after it is removed and set again.
    pair splinter_watch_unregister_lasting, splinter_store_watch_unregister_lasting(key: Text<'_>, group: u8) -> c_int = signals::watch_unregister_lasting;
    /// Makes changes of all keys that have a label in mask signal a group.
    pair splinter_watch_label_register, splinter_store_watch_label_register(mask: u64, group: u8) -> c_int = signals::watch_label_register;
    /// Signals each group of the key for which splinter_get_slot filled the slot, once.
    function splinter_pulse_watchers(slot: SlotPtr<'_>) -> () = signals::pulse_watchers;
    /// Signals each group of a key once.
    pair splinter_pulse_keygroup, splinter_store_pulse_keygroup(key: Text<'_>) -> c_int = signals::pulse_keygroup;
    /// Returns how many times a group was signalled.
    pair splinter_get_signal_count, splinter_store_get_signal_count(group: u8) -> u64 = signals::signal_count;
}

interface! { BUS = "The event bus: all changes of a store", uncancelled;
    /// Arms the bus, for all processes and for good. Descriptors that are opened later report all changes since this process
    /// armed the bus, or, in a process that did not, since the first one did.
    pair splinter_event_bus_init, splinter_store_event_bus_init() -> c_int = bus::init;
    /// Returns a descriptor for poll(2) and similar calls. It is readable when something changed since the bus was armed, or
    /// since the last wait on the descriptor. Programs must not read from it. Fails with ENODEV if the bus is not armed. A
    /// forked child must open its own.
    pair splinter_event_bus_open, splinter_store_event_bus_open() -> c_int = bus::open;
    /// Waits until something changed since the last wait on this descriptor, forever with UINT64_MAX. If several threads
    /// wait, all of them return.
    /// Fails with ETIMEDOUT, ENODEV if the bus is not armed, EINVAL if the descriptor is not one of the bus.
    pair splinter_event_bus_wait, splinter_store_event_bus_wait(fd: c_int, timeout_ms: u64) -> c_int = bus::wait;
    /// Closes a descriptor. Closing the store does so, too. Do not close it with close(2): its number may then belong to
    /// another file, which this function would close. The library notices that for files, pipes and sockets only.
    pair splinter_event_bus_close, splinter_store_event_bus_close(fd: c_int) -> () = bus::close;
    /// Fills a mask with a bit for each slot that changed since the last call for this open store, or, in the first call,
    /// since the bus was armed. Slot n has bit n modulo the number of bits. If there were too many changes to know the slots,
    /// all bits are set. If the bus is not armed, errno is ENODEV and no bit is set.
    pair splinter_event_bus_get_dirty, splinter_store_event_bus_get_dirty(mask: Out<'_, u64>, words: usize) -> () = bus::get_dirty;
}

interface! { SHARDS = "Bids for advice on the store's memory", uncancelled;
    /// Makes a bid with an id of the caller's choice, not 0, for a number of ticks of splinter_now; UINT64_MAX is without end.
    /// The bid ends with the process, and when the store is closed. If this process has a bid with the id, it is renewed.
    /// Fails with EEXIST if the id is another process's, ENOSPC if the table is full.
    pair splinter_shard_claim, splinter_store_shard_claim(id: u32, intent: u8, priority: u8, duration_ticks: u64) -> c_int = bids::claim;
    /// Makes a bid for the process pid, as if it was made at the time claimed_at.
    pair splinter_shard_claim_ex, splinter_store_shard_claim_ex(id: u32, pid: u32, intent: u8, priority: u8, duration_ticks: u64, claimed_at: u64) -> c_int = bids::claim_ex;
    /// Renews this process's bid with other terms. Fails with ENOENT if there is no such bid, EPERM if it is another's.
    pair splinter_shard_rebid, splinter_store_shard_rebid(id: u32, intent: u8, priority: u8, duration_ticks: u64) -> c_int = bids::rebid;
    /// Releases this process's bid.
    pair splinter_shard_release, splinter_store_shard_release(id: u32) -> c_int = bids::release;
    /// Returns the id of the elected bid, or 0, and puts its intent in *intent, which may be NULL.
    pair splinter_shard_election, splinter_store_shard_election(intent: Out<'_, u8>) -> u32 = bids::election;
    /// Returns 1 if the bid with this id is elected, otherwise 0.
    pair splinter_shard_is_sovereign, splinter_store_shard_is_sovereign(id: u32) -> c_int = bids::is_sovereign;
    /// Fills an array of max entries, at most SPLINTER_MAX_SHARDS, and returns the number of entries. Bids come first, then
    /// entries without a bid, which have the shard_id 0 and are expired.
    pair splinter_shard_table_snapshot, splinter_store_shard_table_snapshot(bids: Out<'_, BidSnapshot>, max: usize) -> c_int = bids::table_snapshot;
    /// Advises the kernel on len bytes of the store at an address, or with NULL on all of it, once the caller's bid with the
    /// id is elected. advice is one of MADV_* of madvise(2). Fails with EAGAIN if another bid is elected and the timeout is
    /// 0, and with ETIMEDOUT if the bid was not elected within timeout_ticks.
    pair splinter_madvise, splinter_store_madvise(id: u32, address: *mut c_void, len: usize, advice: c_int, timeout_ticks: u64) -> c_int = bids::madvise;
}

interface! { CLOCK = "The clock";
    /// Returns the processor's time-stamp counter.
    function splinter_now() -> u64 = || Ok(splinter::cycles());
}

/// A [`SlotPtr`] that is only read: a pointer to const in C.
type SlotConst<'c> = SlotPtr<'c>;
/// The handle of a transaction.
type TransactionHandle = Handle;
/// The handle of an open queue.
type QueueHandle = Handle;
/// The handle of a consumer.
type ConsumerHandle = Handle;
/// A [`HeaderPtr`] that is a pointer to const in C.
type HeaderConst = HeaderPtr;
