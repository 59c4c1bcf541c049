#include "played_sites.h"

#include "base/calendar.h"
#include "base/hex.h"
#include "ledger/chain.h"
#include "os/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

enum { ADDRESS_FIRST = 0x7F010000, KEY_SIZE = 32, SIGNED_SIZE = 64, VALID_SECONDS = 365 * 86400 };

static const char TIME_OF_STATEMENTS[] = "2026-11-21T10:00:00Z";

// The certificate says nothing: who connects is known by the key alone.
static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    int good = X509_set_version(certificate, 2) &&
               ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
               X509_gmtime_adj(X509_getm_notBefore(certificate), -VALID_SECONDS) &&
               X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_SECONDS) &&
               X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"lode",
                                          -1, -1, 0) &&
               X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key) &&
               X509_sign(certificate, key, NULL) > 0;
    assert(good);
    (void)good;
    return certificate;
}

void played_site_make(struct played_site *site, size_t number, int port)
{
    AUTO_BUFFER struct buffer text = {0};
    unsigned char *der = NULL;
    unsigned char bytes[KEY_SIZE];
    size_t size = sizeof bytes;
    uint32_t address = ADDRESS_FIRST + (uint32_t)number;
    *site = (struct played_site){.number = number};
    site->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    site->certificate = make_certificate(site->key);
    int length = i2d_PUBKEY(site->key, &der);
    struct digest digest = digest_of(der, (size_t)length);
    OPENSSL_free(der);
    (void)digest_to_text(&digest, site->fingerprint);
    (void)EVP_PKEY_get_raw_public_key(site->key, bytes, &size);
    base64_append(&text, bytes, sizeof bytes);
    (void)snprintf(site->public_key, sizeof site->public_key, "%.*s",
                   TEXT_ARGS(buffer_text(&text)));
    (void)snprintf(site->url, sizeof site->url, "https://%u.%u.%u.%u:%d", address >> 24,
                   address >> 16 & 255, address >> 8 & 255, address & 255, port);
}

size_t played_site_at(uint32_t address)
{
    return address - ADDRESS_FIRST;
}

// `front` and `back` are the canonical statement around the place of its signature.
static void sign(const struct played_site *site, const struct buffer *front,
                 const struct buffer *back, struct buffer *out)
{
    AUTO_BUFFER struct buffer message = {0};
    unsigned char signature[SIGNED_SIZE];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    buffer_append_string(&message, "lode-statement-1\n");
    buffer_append_text(&message, buffer_text(front));
    buffer_append_text(&message, buffer_text(back));
    int good = EVP_DigestSignInit(context, NULL, NULL, NULL, site->key) > 0 &&
               EVP_DigestSign(context, signature, &size, (const unsigned char *)message.bytes,
                              message.length) > 0;
    assert(good);
    (void)good;
    EVP_MD_CTX_free(context);
    buffer_append_text(out, buffer_text(front));
    buffer_append_string(out, ",\"signature\":\"");
    base64_append(out, signature, sizeof signature);
    buffer_append_byte(out, '"');
    buffer_append_text(out, buffer_text(back));
}

static void add_entry(struct played_site *site, struct buffer *out)
{
    AUTO_BUFFER struct buffer front = {0};
    AUTO_BUFFER struct buffer back = {0};
    char id[64];
    char content[DIGEST_TEXT_SIZE];
    site->serial++;
    (void)snprintf(id, sizeof id, "played:%zu-%" PRId64, site->number, site->serial);
    struct digest digest = digest_of(id, strlen(id));
    buffer_printf(&front,
                  "{\"aliases\":[],\"digest\":\"%s\",\"epoch\":1,\"file_count\":3,\"id\":\"%s\","
                  "\"kind\":\"dataset\",\"previous\":0,\"serial\":%" PRId64,
                  digest_to_text(&digest, content), id, site->serial);
    buffer_printf(&back,
                  ",\"site\":\"%s\",\"size_bytes\":4096,\"state\":\"available\",\"tier\":"
                  "\"online\",\"time\":\"%s\",\"title\":\"Played\"}",
                  site->fingerprint, TIME_OF_STATEMENTS);
    size_t before = out->length;
    sign(site, &front, &back, out);
    site->chain =
        chain_next(&site->chain, (struct text){out->bytes + before, out->length - before});
    buffer_append_byte(out, '\n');
}

void played_site_grow(struct played_site *site, int64_t entries)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_BUFFER struct buffer front = {0};
    AUTO_BUFFER struct buffer back = {0};
    char head[DIGEST_TEXT_SIZE];
    assert(site->batch_count < PLAYED_BATCHES_MAX);
    struct buffer *batch = &site->batches[site->batch_count];
    site->batch_firsts[site->batch_count++] = site->serial + 1;
    for (int64_t i = 0; i < entries; i++) {
        add_entry(site, &text);
    }
    buffer_printf(&front, "{\"epoch\":1,\"head\":\"%s\",\"kind\":\"head\",\"serial\":%" PRId64,
                  digest_to_text(&site->chain, head), site->serial);
    buffer_printf(&back, ",\"site\":\"%s\",\"time\":\"%s\"}", site->fingerprint,
                  TIME_OF_STATEMENTS);
    sign(site, &front, &back, batch);
    buffer_append_byte(batch, '\n');
    buffer_append_text(batch, buffer_text(&text));
}

void played_site_write_statement(const struct played_site *site, struct buffer *out)
{
    AUTO_BUFFER struct buffer front = {0};
    AUTO_BUFFER struct buffer back = {0};
    buffer_printf(&front,
                  "{\"is_hub\":false,\"kind\":\"site\",\"name\":\"played-%zu\",\"protocol\":1,"
                  "\"public_key\":\"%s\"",
                  site->number, site->public_key);
    buffer_printf(&back,
                  ",\"site\":\"%s\",\"time\":\"%s\",\"urls\":[\"%s\"],\"version\":\"0.1.0\"}",
                  site->fingerprint, TIME_OF_STATEMENTS, site->url);
    sign(site, &front, &back, out);
}

void played_site_write_heartbeat(const struct played_site *site, struct buffer *out)
{
    AUTO_BUFFER struct buffer front = {0};
    AUTO_BUFFER struct buffer back = {0};
    char head[DIGEST_TEXT_SIZE];
    char time[CALENDAR_TEXT_SIZE];
    buffer_printf(&front,
                  "{\"epoch\":1,\"head\":\"%s\",\"kind\":\"heartbeat\",\"load\":{\"cpus\":4,"
                  "\"cpus_busy\":1,\"tasks_waiting\":0,\"workers\":1},\"serial\":%" PRId64,
                  digest_to_text(&site->chain, head), site->serial);
    buffer_printf(&back, ",\"site\":\"%s\",\"time\":\"%s\",\"ttl_seconds\":180}", site->fingerprint,
                  calendar_format(clock_real_us(), time));
    sign(site, &front, &back, out);
    buffer_append_byte(out, '\n');
}

void played_site_write_log(const struct played_site *site, int64_t after, struct buffer *out)
{
    for (size_t i = 0; i < site->batch_count; i++) {
        if (site->batch_firsts[i] > after) {
            buffer_append_text(out, buffer_text(&site->batches[i]));
        }
    }
}
