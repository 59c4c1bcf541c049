#include "crypto/pass.h"

#include "base/hex.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

enum { SECOND_US = 1000000, MESSAGE_MAX = 160 };

static void make_code(const struct pass_key *key, const struct digest *digest, int64_t until,
                      unsigned char code[DIGEST_SIZE])
{
    char message[MESSAGE_MAX];
    char text[DIGEST_TEXT_SIZE];
    unsigned length = 0;
    int used = snprintf(message, sizeof message, "lode blob\n%s\n%lld\n",
                        digest_to_text(digest, text), (long long)until);
    if (!HMAC(EVP_sha256(), key->bytes, PASS_KEY_SIZE, (const unsigned char *)message, (size_t)used,
              code, &length)) {
        abort();
    }
}

void pass_make(const struct pass_key *key, const struct digest *digest, int64_t until_us,
               char out[PASS_SIZE])
{
    unsigned char code[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    int64_t until = until_us / SECOND_US;
    make_code(key, digest, until, code);
    hex_encode(code, DIGEST_SIZE, hex);
    (void)snprintf(out, PASS_SIZE, "pass1.%lld.%s", (long long)until, hex);
}

bool pass_is_good(const struct pass_key *key, const struct digest *digest, struct text pass,
                  int64_t now_us)
{
    struct text part;
    int64_t until = 0;
    unsigned char said[DIGEST_SIZE];
    unsigned char code[DIGEST_SIZE];
    unsigned char difference = 0;
    if (!text_next_part(&pass, '.', &part) || !text_equal(part, TEXT("pass1")) ||
        !text_next_part(&pass, '.', &part) || !text_to_int64(part, &until) ||
        !hex_decode(pass, said, DIGEST_SIZE)) {
        return false;
    }
    make_code(key, digest, until, code);
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        difference |= (unsigned char)(said[i] ^ code[i]);
    }
    return difference == 0 && until >= now_us / SECOND_US;
}
