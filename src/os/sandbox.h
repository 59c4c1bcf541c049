// The sandbox of tasks: bubblewrap with every namespace, and nothing writable but the task's own folders.
//
// What holds inside: no process, file, socket or shared memory of the outside is visible but what is bound; no network
// unless asked; no capabilities; user 1000 of a user namespace of its own. Started by root, that user is root's shadow
// outside: it has no capabilities, but can read what is bound and belongs to root.
#ifndef LODE_OS_SANDBOX_H
#define LODE_OS_SANDBOX_H

#include "base/arena.h"
#include "base/status.h"

// A path of the outside (`source`), seen as `target` inside.
struct sandbox_bind {
    const char *source;
    const char *target;
    bool is_writable;
    bool is_device; // Or a folder of devices.
};

struct sandbox_options {
    const char *etc_folder; // Made by sandbox_prepare_etc.
    const char *
        root_folder; // Read-only in place of all that is the machine's, but for users and groups; with places to mount on: dev, proc, run, data,
    // etc/passwd, etc/group, etc/hosts, etc/resolv.conf. NULL: the machine's own /usr, /bin, /lib, and etc_folder.
    const struct sandbox_bind *binds;
    size_t bind_count;
    const char *const *command; // NULL-terminated: what runs inside, as process 1.
    const char *work_folder;    // Where it starts.
    bool has_network;
};

// Finds bwrap and tries it once. UNSUPPORTED with the way out when it is missing or may not make namespaces; else *path
// is the arena's.
enum status sandbox_find(struct arena *arena, const char **path, struct error *error);

// Fills a folder with what programs need of /etc: copies of what everybody may read, and users and groups of its own.
// What was in the folder goes.
enum status sandbox_prepare_etc(const char *folder, struct error *error);

// The command line of bwrap for these options, NULL-terminated; it lives in the arena.
char **sandbox_arguments(struct arena *arena, const struct sandbox_options *options);

#endif
