/* A program as written for libsplinter 1.2: it includes its own config.h first, and uses nothing newer than that
 * interface. The argument is a unique name. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "splinter.h"

static int on_match_called = 0;

static void on_match(const char *key, uint64_t epoch, void *data)
{
    (void)epoch;
    if (strcmp(key, (const char *)data) == 0) {
        on_match_called++;
    }
}

int main(int argc, char **argv)
{
    char buffer[1024];
    size_t received = 0;
    char *keys[16];
    size_t count = 0;
    uint64_t by = 1;
    struct splinter_slot slot;
    splinter_header_snapshot_t bus;
    splinter_slot_snapshot_t snapshot;

    if (argc < 2 || splinter_create_or_open(argv[1], VERSION_SLOTS, 1024) != 0) {
        perror("splinter_create_or_open");
        return 1;
    }
    memset(&bus, 0, sizeof(bus));
    memset(&slot, 0, sizeof(slot));
    memset(&snapshot, 0, sizeof(snapshot));
    if (splinter_set("hello", "world", 5) != 0 || splinter_set_label("hello", 1) != 0
        || splinter_set("number", "41", 2) != 0 || splinter_set_named_type("number", SPL_SLOT_TYPE_BIGUINT) != 0
        || splinter_integer_op("number", SPL_OP_INC, &by) != 0 || splinter_set_av(1) != 0 || splinter_get_av() != 1
        || splinter_get("hello", buffer, sizeof(buffer), &received) != 0 || received != 5
        || splinter_list(keys, 16, &count) != 0 || count != 2
        || splinter_get_header_snapshot(&bus) != 0 || bus.slots != VERSION_SLOTS || bus.magic != SPLINTER_MAGIC
        || splinter_get_slot_snapshot("hello", &snapshot) != 0 || snapshot.val_len != 5
        || splinter_poll("missing", 1) == 0 || splinter_unset("hello") != 5) {
        perror("splinter");
        return 1;
    }
    splinter_slot_usr_set(&slot, SPL_FUSR1);
    char key[] = "number";
    splinter_set_label(key, 4);
    splinter_enumerate_matches(4, on_match, key);
    if (splinter_slot_usr_test(&slot, SPL_FUSR1) != 1 || on_match_called != 1) {
        return 1;
    }
    splinter_close();
    if (splinter_get_header_snapshot(&bus) == 0) {
        return 1;
    }
    puts("held");
    return 0;
}
