// Sites with keys and stores in folders of their own, for the tests of logs and mirrors.
#ifndef LODE_TESTS_LEDGER_FIXTURE_H
#define LODE_TESTS_LEDGER_FIXTURE_H

#include "ledger/ledger.h"

// The folder of a test: the state of a cmocka test is its path (heap).
int fixture_folder_new(void **state);
int fixture_folder_free(void **state);

// The key of RFC 8032 section 7.1, test 2, with which the vectors in these tests were made by other programs.
extern const char FIXTURE_SITE[]; // Its fingerprint.
struct signing_key *fixture_known_key(const char *folder);

// A new key in `folder`/`name`.
struct signing_key *fixture_new_key(const char *folder, const char *name);

// The store `folder`/`name`.db with the tables of this module.
struct store *fixture_store(const char *folder, const char *name);

// A site that says something: a store and a log.
struct talker {
    struct store *store;
    struct signing_key *key;
    struct ledger *ledger;
};
// With the store and key `name`; opens what is there already too.
void talker_open(struct talker *talker, const char *folder, const char *name);
void talker_close(struct talker *talker);

// Appends in a write of its own and awaits the commit.
struct ledger_dataset fixture_dataset(const char *id);
void talker_say(const struct talker *talker, const struct ledger_dataset *dataset);
void talker_remove(const struct talker *talker, const char *id);
// Says something of the datasets s:FROM to s:TO (exclusive), in one write.
void talker_say_many(const struct talker *talker, int64_t from, int64_t to);

#endif
