/* Creates a store, or opens it, and sets a key, which reader.c reads. The first argument is the store's name. */
#include <stdio.h>
#include <string.h>

#include "splinter.h"

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "my_store";
    const char *key = "user:prompt";
    const char *value = "Tell me a joke about computers.";

    /* 128 keys, values of up to 256 bytes. */
    if (splinter_create_or_open(name, 128, 256) != 0) {
        perror(name);
        return 1;
    }
    if (splinter_set(key, value, strlen(value)) != 0) {
        perror(key);
        return 1;
    }
    printf("set %s\n", key);
    splinter_close();
    return 0;
}
