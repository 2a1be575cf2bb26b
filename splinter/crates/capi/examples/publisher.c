/* Sets the key that subscriber.c waits for. The first argument is the store's name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "splinter.h"

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "llm_bus";
    const char *key = "llm:response";
    const char *response = "Why was the computer cold? It left its Windows open.";

    if (splinter_open_or_create(name, 128, 1024) != 0) {
        perror(name);
        return 1;
    }
    while (splinter_set(key, response, strlen(response)) != 0) {
        if (errno != EAGAIN) { /* else another process is setting the key: try again */
            perror(key);
            return 1;
        }
    }
    printf("published %s\n", key);
    splinter_close();
    return 0;
}
