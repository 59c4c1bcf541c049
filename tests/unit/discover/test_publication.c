// What a responder is given, by one that is played here: it says what it is told to say.
#include "../cmocka_all.h"

#include "discover/avahi_library.h"
#include "discover/publication.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { PORT = 7733, ATTEMPTS = 9, HOST_SIZE = 128 };

struct played {
    const struct avahi_common *avahi;
    AvahiSimplePoll *poll;
    struct announcer_options options;
    struct publication publication;
    int unready;         // So often it is not ready yet.
    int collisions;      // So often a name is taken: when it is given,
    int late_collisions; // ... or afterwards, on the network.
    int refusal;         // What it says to a service, if not 0.
    int breaks;          // So it breaks off once it has announced, if not 0.
    int clears;
    int addresses;
    int services;
    char label[HOST_SIZE];
    char host[HOST_SIZE];
    bool is_announced;
};

static bool is_ready(void *responder)
{
    struct played *played = responder;
    if (played->unready == 0) {
        return true;
    }
    played->unready--;
    played->avahi->simple_poll_wakeup(played->poll);
    return false;
}

static int clear(void *responder)
{
    struct played *played = responder;
    played->clears++;
    return AVAHI_OK;
}

static int add_address(void *responder, int interface, const char *host,
                       const AvahiAddress *address)
{
    struct played *played = responder;
    assert_true(interface > 0);
    assert_int_equal(address->proto, AVAHI_PROTO_INET);
    if (played->collisions > 0) {
        played->collisions--;
        return AVAHI_ERR_COLLISION;
    }
    (void)snprintf(played->host, sizeof played->host, "%s", host);
    played->addresses++;
    return AVAHI_OK;
}

static int add_service(void *responder, int interface, const char *label, const char *host,
                       AvahiStringList *txt)
{
    struct played *played = responder;
    assert_true(interface > 0);
    assert_string_equal(host, played->host);
    assert_non_null(txt);
    (void)snprintf(played->label, sizeof played->label, "%s", label);
    played->services++;
    return played->refusal;
}

static int commit(void *responder)
{
    struct played *played = responder;
    bool is_late = played->late_collisions > 0;
    played->late_collisions -= is_late;
    publication_hear(&played->publication,
                     is_late ? AVAHI_ENTRY_GROUP_COLLISION : AVAHI_ENTRY_GROUP_ESTABLISHED);
    if (played->breaks != 0) {
        publication_break(&played->publication, played->breaks);
    }
    played->avahi->simple_poll_wakeup(played->poll);
    return AVAHI_OK;
}

static void tell(void *context, enum announcer_state state)
{
    struct played *played = context;
    played->is_announced = state == ANNOUNCER_ANNOUNCED;
}

static bool is_to_end(void *context)
{
    struct played *played = context;
    return played->is_announced && played->breaks == 0;
}

// Fills *out with a responder that takes everything, for a site on the loopback.
static void play(struct played *out)
{
    static const struct responder_ops PLAYED = {is_ready, clear, add_address, add_service, commit};
    const struct avahi_library *avahi = NULL;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct fingerprint key = fingerprint_of_public_key("desk", 4);
    if (avahi_library_get(&avahi, NULL) != OK) {
        skip();
    }
    *out = (struct played){.avahi = &avahi->common, .poll = avahi->common.simple_poll_new()};
    assert_non_null(out->poll);
    out->options = (struct announcer_options){.bound_count = 1, .port = PORT};
    memcpy(&out->options.bound[0], &four, sizeof four);
    assert_int_equal(announcement_make(TEXT("desk"), text_of(key.text), TEXT("1"),
                                       &out->options.announcement, NULL),
                     OK);
    out->publication = (struct publication){.options = &out->options,
                                            .avahi = out->avahi,
                                            .ops = &PLAYED,
                                            .responder = out,
                                            .tell = tell,
                                            .is_to_end = is_to_end,
                                            .context = out};
}

static enum status keep(struct played *played, struct error *error)
{
    enum status status = publication_keep(&played->publication, played->poll, error);
    played->avahi->simple_poll_free(played->poll);
    return status;
}

static void assert_names(const struct played *played, unsigned attempt)
{
    char expected[SERVICE_LABEL_SIZE];
    announcement_label(&played->options.announcement, attempt, expected);
    assert_string_equal(played->label, expected);
    announcement_host(&played->options.announcement, attempt, expected);
    assert_memory_equal(played->host, expected, strlen(expected));
    assert_string_equal(played->host + strlen(expected), ".local");
}

static void it_is_given_the_site_once_it_is_ready(void **state)
{
    (void)state;
    struct played played;
    play(&played);
    played.unready = 3;
    assert_int_equal(keep(&played, NULL), OK);
    assert_int_equal(played.unready, 0);
    assert_int_equal(played.clears, 1);
    assert_int_equal(played.addresses, 1);
    assert_int_equal(played.services, 1);
    assert_names(&played, 0);
}

static void a_name_that_is_taken_gets_a_number(void **state)
{
    (void)state;
    struct played played;
    play(&played);
    played.collisions = 2;
    played.late_collisions = 1;
    assert_int_equal(keep(&played, NULL), OK);
    assert_int_equal(played.clears, 4);
    assert_names(&played, 3);
}

static void it_gives_up_when_all_names_are_taken(void **state)
{
    (void)state;
    struct played played;
    struct error error = {0};
    play(&played);
    played.collisions = 1000;
    assert_int_equal(keep(&played, &error), CONFLICT);
    assert_int_equal(played.collisions, 1000 - ATTEMPTS);
    assert_true(error.fix[0] != '\0');
}

static void what_is_forbidden_is_told_from_what_fails(void **state)
{
    (void)state;
    static const struct {
        int refusal;
        enum status status;
    } cases[] = {
        {AVAHI_ERR_NOT_PERMITTED, DENIED},
        {AVAHI_ERR_TOO_MANY_ENTRIES, UNAVAILABLE},
        {AVAHI_ERR_TIMEOUT, UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct played played;
        struct error error = {0};
        play(&played);
        played.refusal = cases[i].refusal;
        assert_int_equal(keep(&played, &error), cases[i].status);
        assert_int_equal(error.status, cases[i].status);
        assert_false(played.is_announced);
    }
}

static void it_ends_when_the_responder_does(void **state)
{
    (void)state;
    struct played played;
    struct error error = {0};
    play(&played);
    played.breaks = AVAHI_ERR_DISCONNECTED;
    assert_int_equal(keep(&played, &error), UNAVAILABLE);
    assert_true(played.is_announced);
    assert_non_null(strstr(error.detail, "broke off"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_given_the_site_once_it_is_ready),
        cmocka_unit_test(a_name_that_is_taken_gets_a_number),
        cmocka_unit_test(it_gives_up_when_all_names_are_taken),
        cmocka_unit_test(what_is_forbidden_is_told_from_what_fails),
        cmocka_unit_test(it_ends_when_the_responder_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
