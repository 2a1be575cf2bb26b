/* The part of behaviour.c about the store as a whole: settings, tandems, signals, event bus, bids. */

static void settings(void)
{
    struct splinter_header *header = CALL0(get_header);
    splinter_header_snapshot_t seen;
    uint64_t elsewhere = 0;

    CHECK(CALL0(get_mop) == 1 && CALL0(get_av) == 0);
    for (unsigned mode = 0; mode < 3; mode++) {
        CHECK(CALL(set_mop, mode) == 0 && CALL0(get_mop) == (int)mode);
    }
    FAILS(CALL(set_mop, 3), -1, EINVAL);
    CHECK(CALL(set_av, 0) == 0 && CALL0(get_av) == 0 && CALL0(get_mop) == 0);
    CHECK(CALL(set_av, 1) == 0 && CALL0(get_av) == 1 && CALL0(get_mop) == 2);
    FAILS(CALL(set_av, 2), -1, EINVAL);

    CHECK(splinter_config_test(header, SPL_SYS_AUTO_SCRUB) == 1);
    splinter_config_clear(header, SPL_SYS_AUTO_SCRUB);
    splinter_config_set(header, SPL_SYS_HYBRID_SCRUB | SPL_SUSR1);
    CHECK(CALL0(get_mop) == 1);
    CHECK(splinter_config_snapshot(header) == (SPL_SYS_HYBRID_SCRUB | SPL_SUSR1));
    for (unsigned bit = 1; bit < 256; bit *= 2) {
        splinter_config_set(header, (uint8_t)bit);
        CHECK(splinter_config_test(header, (uint8_t)bit) == 1);
        splinter_config_clear(header, (uint8_t)bit);
        CHECK(splinter_config_test(header, (uint8_t)bit) == 0);
    }
    splinter_flag_set(header, SPL_FLAG_USR1 | SPL_FLAG_USR16);
    splinter_flag_clear(header, SPL_FLAG_USR1);
    CHECK(splinter_flag_test(header, SPL_FLAG_USR16) == 1 && splinter_flag_test(header, SPL_FLAG_USR1) == 0);
    CHECK((splinter_flag_snapshot(header) & ~SPL_FLAG_RES_GP3) == SPL_FLAG_USR16);
    splinter_flag_set(header, SPL_FLAG_AUTO_VACUUM);
    CHECK(CALL0(get_av) == 1);
    SETS(splinter_flag_set(NULL, 1), EINVAL);
    SETS(splinter_flag_clear(NULL, 1), EINVAL);
    FAILS(splinter_flag_test(NULL, 1), -2, EINVAL);
    SETS(CHECK(splinter_flag_snapshot(NULL) == 0), EINVAL);
    SETS(splinter_config_set(NULL, 1), EINVAL);
    SETS(splinter_config_clear(NULL, 1), EINVAL);
    FAILS(splinter_config_test((struct splinter_header *)&elsewhere, 1), -2, EINVAL);
    SETS(CHECK(splinter_config_snapshot((struct splinter_header *)&elsewhere) == 0), EINVAL);

    CHECK(CALL(get_header_snapshot, &seen) == 0);
    CHECK(seen.magic == SPLINTER_MAGIC && seen.version == SPLINTER_VER);
    CHECK(seen.slots == SLOTS && seen.max_val_sz == LONGEST && seen.epoch > 0);
    CHECK(seen.core_flags == SPL_SYS_AUTO_SCRUB && seen.user_flags == 0x8000);
    CHECK(seen.parse_failures == 0 && seen.last_failure_epoch == 0);
    FAILS(CALL(get_header_snapshot, NULL), -2, EINVAL);
    CHECK(CALL(set_mop, 1) == 0);
    SETS(CALL0(purge), 0);
}

static void tandems(void)
{
    const void *orders[] = {"position", "velocity", "acceleration"};
    const size_t lens[] = {8, 8, 12};
    const void *hole[] = {"position", NULL};
    const size_t wild[] = {8, SIZE_MAX};

    CHECK(CALL(client_set_tandem, "sensor", orders, lens, 3) == 0);
    has("sensor", "position");
    has("sensor" SPL_ORDER_ACCESSOR "1", "velocity");
    has("sensor" SPL_ORDER_ACCESSOR "2", "acceleration");
    FAILS(CALL(client_set_tandem, "sensor", orders, lens, 0), -1, EINVAL);
    FAILS(CALL(client_set_tandem, NULL, orders, lens, 3), -2, EINVAL);
    FAILS(CALL(client_set_tandem, "sensor", NULL, lens, 3), -2, EINVAL);
    FAILS(CALL(client_set_tandem, "sensor", orders, NULL, 3), -2, EINVAL);
    FAILS(CALL(client_set_tandem, "sensor", hole, lens, 2), -2, EINVAL);
    FAILS(CALL(client_set_tandem, "sensor", orders, wild, 2), -1, EMSGSIZE);
    FAILS(CALL(client_set_tandem, too_long + 1, orders, lens, 3), -1, ENAMETOOLONG);
    has("sensor", "position");
    SETS(CALL(client_unset_tandem, "sensor", 3), 0);
    FAILS(CALL(unset, "sensor.2"), -1, ENOENT);
    SETS(CALL(client_unset_tandem, "sensor", 3), ENOENT);
    SETS(CALL(client_unset_tandem, "sensor", 0), EINVAL);
    SETS(CALL(client_unset_tandem, NULL, 3), EINVAL);
}

static void signals(void)
{
    struct splinter_slot slot;
    uint64_t count;

    set("signal", "x");
    CHECK(CALL(watch_register, "signal", 7) == 0);
    count = CALL(get_signal_count, 7);
    set("signal", "y");
    CHECK(CALL(get_signal_count, 7) == count + 1);
    CHECK(CALL(pulse_keygroup, "signal") == 0);
    CHECK(CALL(get_signal_count, 7) == count + 2);
    CHECK(CALL(get_slot, "signal", &slot) == 0);
    SETS(splinter_pulse_watchers(&slot), 0);
    CHECK(CALL(get_signal_count, 7) == count + 3);
    CHECK(CALL(watch_unregister, "signal", 7) == 0);
    set("signal", "z");
    CHECK(CALL(get_signal_count, 7) == count + 3);

    CHECK(CALL(watch_label_register, 0x10, 63) == 0);
    CHECK(CALL(set_label, "signal", 0x10) == 0);
    count = CALL(get_signal_count, 63);
    set("signal", "w");
    CHECK(CALL(get_signal_count, 63) == count + 1);

    FAILS(CALL(watch_register, "signal", SPLINTER_MAX_GROUPS), -1, EINVAL);
    FAILS(CALL(watch_register, "none", 0), -1, ENOENT);
    FAILS(CALL(watch_register, NULL, 0), -2, EINVAL);
    FAILS(CALL(watch_unregister, "signal", 255), -1, EINVAL);
    FAILS(CALL(watch_unregister, "none", 0), -1, ENOENT);
    FAILS(CALL(watch_unregister, NULL, 0), -2, EINVAL);
    FAILS(CALL(watch_label_register, 1, SPLINTER_MAX_GROUPS), -1, EINVAL);
    FAILS(CALL(pulse_keygroup, "none"), -1, ENOENT);
    FAILS(CALL(pulse_keygroup, NULL), -2, EINVAL);
    SETS(CHECK(CALL(get_signal_count, SPLINTER_MAX_GROUPS) == 0), EINVAL);
    CHECK(CALL(unset, "signal") == 1);
}

static int bits_of(const uint64_t *mask)
{
    int bits = 0;
    for (int bit = 0; bit < SPLINTER_EVENT_BUS_MASK_WORDS * 64; bit++) {
        bits += (int)(mask[bit / 64] >> (bit % 64) & 1);
    }
    return bits;
}

static void bus(void)
{
    uint64_t mask[SPLINTER_EVENT_BUS_MASK_WORDS];
    struct pollfd ready;
    int fd, other;

    FAILS(CALL0(event_bus_open), -1, ENODEV);
    FAILS(CALL(event_bus_wait, 0, 0), -1, ENODEV);
    SETS(CALL(event_bus_get_dirty, mask, SPLINTER_EVENT_BUS_MASK_WORDS), ENODEV);
    CHECK(bits_of(mask) == 0);
    set("bus", "before");
    CHECK(CALL0(event_bus_init) == 0 && CALL0(event_bus_init) == 0);
    fd = CALL0(event_bus_open);
    other = CALL0(event_bus_open);
    CHECK(fd >= 0 && other >= 0 && fd != other);
    FAILS(CALL(event_bus_wait, fd, 0), -1, ETIMEDOUT);
    FAILS(CALL(event_bus_wait, fd, 20), -1, ETIMEDOUT);
    /* A change before the wait ends the wait at once, for each descriptor. */
    set("bus", "one");
    set("bus2", "two");
    CHECK(CALL(event_bus_wait, fd, UINT64_MAX) == 0);
    FAILS(CALL(event_bus_wait, fd, 0), -1, ETIMEDOUT);
    ready.fd = other;
    ready.events = POLLIN;
    CHECK(poll(&ready, 1, 60000) == 1 && (ready.revents & POLLIN) != 0);
    CHECK(CALL(event_bus_wait, other, 0) == 0);
    SETS(CALL(event_bus_get_dirty, mask, SPLINTER_EVENT_BUS_MASK_WORDS), 0);
    CHECK(bits_of(mask) == 2);
    SETS(CALL(event_bus_get_dirty, mask, SPLINTER_EVENT_BUS_MASK_WORDS), 0);
    CHECK(bits_of(mask) == 0);
    set("bus", "three");
    SETS(CALL(event_bus_get_dirty, mask, 1), 0);
    CHECK(mask[0] != 0);
    SETS(CALL(event_bus_get_dirty, NULL, 1), EINVAL);
    SETS(CALL(event_bus_get_dirty, mask, 0), EINVAL);
    SETS(CALL(event_bus_get_dirty, mask, SIZE_MAX), 0);
    FAILS(CALL(event_bus_wait, -1, 0), -1, EINVAL);
    FAILS(CALL(event_bus_wait, STDOUT_FILENO, 0), -1, EINVAL);
    SETS(CALL(event_bus_close, other), 0);
    FAILS(CALL(event_bus_wait, other, 0), -1, EINVAL);
    SETS(CALL(event_bus_close, other), EINVAL);
    SETS(CALL(event_bus_close, STDOUT_FILENO), EINVAL);
    CHECK(CALL(unset, "bus") == 5 && CALL(unset, "bus2") == 3);
    /* Closing the store closes fd. */
}

static void shards(void)
{
    struct splinter_shard_bid_snapshot table[SPLINTER_MAX_SHARDS + 1];
    uint8_t intent = 99;
    uint64_t now = splinter_now();
    char *base = (char *)CALL0(get_header);
    int number;

    CHECK(CALL(shard_election, NULL) == 0);
    CHECK(CALL(shard_claim, 1, SPL_INTENT_DONTNEED, 9, UINT64_MAX) == 0);
    CHECK(CALL(shard_election, &intent) == 1 && intent == SPL_INTENT_DONTNEED);
    CHECK(CALL(shard_claim_ex, 2, 4242, SPL_INTENT_WILLNEED, 3, UINT64_MAX, now - 10) == 0);
    CHECK(CALL(shard_claim_ex, 3, 4241, SPL_INTENT_RANDOM, 3, UINT64_MAX, now - 10) == 0);
    CHECK(CALL(shard_claim_ex, 4, 4240, SPL_INTENT_RANDOM, 3, UINT64_MAX, now - 5) == 0);
    /* Bid 1 loses while 2 needs the memory; 4 is later than 3. Of 2 and 3, the lower process id wins. */
    CHECK(CALL(shard_election, &intent) == 3 && intent == SPL_INTENT_RANDOM);
    CHECK(CALL(shard_is_sovereign, 3) == 1 && CALL(shard_is_sovereign, 1) == 0);
    FAILS(CALL(shard_claim, 0, SPL_INTENT_NONE, 0, 1), -1, EINVAL);
    FAILS(CALL(shard_claim, 9, 5, 0, 1), -1, EINVAL);
    FAILS(CALL(shard_claim_ex, 9, 1, 200, 0, 1, now), -1, EINVAL);
    FAILS(CALL(madvise, 1, NULL, 0, MADV_WILLNEED, 0), -1, EAGAIN);
    FAILS(CALL(madvise, 1, NULL, 0, MADV_WILLNEED, 1000000), -1, ETIMEDOUT);
    CHECK(CALL(shard_rebid, 1, SPL_INTENT_SEQUENTIAL, 200, UINT64_MAX) == 0);
    CHECK(CALL(madvise, 1, NULL, 0, MADV_WILLNEED, 0) == 0);
    CHECK(CALL(madvise, 1, base, 4096, MADV_SEQUENTIAL, 1000000) == 0);
    CHECK(CALL(madvise, 1, base, 4096, MADV_NORMAL, UINT64_MAX) == 0);
    FAILS(CALL(madvise, 1, base - 1, 1, MADV_NORMAL, 0), -1, EINVAL);
    FAILS(CALL(madvise, 1, base, SIZE_MAX, MADV_NORMAL, 0), -1, EINVAL);
    FAILS(CALL(madvise, 1, base, SIZE_MAX / 2, MADV_NORMAL, 0), -1, EINVAL);
    FAILS(CALL(madvise, 1, base, 4096, 12345, 0), -1, EINVAL);
    FAILS(CALL(madvise, 77, base, 4096, MADV_NORMAL, 0), -1, ENOENT);

    number = CALL(shard_table_snapshot, table, SPLINTER_MAX_SHARDS + 1);
    CHECK(number == SPLINTER_MAX_SHARDS && CALL(shard_table_snapshot, table, 2) == 2);
    CHECK(CALL(shard_table_snapshot, table, SIZE_MAX) == SPLINTER_MAX_SHARDS);
    FAILS(CALL(shard_table_snapshot, NULL, 4), -2, EINVAL);
    for (int index = 0; index < number; index++) {
        if (table[index].shard_id == 2) {
            CHECK(table[index].pid == 4242 && table[index].intent == SPL_INTENT_WILLNEED);
            CHECK(table[index].priority == 3 && table[index].duration_tsc == UINT64_MAX);
            CHECK(table[index].claimed_at == now - 10 && !table[index].expired && !table[index].sovereign);
        }
    }
    /* A bid of duration 0 expires at once. */
    CHECK(CALL(shard_rebid, 1, SPL_INTENT_SEQUENTIAL, 200, 0) == 0);
    CHECK(CALL(shard_is_sovereign, 1) == 0);
    FAILS(CALL(madvise, 1, NULL, 0, MADV_NORMAL, 0), -1, ETIMEDOUT);
    FAILS(CALL(shard_rebid, 77, SPL_INTENT_NONE, 0, 1), -1, ENOENT);
    FAILS(CALL(shard_rebid, 1, 9, 0, 1), -1, EINVAL);
    /* The 33rd is one too many. */
    CHECK(CALL(shard_rebid, 1, SPL_INTENT_SEQUENTIAL, 200, UINT64_MAX) == 0);
    for (uint32_t id = 5; id <= SPLINTER_MAX_SHARDS; id++) {
        CHECK(CALL(shard_claim, id, SPL_INTENT_NONE, 0, UINT64_MAX) == 0);
    }
    FAILS(CALL(shard_claim, SPLINTER_MAX_SHARDS + 1, SPL_INTENT_NONE, 0, UINT64_MAX), -1, ENOSPC);
    for (uint32_t id = 1; id <= SPLINTER_MAX_SHARDS; id++) {
        CHECK(CALL(shard_release, id) == 0);
    }
    FAILS(CALL(shard_release, 1), -1, ENOENT);
    CHECK(CALL(shard_claim, 1, SPL_INTENT_NONE, 0, UINT64_MAX) == 0);
}
