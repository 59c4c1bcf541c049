// The strict reading of one HTTP/1.x request (RFC 9112): where its head ends, what the head says, and its body.
//
// A head is first found whole (head_scan), then read at once (parser_read_head), so that its parts are plain texts into
// one copy of it. What is ambiguous is refused, never repaired: two parties that read one message differently are how
// requests are smuggled.
#ifndef LODE_HTTP_PARSER_H
#define LODE_HTTP_PARSER_H

#include "base/arena.h"
#include "base/text.h"

#include <llhttp/llhttp.h>

enum { HTTP_FIELDS_MAX = 128 };

// Why the server will not serve a request. Plain values with static texts.
struct refusal {
    int code; // HTTP status; 0: not refused.
    const char *detail;
    const char *fix; // "" where nothing helps.
};

// Looks for the end of a head, byte by byte across pieces. {0} is ready.
struct head_scan {
    size_t length;      // Bytes seen so far; of the whole head once it is complete.
    unsigned line_ends; // CR LF pairs in a row.
    bool has_carriage_return;
    bool has_content; // A byte other than CR and LF was seen.
    bool is_complete;
};

// Takes the next bytes of a connection up to the end of the head; returns how many belong to it. Refuses control bytes
// (NUL among them), CR or LF alone, folded fields and heads over HTTP_HEADER_SIZE_MAX.
size_t head_scan(struct head_scan *scan, struct text bytes, struct refusal *refusal);

struct head_field {
    struct text name;
    struct text value; // Trimmed.
};

// A request's head; texts and fields live in the arena that it was read into.
struct request_head {
    struct text method;
    struct text path;
    struct text query;
    struct head_field *fields;
    size_t field_count;
    int64_t content_length; // -1: none was given.
    bool is_chunked;
    bool is_version_1_0;
    bool is_keep_alive;
    bool expects_continue;
};

// The first value of a field, its name compared without regard to case; false when it is absent.
bool head_find(const struct request_head *head, const char *name, struct text *value);

static inline bool head_has_body(const struct request_head *head)
{
    return head->is_chunked || head->content_length > 0;
}

struct parser {
    llhttp_t engine;
    struct request_head *head; // While a head is read.
    bool (*on_body)(void *context, struct text bytes);
    void *context;
    bool is_complete; // The whole message has been read.
    bool is_stopped;  // on_body answered false.
    bool has_too_many_fields;
};

// Ready for one message. `on_body` gets the body's bytes and may answer false to stop.
void parser_init(struct parser *parser, bool (*on_body)(void *context, struct text bytes),
                 void *context);

// Reads a whole head that head_scan has found; *head's texts point into a copy in the arena. False: see *refusal.
bool parser_read_head(struct parser *parser, struct text bytes, struct arena *arena,
                      struct request_head *head, struct refusal *refusal);

// Reads the next bytes of the body; *used says how many belonged to this message. False: refused or stopped.
bool parser_read_body(struct parser *parser, struct text bytes, size_t *used,
                      struct refusal *refusal);

#endif
