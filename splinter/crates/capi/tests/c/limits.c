/* What is refused, and what is not: memory that is not to be had. The arguments are a name that nobody else has and a
 * part. */
#include <unistd.h>

#include "check.h"

enum { LONGEST = 4096 };

/* /dev/shm has room for a small store, and for none of 1024 long values. */
static void full(const char *name)
{
    char value[LONGEST], key[SPLINTER_KEY_MAX];

    FAILS(splinter_create(name, 1024, LONGEST), -1, ENOSPC);
    FAILS(splinter_open_or_create(name, 1024, LONGEST), -1, ENOSPC);
    FAILS(splinter_create_or_open(name, 1024, LONGEST), -1, ENOSPC);
    errno = 0;
    CHECK(splinter_store_create(name, 1024, LONGEST) == NULL && errno == ENOSPC);
    FAILS(splinter_open(name), -1, ENOENT);
    /* What is created can be filled to its end. */
    memset(value, 'x', sizeof(value));
    CHECK(splinter_create(name, 4, LONGEST) == 0);
    for (int number = 0; number < 4; number++) {
        snprintf(key, sizeof(key), "key%d", number);
        CHECK(splinter_set(key, value, sizeof(value)) == 0);
    }
    FAILS(splinter_set("one more", value, sizeof(value)), -1, ENOSPC);
    splinter_close();
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    alarm(240);
    if (strcmp(argv[2], "full") == 0) {
        full(argv[1]);
    }
    puts("held");
    return 0;
}
