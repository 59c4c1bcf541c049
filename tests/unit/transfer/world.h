// A source of one dataset that does what a test tells it to, and the site that copies from it.
#ifndef LODE_TESTS_TRANSFER_WORLD_H
#define LODE_TESTS_TRANSFER_WORLD_H

#include "base/json.h"
#include "http/server.h"
#include "transfer/transfer.h"

#include <stdatomic.h>

enum { FILE_COUNT = 3, FILE_SIZE_MAX = 3 << 20, PATIENCE_US = 60000000 };

// The files of "s:sea".
extern const char *const PATHS[FILE_COUNT];
extern const size_t SIZES[FILE_COUNT];

// What the source does wrong.
enum mischief {
    HONEST,
    OTHER_BYTES,
    OTHER_LIST,
    ENDLESS_LIST,
    HUGE_SIZES,
    CUTS_ONCE,
    SILENT,
    SILENT_ABOUT_LIST
};

struct world {
    char *folder;
    struct fingerprint fingerprint;
    struct http_server *server;
    char url[64];
    char *bytes;
    struct digest digest;
    _Atomic int mischief;
    _Atomic int64_t served_bytes;
    _Atomic int requests; // For content.
    _Atomic int lists_asked;
    struct store *store;
    struct transfers *transfers;
    _Atomic bool is_registered;
    char registered[600];
    bool has_liar;            // A second source, tried first, that is not there.
    _Atomic bool is_in_doubt; // Sites say different content of everything.
    _Atomic int doubts;       // How often that was found out.
};

// For cmocka's setup and teardown: a source and a site with nothing on order.
int make_world(void **state);
int end_world(void **state);
void open_site(struct world *world);
void close_site(struct world *world);

// Orders it for ada; returns the number of the transfer.
int64_t order(struct world *world, const char *id);
enum status order_content(struct world *world, const char *id, const struct digest *content,
                          struct error *error);
// Its document, a new reference.
json_t *show(struct world *world, int64_t number);
// Waits until the field's text holds `wanted`.
void await_text(struct world *world, int64_t number, const char *field, const char *wanted);
// All files are registered as they are.
void assert_copied(const struct world *world);

#endif
