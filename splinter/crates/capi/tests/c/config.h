/* A program's own config.h, with names that a library's header might use, too. */
#ifndef CONFIG_H
#define CONFIG_H
#define VERSION "1"
#define VERSION_SLOTS 128
#define PACKAGE "old"
#define HAVE_EMBEDDINGS 1
#define CONSTANT 1
#endif
