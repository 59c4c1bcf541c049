// The statements of recall.c.
#ifndef LODE_RESOLVE_RECALL_SQL_H
#define LODE_RESOLVE_RECALL_SQL_H

static const char SQL_FIND[] = "SELECT answer, answered_us FROM resolve_remembered WHERE name = $1";

static const char SQL_SAVE[] =
    "INSERT INTO resolve_remembered (name, answer, answered_us) VALUES ($1, $2, $3) "
    "ON CONFLICT (name) DO UPDATE SET answer = excluded.answer, answered_us = excluded.answered_us";

static const char SQL_COUNT[] = "SELECT COUNT(*) FROM resolve_remembered";

// The oldest ones.
static const char SQL_EVICT[] =
    "DELETE FROM resolve_remembered WHERE name IN "
    "(SELECT name FROM resolve_remembered ORDER BY answered_us, name LIMIT $1)";

#endif
