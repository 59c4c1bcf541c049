// known_sites: the first line is read as a site's URL, the rest as the client's file. An address is a fixed point of its
// reading; a site that is found has a well-formed fingerprint and stands on a line of the file.
#include "identity/known_sites.h"
#include "fuzz.h"

static void check_address(const struct site_address *address)
{
    struct site_address again;
    FUZZ_CHECK(site_address_from_url(text_of(address->text), &again, NULL) == OK);
    FUZZ_CHECK(strcmp(address->text, again.text) == 0);
    FUZZ_CHECK(!text_has_control(text_of(address->text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = fuzz_text(data, size);
    size_t end = text_find_byte(input, 0, '\n');
    struct text content = text_slice(input, end + 1, input.length);
    struct site_address address;
    struct known_site site;
    char pin[PIN_SIZE];
    if (site_address_from_url(text_slice(input, 0, end), &address, NULL) != OK) {
        return 0;
    }
    check_address(&address);
    if (known_sites_look(content, &address, &site, NULL) == OK) {
        FUZZ_CHECK(fingerprint_to_pin(site.fingerprint.text, pin, NULL) == OK);
        FUZZ_CHECK(site.line >= 1 && (size_t)site.line <= size);
    }
    return 0;
}
