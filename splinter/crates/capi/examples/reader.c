/* Opens the store that writer.c made, and reads its key. The first argument is the store's name. */
#include <stdio.h>

#include "splinter.h"

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "my_store";
    const char *key = "user:prompt";
    char value[256 + 1];
    size_t len;

    if (splinter_open(name) != 0) {
        perror(name);
        return 1;
    }
    if (splinter_get(key, value, sizeof(value) - 1, &len) != 0) {
        perror(key);
        return 1;
    }
    value[len] = '\0';
    printf("%s is: %s\n", key, value);
    splinter_close();
    return 0;
}
