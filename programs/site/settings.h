// What `lode site` was told, with the defaults that make it work when it was told nothing.
#ifndef LODE_PROGRAMS_SITE_SETTINGS_H
#define LODE_PROGRAMS_SITE_SETTINGS_H

#include "base/status.h"
#include "cli/options.h"

enum { SITE_NAME_MAX = 64, SITE_WORKERS_MAX = 4096 };

struct site_settings {
    char *directory; // Absolute.
    char *address;   // "127.0.0.1:7733"
    char *name;
    char *user;    // Who started it, the principal of the local admin token.
    char *program; // Path of this program.
    const char *sandbox;
    int64_t workers; // Cores for tasks; 0: none.
    bool is_json;    // What it prints is JSON.
};

// Fills *out (zeroed before) from the options; settings_done frees it in every case.
enum status settings_read(const struct options *options, struct site_settings *out,
                          struct error *error);
void settings_done(struct site_settings *settings);

#endif
