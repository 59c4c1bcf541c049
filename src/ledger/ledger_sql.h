// The statements of a site's own log.
#ifndef LODE_LEDGER_LEDGER_SQL_H
#define LODE_LEDGER_LEDGER_SQL_H

static const char SQL_LOG_BEGIN[] =
    "INSERT INTO ledger_log (one, epoch, serial, head, is_complete) VALUES (1, 1, 0, $1, 0) "
    "ON CONFLICT (one) DO NOTHING";

static const char SQL_LOG_READ[] =
    "SELECT epoch, serial, head, is_complete FROM ledger_log WHERE one = 1";

static const char SQL_LOG_MOVE[] =
    "UPDATE ledger_log SET epoch = $1, serial = $2, head = $3 WHERE one = 1";

static const char SQL_LOG_COMPLETE[] = "UPDATE ledger_log SET is_complete = 1 WHERE one = 1";

static const char SQL_ENTRY_ADD[] =
    "INSERT INTO ledger_entries (epoch, serial, chain, entry) VALUES ($1, $2, $3, $4)";

static const char SQL_ENTRY_CHAIN[] =
    "SELECT chain FROM ledger_entries WHERE epoch = $1 AND serial = $2";

static const char SQL_ENTRY_LIST[] =
    "SELECT serial, chain, entry FROM ledger_entries WHERE epoch = $1 AND serial > $2 "
    "ORDER BY serial LIMIT $3";

static const char SQL_ENTRY_DELETE_OLD[] =
    "DELETE FROM ledger_entries WHERE epoch < $1 AND serial IN "
    "(SELECT serial FROM ledger_entries WHERE epoch < $1 ORDER BY serial LIMIT $2)";

static const char SQL_DATASET_SAID[] =
    "INSERT INTO ledger_datasets (id, epoch, serial, said) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, serial = excluded.serial, "
    "said = excluded.said";

static const char SQL_DATASET_FIND[] =
    "SELECT said, epoch, serial FROM ledger_datasets WHERE id = $1";

static const char SQL_DATASET_ENTRY[] =
    "SELECT e.entry FROM ledger_datasets d JOIN ledger_entries e "
    "ON e.epoch = d.epoch AND e.serial = d.serial WHERE d.id = $1";

static const char SQL_DATASET_FORGET[] = "DELETE FROM ledger_datasets WHERE id = $1";

static const char SQL_DATASET_OF_OLD_EPOCH[] =
    "SELECT d.id, d.said, e.entry FROM ledger_datasets d JOIN ledger_entries e "
    "ON e.epoch = d.epoch AND e.serial = d.serial WHERE d.epoch < $1 LIMIT 1";

#endif
