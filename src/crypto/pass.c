#include "crypto/pass.h"

#include "base/hex.h"
#include "crypto/seal.h"

#include <stdio.h>

enum { SECOND_US = 1000000, MESSAGE_MAX = 160 };

// What is sealed: the blob, and until when the pass is good.
struct promise {
    char bytes[MESSAGE_MAX];
    struct text text;
};

static void write_promise(const struct digest *digest, int64_t until, struct promise *out)
{
    char name[DIGEST_TEXT_SIZE];
    int length = snprintf(out->bytes, sizeof out->bytes, "lode blob\n%s\n%lld\n",
                          digest_to_text(digest, name), (long long)until);
    out->text = (struct text){out->bytes, (size_t)length};
}

void pass_make(const struct digest *key, const struct digest *digest, int64_t until_us,
               char out[PASS_SIZE])
{
    struct promise promise;
    char hex[2 * DIGEST_SIZE + 1];
    int64_t until = until_us / SECOND_US;
    write_promise(digest, until, &promise);
    struct digest seal = seal_make(key, promise.text);
    hex_encode(seal.bytes, DIGEST_SIZE, hex);
    (void)snprintf(out, PASS_SIZE, "pass1.%lld.%s", (long long)until, hex);
}

bool pass_is_good(const struct digest *key, const struct digest *digest, struct text pass,
                  int64_t now_us)
{
    struct text part;
    int64_t until = 0;
    struct promise promise;
    struct digest seal;
    if (!text_next_part(&pass, '.', &part) || !text_equal(part, TEXT("pass1")) ||
        !text_next_part(&pass, '.', &part) || !text_to_int64(part, &until) ||
        !hex_decode(pass, seal.bytes, DIGEST_SIZE)) {
        return false;
    }
    write_promise(digest, until, &promise);
    return seal_is_good(key, promise.text, &seal) && until >= now_us / SECOND_US;
}
