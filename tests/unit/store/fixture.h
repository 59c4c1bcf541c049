// A folder of its own for each test.
#ifndef LODE_TESTS_STORE_FIXTURE_H
#define LODE_TESTS_STORE_FIXTURE_H

#include "store/store.h"

// Makes an empty folder; the state of a cmocka test is its path (heap).
int fixture_folder_new(void **state);
int fixture_folder_free(void **state);

// A store in `folder`/site.db with one table: notes(id BIGINT PRIMARY KEY, body TEXT).
struct store *fixture_store(const char *folder);
// The number of rows in notes, seen by a reader.
int64_t fixture_count(struct store *store);

// Adds the row *(int64_t *)context: CONFLICT when it is there.
enum status fixture_add_note(struct sql *sql, void *context, struct error *error);

#endif
