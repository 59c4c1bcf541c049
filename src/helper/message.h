// What a caller asks of a helper, and what it answers: one JSON object in one line each (docs/protocols/helper.md).
#ifndef LODE_HELPER_MESSAGE_H
#define LODE_HELPER_MESSAGE_H

#include "base/json.h"
#include "crypto/key.h"

#include <stdint.h>

enum {
    HELPER_VERSION = 1,
    HELPER_PORT_DEFAULT = 7730,
    HELPER_LINE_MAX = 16384, // With its line end.
    HELPER_LABELS_MAX = 64,
    HELPER_PATH_MAX = 1024,
    HELPER_NAME_MAX = 255,
    HELPER_TEXT_MAX = 2048,
};

enum helper_verb { HELPER_START, HELPER_STATUS, HELPER_STOP };

// The worker that is wanted. Empty texts and numbers below 0 were not said: then `lode worker` chooses.
struct helper_worker {
    struct text name;
    struct text groups;
    struct text sandbox; // "bubblewrap", "none".
    struct text serve;   // "auto", "auto:7744".
    struct text labels[HELPER_LABELS_MAX];
    size_t label_count;
    double cpus;
    int64_t memory_bytes;
    int64_t gpus;
    int64_t cache_bytes;
    double lifetime_seconds;
    double notice_seconds;
};

struct helper_request {
    enum helper_verb verb;
    struct fingerprint fingerprint; // Of the site.
    struct text site;               // Its address; only HELPER_START has one.
    struct text invitation;         // Empty: none.
    struct text account;            // That the caller expects; empty: any.
    struct text directory;          // An absolute path; empty: the default.
    struct helper_worker worker;
};

// "start", "status", "stop".
const char *helper_verb_name(enum helper_verb verb);

// A request in which nothing is said.
struct helper_request helper_request_none(enum helper_verb verb);

// Reads a request out of a line (without its line end). The texts are borrowed from *document, which is the caller's to keep meanwhile.
// No text has a control character. INVALID, UNSUPPORTED for another version.
enum status helper_request_read(struct text line, json_t **document, struct helper_request *out,
                                struct error *error);

// Appends the request as a line, with its end.
void helper_request_write(const struct helper_request *request, struct buffer *out);

// An answer: a state or a problem (status not OK).
struct helper_answer {
    struct text
        state; // "started", "pending", "starting", "running", "absent", "stopped", "stopping".
    struct text host;
    struct text account;
    struct text name;
    struct text directory;
    struct text worker; // A fingerprint; empty: not known.
    int64_t pid;        // 0: not known.
    struct error problem;
};

// Reads an answer as a caller; it believes nothing but the form. As helper_request_read.
enum status helper_answer_read(struct text line, json_t **document, struct helper_answer *out,
                               struct error *error);

void helper_answer_write(const struct helper_answer *answer, struct buffer *out);

// Has the text form of a host's or worker's name, an account or a path, which may stand in a log and on a terminal? No control characters,
// UTF-8, at most `length_max` bytes.
bool helper_text_is_plain(struct text text, size_t length_max);

#endif
