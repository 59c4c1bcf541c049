// The problem document (RFC 9457) that a server answered with, as an error. Pure.
#ifndef LODE_HTTP_ANSWERED_PROBLEM_H
#define LODE_HTTP_ANSWERED_PROBLEM_H

#include "base/status.h"
#include "base/text.h"

// Sets *error to `status` with the words of the body; with the code when the body is no problem document. Control characters become spaces, lest a server's
// words move the cursor of a terminal.
void answered_problem_read(struct text body, enum status status, int code, struct error *error);

#endif
