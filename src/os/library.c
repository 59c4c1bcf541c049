#include "os/library.h"

#include <dlfcn.h>
#include <string.h>

bool library_load(const char *soname, const struct library_function *functions, size_t count)
{
    void *handle = dlopen(soname, RTLD_LAZY | RTLD_LOCAL);
    bool is_complete = handle != NULL;
    for (size_t i = 0; i < count && is_complete; i++) {
        void *address = dlsym(handle, functions[i].name);
        is_complete = address != NULL;
        // Copied, not cast, as ISO C has no conversion from an object pointer to a function's.
        memcpy(functions[i].pointer, &address, sizeof address);
    }
    return is_complete;
}
