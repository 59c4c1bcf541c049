// What a worker says of itself: its name, an invitation, its address. A name that is taken has no control characters, no spaces at its
// ends and is not taken for a fingerprint; an invitation is of one length.
#include "fuzz.h"
#include "identity/invitations.h"
#include "os/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = fuzz_text(data, size);
    enum known_worker_state state = KNOWN_WORKER_PENDING;
    if (known_worker_check_name(input, NULL) == OK) {
        FUZZ_CHECK(size > 0 && size <= KNOWN_WORKER_NAME_MAX);
        FUZZ_CHECK(!text_has_control(input) && text_is_utf8(input));
        FUZZ_CHECK(text_equal(text_trim(input), input));
        FUZZ_CHECK(!text_starts_with(input, TEXT("sha256:")));
    }
    FUZZ_CHECK(!invitation_is_well_formed(input) || size == INVITATION_TEXT_SIZE - 1);
    if (known_worker_state_from_text(input, &state)) {
        FUZZ_CHECK(text_equal(text_of(known_worker_state_name(state)), input));
    }
    (void)address_text_is_private(input);
    return 0;
}
