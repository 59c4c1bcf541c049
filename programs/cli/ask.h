// Questions on the terminal, whatever standard input and output are.
#ifndef LODE_PROGRAMS_CLI_ASK_H
#define LODE_PROGRAMS_CLI_ASK_H

#include "base/buffer.h"

// The answer without its line end. UNAVAILABLE when there is no terminal, CONFLICT after Ctrl-C, which must not end the program while
// the terminal is silent.
enum status ask_terminal(const char *question, bool is_secret, struct buffer *answer,
                         struct error *error);

// A first meeting with a `what` ("site"): is this key its own? DENIED unless the answer is yes, or when there is no terminal; then
// `option` ("--pin") is the way out.
enum status ask_leap_of_faith(const char *what, const char *url, const char *fingerprint,
                              const char *option, struct error *error);

#endif
