// Words that were read, quoted and read again are the same words; a refusal has its text and calls nothing.
#include "fuzz.h"

#include "cli/words.h"

struct seen {
    struct buffer words; // Each with its length before it.
    struct buffer quoted;
};

static void on_word(void *context, struct text word)
{
    struct seen *seen = context;
    buffer_printf(&seen->words, "%zu ", word.length);
    buffer_append_text(&seen->words, word);
    buffer_append_byte(&seen->quoted, ' ');
    words_quote(&seen->quoted, word);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct seen first = {0};
    struct seen second = {0};
    struct error error = {0};
    enum status status =
        words_split((struct text){(const char *)bytes, length}, on_word, &first, &error);
    if (status == OK) {
        FUZZ_CHECK(words_split(buffer_text(&first.quoted), on_word, &second, &error) == OK);
        FUZZ_CHECK(text_equal(buffer_text(&first.words), buffer_text(&second.words)));
        FUZZ_CHECK(text_equal(buffer_text(&first.quoted), buffer_text(&second.quoted)));
    } else {
        FUZZ_CHECK(status == INVALID && error.detail[0] && first.words.length == 0);
    }
    buffer_done(&first.words);
    buffer_done(&first.quoted);
    buffer_done(&second.words);
    buffer_done(&second.quoted);
    return 0;
}
