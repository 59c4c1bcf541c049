// batch_read: what is accepted leads from what was had to the signed head, entry by entry; packed bytes of any kind do no harm.
#include "fuzz.h"
#include "ledger/batch.h"
#include "ledger/chain.h"
#include "ledger/packed.h"

// The key that the batches of the corpus are signed with (RFC 8032 section 7.1, test 2).
static const char KEY[] = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

static void check_chain(const struct batch *batch, const struct ledger_position *from)
{
    struct text rest = batch->text;
    struct text line;
    struct digest chain = from->epoch == batch->end.epoch ? from->head : (struct digest){{0}};
    int64_t serial = from->epoch == batch->end.epoch ? from->serial : 0;
    FUZZ_CHECK(batch_next_line(&rest, &line) && text_equal(line, batch->head));
    while (batch_next_line(&rest, &line)) {
        struct entry entry;
        FUZZ_CHECK(entry_scan(line, &entry, NULL) == OK && entry.epoch == batch->end.epoch);
        if (entry.serial > serial) {
            FUZZ_CHECK(entry.serial == serial + 1);
            chain = chain_next(&chain, line);
            serial++;
        }
    }
    FUZZ_CHECK(serial == batch->end.serial && digest_equal(&chain, &batch->end.head));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch_source source;
    struct ledger_position have = {0};
    struct text rest = fuzz_text(data, size);
    struct error error = {0};
    struct batch batch;
    struct packed packed;
    AUTO_BUFFER struct buffer out = {0};
    FUZZ_CHECK(public_key_from_text(text_of(KEY), &source.key, NULL) == OK);
    source.site = public_key_fingerprint(&source.key);
    while (rest.length > 0) {
        enum status status = batch_read(&rest, &source, &have, &batch, &error);
        if (status != OK) {
            FUZZ_CHECK(status == CORRUPT || status == CONFLICT);
            FUZZ_CHECK(strstr(error.detail, source.site.text));
            break;
        }
        if (batch.is_fresh) {
            check_chain(&batch, &have);
            have = batch.end;
        }
    }
    (void)packed_read(fuzz_text(data, size), &packed, NULL);
    (void)packed_unpack(fuzz_text(data, size), TEXT("s:a"), &source.site, &out, NULL);
    return 0;
}
