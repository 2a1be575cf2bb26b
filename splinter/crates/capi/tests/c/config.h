/* A configuration as programs have one of their own, with names that a library could be tempted to use. */
#ifndef CONFIG_H
#define CONFIG_H
#define VERSION "1"
#define VERSION_SLOTS 128
#define PACKAGE "old"
#define HAVE_EMBEDDINGS 1
#define CONSTANT 1
#endif
