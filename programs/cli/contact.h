// A command's contact with its site: requests that wait out the site's absence where that is wanted, and Ctrl-C.
#ifndef LODE_PROGRAMS_CLI_CONTACT_H
#define LODE_PROGRAMS_CLI_CONTACT_H

#include "base/json.h"
#include "cli/options.h"
#include "cli/site_choice.h"
#include "http/client.h"

struct contact {
    struct site_choice site;
    struct http_client *client;
    struct http_client
        *aside; // For requests made while another one's answer is being read; NULL until needed.
    bool is_patient;     // A site that was reached and went away is awaited.
    bool is_interrupted; // Ctrl-C was typed; all requests end with CONFLICT from then on.
    int interrupt_fd;    // Readable after Ctrl-C; -1: Ctrl-C ends the program as usual.
    bool has_met;        // The site has answered once.
    bool is_away;        // It was said that the site is away.
    int64_t pause_us;    // Before the next try.
    // Called while an answer is awaited; returns after how long it is to be called again. See contact_on_idle.
    int64_t (*on_idle)(void *context);
    void *idle_context;
    int64_t idle_at_us; // When it is called next, by the steady clock.
};

// Chooses the site (--site of the common options) and makes ready; nothing is sent yet.
enum status contact_open(const struct options *options, struct contact *out, struct error *error);
// The same with a site that was chosen already; takes `site` over.
enum status contact_open_site(struct site_choice *site, struct contact *out, struct error *error);
void contact_close(struct contact *contact);

#define AUTO_CONTACT __attribute__((cleanup(contact_close)))

// From now on Ctrl-C sets is_interrupted instead of ending the program.
void contact_catch_interrupts(struct contact *contact);

// Waits up to `timeout_us`, or until Ctrl-C.
void contact_sleep(struct contact *contact, int64_t timeout_us);

// Sends a request and waits for its end; the ask's callbacks get ask->context. `keep` gets the body when there is no on_data;
// may be NULL. A patient contact repeats the request while the site is away, unless part of the answer was
// handed to on_data: that ends with UNAVAILABLE, and the caller asks for the rest after contact_pause.
enum status contact_ask(struct contact *contact, const struct http_ask *ask, struct buffer *keep,
                        struct error *error);

// The same beside a request whose answer is being read, from within its callbacks; never waits out an absence, which the
// outer request will meet too.
enum status contact_ask_aside(struct contact *contact, const struct http_ask *ask,
                              struct buffer *keep, struct error *error);

// Is this the site's absence, which waiting may end?
bool contact_is_absence(enum status status);

// Waits before the next try, longer each time, having said once that the site is away. False after Ctrl-C.
bool contact_pause(struct contact *contact);

// From now on calls `on_idle` while an answer is awaited, first after `first_us`; it may use contact_ask_aside. NULL ends that.
void contact_on_idle(struct contact *contact, int64_t first_us, int64_t (*on_idle)(void *context),
                     void *context);

// GETs a JSON document beside a request whose answer is being read; *out is a new reference.
enum status contact_json_aside(struct contact *contact, const char *path, json_t **out,
                               struct error *error);

// A request with a JSON body (NULL: none) and a JSON answer; *out is a new reference.
enum status contact_json(struct contact *contact, const char *method, const char *path,
                         const json_t *body, json_t **out, struct error *error);

// The URL under which other machines reach the site: the one that is used here, unless that is this machine's own
// and the site has one for others. `status`: of GET /v1/status; NULL: nothing is known. Heap string.
char *contact_reach(const struct contact *contact, const json_t *status);

// "/v1/<things>/<name><rest>", the name as it was typed; heap string.
char *contact_path(const char *things, const char *name, const char *rest);

// GET of a list, page by page: calls `on_item` for each object of the array `things` until it fails or `limit` (0: none) are
// seen. `path` has its query or none.
enum status contact_list(struct contact *contact, const char *path, const char *things,
                         int64_t limit,
                         enum status (*on_item)(void *context, json_t *item, struct error *error),
                         void *context, struct error *error);

// One page of a list; *cursor, empty for the first one, gets that of the next one, or is cleared. *page is a new reference.
enum status contact_page(struct contact *contact, const char *path, const char *things,
                         struct buffer *cursor, json_t **page, struct error *error);

// All pages as one document {"<things>": [...]} (a new reference).
enum status contact_list_all(struct contact *contact, const char *path, const char *things,
                             json_t **out, struct error *error);

#endif
