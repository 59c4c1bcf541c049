// http_request: a request reads the same whether it comes at once or in pieces; what is accepted has one length and one host.
#include "base/buffer.h"
#include "fuzz.h"
#include "http/parser.h"

struct reading {
    struct parser parser;
    struct arena arena;
    struct request_head head;
    struct refusal refusal;
    struct buffer body;
    size_t used;
};

static bool keep_body(void *context, struct text bytes)
{
    buffer_append_text(context, bytes);
    return true;
}

// Reads one request out of the bytes, `step` of them at a time.
static void read_request(struct reading *reading, struct text bytes, size_t step)
{
    struct head_scan scan = {0};
    while (!scan.is_complete && reading->refusal.code == 0 && reading->used < bytes.length) {
        struct text piece = text_slice(bytes, reading->used, reading->used + step);
        reading->used += head_scan(&scan, piece, &reading->refusal);
    }
    parser_init(&reading->parser, keep_body, &reading->body);
    if (!scan.is_complete || reading->refusal.code != 0 ||
        !parser_read_head(&reading->parser, text_slice(bytes, 0, reading->used), &reading->arena,
                          &reading->head, &reading->refusal)) {
        return;
    }
    while (!reading->parser.is_complete && reading->used < bytes.length) {
        struct text piece = text_slice(bytes, reading->used, reading->used + step);
        size_t used = 0;
        if (!parser_read_body(&reading->parser, piece, &used, &reading->refusal)) {
            return;
        }
        FUZZ_CHECK(used <= piece.length);
        reading->used += used;
    }
}

static void reading_done(struct reading *reading)
{
    arena_done(&reading->arena);
    buffer_done(&reading->body);
}

static void check_head(const struct request_head *head)
{
    int hosts = 0;
    int lengths = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        struct text name = head->fields[i].name;
        FUZZ_CHECK(name.length > 0);
        FUZZ_CHECK(!text_contains_byte(head->fields[i].value, '\0'));
        FUZZ_CHECK(!text_contains_byte(head->fields[i].value, '\n'));
        hosts += text_equal_no_case(name, TEXT("host")) ? 1 : 0;
        lengths += text_equal_no_case(name, TEXT("content-length")) ||
                           text_equal_no_case(name, TEXT("transfer-encoding"))
                       ? 1
                       : 0;
    }
    FUZZ_CHECK(hosts == 1 || (hosts == 0 && head->is_version_1_0));
    FUZZ_CHECK(lengths <= 1);
    FUZZ_CHECK(head->path.bytes[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading whole = {0};
    struct reading pieces = {0};
    read_request(&whole, fuzz_text(data, size), size + 1);
    read_request(&pieces, fuzz_text(data, size), 1);
    FUZZ_CHECK(whole.refusal.code == pieces.refusal.code);
    FUZZ_CHECK(whole.refusal.code == 0 || whole.refusal.detail[0] != '\0');
    FUZZ_CHECK(whole.parser.is_complete == pieces.parser.is_complete);
    if (whole.refusal.code == 0 && whole.head.method.length > 0) {
        check_head(&whole.head);
        FUZZ_CHECK(whole.used == pieces.used);
        FUZZ_CHECK(text_equal(buffer_text(&whole.body), buffer_text(&pieces.body)));
    }
    reading_done(&whole);
    reading_done(&pieces);
    return 0;
}
