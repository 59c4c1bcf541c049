// Sites with keys and stores in folders of their own, for the tests of logs and mirrors.
#ifndef LODE_TESTS_LEDGER_FIXTURE_H
#define LODE_TESTS_LEDGER_FIXTURE_H

#include "crypto/signature.h"

// The folder of a test: the state of a cmocka test is its path (heap).
int fixture_folder_new(void **state);
int fixture_folder_free(void **state);

// The key of RFC 8032 section 7.1, test 2, with which the vectors in these tests were made by other programs.
extern const char FIXTURE_SITE[]; // Its fingerprint.
struct signing_key *fixture_known_key(const char *folder);

// A new key in `folder`/`name`.
struct signing_key *fixture_new_key(const char *folder, const char *name);

#endif
