#include "cli/words.h"

#include <string.h>

struct reader {
    struct text line;
    size_t at;
    struct buffer word;
    size_t count;
    void (*on_word)(void *context, struct text word); // NULL: the words are only looked at.
    void *context;
};

static bool is_one_of(char byte, const char *set)
{
    return byte != '\0' && strchr(set, byte) != NULL;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

static enum status refuse_sign(char sign, struct error *error)
{
    if (sign == '\n') {
        (void)error_set(error, INVALID, "a line feed outside of quotes needs a shell");
    } else {
        (void)error_set(error, INVALID, "\"%c\" needs a shell here", sign);
    }
    error_fix(error, "ask for one: \"sh -c 'cat inputs/*/* | sort'\"; or put the text into "
                     "'...' to have it as it stands");
    return INVALID;
}

static enum status refuse_open_quote(char quote, struct error *error)
{
    (void)error_set(error, INVALID, "the quote %c does not end", quote);
    error_fix(error, "end it, or write \\%c for the character itself", quote);
    return INVALID;
}

static enum status read_single(struct reader *reader, struct error *error)
{
    size_t end = text_find_byte(reader->line, reader->at, '\'');
    if (end == reader->line.length) {
        return refuse_open_quote('\'', error);
    }
    buffer_append_text(&reader->word, text_slice(reader->line, reader->at, end));
    reader->at = end + 1;
    return OK;
}

static enum status read_double(struct reader *reader, struct error *error)
{
    while (reader->at < reader->line.length) {
        char byte = reader->line.bytes[reader->at++];
        bool has_next = reader->at < reader->line.length;
        if (byte == '"') {
            return OK;
        }
        if (is_one_of(byte, "$`")) {
            return refuse_sign(byte, error);
        }
        if (byte == '\\' && has_next && is_one_of(reader->line.bytes[reader->at], "\"\\$`")) {
            byte = reader->line.bytes[reader->at++];
        }
        buffer_append_byte(&reader->word, byte);
    }
    return refuse_open_quote('"', error);
}

// One character, or all of a quoted piece.
static enum status read_piece(struct reader *reader, bool is_first, struct error *error)
{
    char byte = reader->line.bytes[reader->at++];
    if (byte == '\'') {
        return read_single(reader, error);
    }
    if (byte == '"') {
        return read_double(reader, error);
    }
    if (is_one_of(byte, "|&;<>()$`*?[\n") || (is_first && is_one_of(byte, "#~"))) {
        return refuse_sign(byte, error);
    }
    if (byte == '\\') {
        if (reader->at == reader->line.length) {
            return error_set(error, INVALID, "the command ends in a backslash");
        }
        byte = reader->line.bytes[reader->at++];
    }
    buffer_append_byte(&reader->word, byte);
    return OK;
}

static enum status read_word(struct reader *reader, struct error *error)
{
    buffer_clear(&reader->word);
    bool is_first = true;
    while (reader->at < reader->line.length && !is_space(reader->line.bytes[reader->at])) {
        TRY(read_piece(reader, is_first, error));
        is_first = false;
    }
    if (reader->count++ == WORDS_MAX) {
        return error_set(error, INVALID, "the command has more than %d words", WORDS_MAX);
    }
    if (reader->on_word) {
        reader->on_word(reader->context, buffer_text(&reader->word));
    }
    return OK;
}

static enum status read_all(struct reader *reader, struct error *error)
{
    for (;;) {
        while (reader->at < reader->line.length && is_space(reader->line.bytes[reader->at])) {
            reader->at++;
        }
        if (reader->at == reader->line.length) {
            return reader->count > 0 ? OK : error_set(error, INVALID, "the command is empty");
        }
        TRY(read_word(reader, error));
    }
}

enum status words_split(struct text line, void (*on_word)(void *context, struct text word),
                        void *context, struct error *error)
{
    struct reader looking = {.line = line};
    struct reader reading = {.line = line, .on_word = on_word, .context = context};
    enum status status = read_all(&looking, error);
    if (status == OK) {
        status = read_all(&reading, error);
    }
    buffer_done(&looking.word);
    buffer_done(&reading.word);
    return status;
}

void words_quote(struct buffer *out, struct text word)
{
    static const char PLAIN[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:=,+@%{}";
    bool is_plain = word.length > 0;
    for (size_t i = 0; i < word.length; i++) {
        is_plain = is_plain && is_one_of(word.bytes[i], PLAIN);
    }
    if (is_plain) {
        buffer_append_text(out, word);
        return;
    }
    buffer_append_byte(out, '\'');
    for (size_t i = 0; i < word.length; i++) {
        if (word.bytes[i] == '\'') {
            buffer_append_string(out, "'\\''");
        } else {
            buffer_append_byte(out, word.bytes[i]);
        }
    }
    buffer_append_byte(out, '\'');
}
