// A command in one argument, such as that of `--merge`, read into its words.
#ifndef LODE_PROGRAMS_CLI_WORDS_H
#define LODE_PROGRAMS_CLI_WORDS_H

#include "base/buffer.h"
#include "base/status.h"

enum { WORDS_MAX = 4096 };

// Calls `on_word` for each word of the line, in order. The words are those of a POSIX shell (XCU 2.2) as far as no shell is needed: white space separates; '...' is
// literal; in "..." a backslash quotes " \ $ ` only; elsewhere it quotes any character; pieces that touch are one word, and '' is an
// empty one. Braces are no quotes: {index} stays.
//
// INVALID, with the way out, for an empty line, a quote that does not end, more than WORDS_MAX words, and for what a shell would act on and this does not, so that
// nothing means one thing here and another there: | & ; < > ( ) $ ` * ? [ and line feeds outside of quotes, $ and ` within "...", and # or ~ at a
// word's start. Nothing is called before the whole line was found to be good.
enum status words_split(struct text line, void (*on_word)(void *context, struct text word),
                        void *context, struct error *error);

// Appends the word so that words_split, and a shell, read it as that word again.
void words_quote(struct buffer *out, struct text word);

#endif
