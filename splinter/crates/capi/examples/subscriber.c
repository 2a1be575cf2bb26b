/* Waits until publisher.c sets a key, for a minute at most. The first argument is the store's name. */
#include <errno.h>
#include <stdio.h>

#include "splinter.h"

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "llm_bus";
    const char *key = "llm:response";
    char value[1024 + 1];
    size_t len;

    if (splinter_open_or_create(name, 128, 1024) != 0) {
        perror(name);
        return 1;
    }
    /* A key can be waited for once it is there. */
    while (splinter_get(key, NULL, 0, NULL) != 0 && splinter_set(key, "", 0) != 0) {
        if (errno != EAGAIN) { /* else another process is setting the key: look again */
            perror(key);
            return 1;
        }
    }
    printf("waiting for %s\n", key);
    fflush(stdout);
    if (splinter_poll(key, 60000) != 0) {
        perror(key);
        return 1;
    }
    while (splinter_get(key, value, sizeof(value) - 1, &len) != 0) {
        if (errno != EAGAIN) {
            perror(key);
            return 1;
        }
    }
    value[len] = '\0';
    printf("%s is: %s\n", key, value);
    splinter_close();
    return 0;
}
