// Who sends a file to a worker: the site's answer to that question, read with limits. Pure.
#ifndef LODE_PROTOCOL_SOURCE_ANSWER_H
#define LODE_PROTOCOL_SOURCE_ANSWER_H

#include "base/status.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/pass.h"
#include "protocol/hello.h"

#include <stdint.h>

enum source_kind {
    SOURCE_SITE,   // The site itself.
    SOURCE_WORKER, // Another worker.
    SOURCE_WAIT,   // Somebody may have it in a moment.
};

struct source_answer {
    enum source_kind kind;
    // Of another worker; else 0 and empty.
    int64_t worker;
    char url[WORKER_URL_MAX + 1];
    char fingerprint[DIGEST_TEXT_SIZE];
    char pass[PASS_SIZE];
};
// INVALID, naming the field.
enum status source_answer_read(struct text body, struct source_answer *out, struct error *error);

#endif
