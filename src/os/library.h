// Libraries that are loaded when they are first needed, so that a program that does not need them neither has them in memory nor fails without them.
#ifndef LODE_OS_LIBRARY_H
#define LODE_OS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

// A function of the library, and the function pointer of the caller's that it is written to.
struct library_function {
    const char *name;
    void *pointer;
};

// Loads the library of this name and finds all the functions; it stays for as long as the program runs. False when it is not there, or one of the functions is
// not in it (nor in what it brings along): what was found until then is written. Call it under pthread_once.
bool library_load(const char *soname, const struct library_function *functions, size_t count);

#endif
