// Who may have workers started here, and as whom: a text file like ssh's authorized_keys.
//
//     # a key, or the common name in a certificate of an authority, and the account that it stands for
//     sha256:9f86d081... ada
//     cn:Ada Lovelace 4711 ada
//
// The account is the last word of a line. Empty lines and lines that begin with "#" are kept and mean nothing.
#ifndef LODE_HELPER_CALLERS_H
#define LODE_HELPER_CALLERS_H

#include "base/buffer.h"
#include "crypto/key.h"

enum {
    CALLER_ACCOUNT_MAX = 64,
    CALLER_NAME_MAX = 80, // "cn:" and a common name.
    CALLERS_SIZE_MAX = 4 << 20,
};

// Finds the account of who shows `key`, or else of `name` (a common name that an authority has certified; empty: none), in the content of
// such a file; the first line that fits counts. `account` has room for CALLER_ACCOUNT_MAX bytes and a NUL. False: of nobody.
bool callers_look(struct text content, const struct fingerprint *key, struct text name,
                  char account[CALLER_ACCOUNT_MAX + 1]);

// Is it a fingerprint, or "cn:" and a name?
enum status caller_check(struct text caller, struct error *error);

// Reads the file. A missing one is empty. DENIED, with the way out, when others than root and this process's user could have written it or
// its folder.
enum status callers_read(const char *folder, struct buffer *out, struct error *error);

// Puts a line for `caller` in the place of those that it has; `account` empty: of none. Durable; two processes that do this take turns. NOT_FOUND when
// there was none to take away.
enum status callers_change(const char *folder, struct text caller, struct text account,
                           struct error *error);

#endif
