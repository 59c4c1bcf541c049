// The statements of transfers, portable SQL.
#ifndef LODE_TRANSFER_TRANSFER_SQL_H
#define LODE_TRANSFER_TRANSFER_SQL_H

#define TRANSFER_COLUMNS                                                                           \
    "transfer, dataset, owner, wanted_site, state, source, problem, files_total, bytes_total,"     \
    " ordered_us, finished_us, wanted_content"

static const char SQL_TRANSFER_LAST[] = "SELECT COALESCE(MAX(transfer), 0) FROM transfers";
static const char SQL_TRANSFER_INSERT[] =
    "INSERT INTO transfers (transfer, dataset, owner, wanted_site, state, source, problem,"
    " files_total, bytes_total, ordered_us, finished_us, wanted_content)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
static const char SQL_TRANSFER_UPDATE[] =
    "UPDATE transfers SET state = $2, source = $3, problem = $4, files_total = $5,"
    " bytes_total = $6, finished_us = $7 WHERE transfer = $1";
static const char SQL_TRANSFER_ACTIVE[] =
    "SELECT " TRANSFER_COLUMNS " FROM transfers WHERE finished_us = 0 ORDER BY transfer";
static const char SQL_TRANSFER_SHOW[] =
    "SELECT " TRANSFER_COLUMNS " FROM transfers WHERE transfer = $1";
static const char SQL_TRANSFER_LIST[] =
    "SELECT " TRANSFER_COLUMNS " FROM transfers WHERE transfer < $1"
    " ORDER BY transfer DESC LIMIT $2";

#endif
