/* One name for each function and its twin, for tests that are compiled twice: without HANDLE they call the functions
 * without a handle, with HANDLE those that take one. */
#ifndef CALLS_H
#define CALLS_H

#include "check.h"

#ifdef HANDLE
static splinter_store_t *store;
#define CALL(name, ...) splinter_store_##name(store, __VA_ARGS__)
#define CALL0(name) splinter_store_##name(store)
#define CREATE(name, slots, len) ((store = splinter_store_create(name, slots, len)) != NULL ? 0 : -1)
#define CREATE_CACHE(name, slots, len, policy)                                                                \
    ((store = splinter_store_create_cache(name, slots, len, policy)) != NULL ? 0 : -1)
#define OPEN(name) ((store = splinter_store_open(name)) != NULL ? 0 : -1)
#define OPEN_OR_CREATE(name, slots, len) ((store = splinter_store_open_or_create(name, slots, len)) != NULL ? 0 : -1)
#define CREATE_OR_OPEN(name, slots, len) ((store = splinter_store_create_or_open(name, slots, len)) != NULL ? 0 : -1)
#define CLOSE() splinter_store_close(store)
#define NULL_STORE_CODE -1
#else
#define CALL(name, ...) splinter_##name(__VA_ARGS__)
#define CALL0(name) splinter_##name()
#define CREATE(name, slots, len) splinter_create(name, slots, len)
#define CREATE_CACHE(name, slots, len, policy) splinter_create_cache(name, slots, len, policy)
#define OPEN(name) splinter_open(name)
#define OPEN_OR_CREATE(name, slots, len) splinter_open_or_create(name, slots, len)
#define CREATE_OR_OPEN(name, slots, len) splinter_create_or_open(name, slots, len)
#define CLOSE() splinter_close()
#define NULL_STORE_CODE -2
#endif

#endif
