// The statements of mirrored logs.
#ifndef LODE_LEDGER_MIRROR_SQL_H
#define LODE_LEDGER_MIRROR_SQL_H

static const char SQL_SITE_LIST[] =
    "SELECT number, site, epoch, serial, head FROM mirror_sites ORDER BY number";

static const char SQL_SITE_FIND[] = "SELECT number FROM mirror_sites WHERE site = $1";

static const char SQL_SITE_ADD[] =
    "INSERT INTO mirror_sites (number, site, epoch, serial, head, statement) "
    "SELECT COALESCE(MAX(number), 0) + 1, $1, 0, 0, $2, $3 FROM mirror_sites";

static const char SQL_SITE_MOVE[] =
    "UPDATE mirror_sites SET epoch = $1, serial = $2, head = $3, statement = $4 WHERE number = $5";

static const char SQL_SITE_STATEMENT[] = "SELECT statement FROM mirror_sites WHERE number = $1";

static const char SQL_BATCH_ADD[] =
    "INSERT INTO mirror_batches "
    "(number, epoch, last, first, entries, size_bytes, head, batch, is_compressed) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)";

static const char SQL_BATCH_LAST[] = "SELECT last, first, entries, size_bytes FROM mirror_batches "
                                     "WHERE number = $1 AND epoch = $2 ORDER BY last DESC LIMIT 1";

static const char SQL_BATCH_READ[] = "SELECT batch, is_compressed FROM mirror_batches "
                                     "WHERE number = $1 AND epoch = $2 AND last = $3";

static const char SQL_BATCH_DELETE[] =
    "DELETE FROM mirror_batches WHERE number = $1 AND epoch = $2 AND last = $3";

static const char SQL_BATCH_LIST[] = "SELECT batch, is_compressed FROM mirror_batches "
                                     "WHERE number = $1 AND epoch = $2 AND last > $3 ORDER BY last";

static const char SQL_BATCH_NEXT[] =
    "SELECT batch, is_compressed, epoch, last FROM mirror_batches "
    "WHERE number = $1 AND (epoch > $2 OR (epoch = $2 AND last > $3)) ORDER BY epoch, last LIMIT 1";

static const char SQL_BATCH_SIZES[] =
    "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM mirror_batches WHERE number = $1";

static const char SQL_BATCH_OF_OLD_EPOCH[] =
    "SELECT batch, is_compressed, epoch, last FROM mirror_batches WHERE number = $1 AND epoch < $2 "
    "ORDER BY epoch, last LIMIT 1";

static const char SQL_BATCH_AT[] =
    "SELECT batch, is_compressed FROM mirror_batches "
    "WHERE number = $1 AND epoch = $2 AND last >= $3 ORDER BY last LIMIT 1";

static const char SQL_BATCH_BEFORE[] =
    "SELECT last, head FROM mirror_batches "
    "WHERE number = $1 AND epoch = $2 AND last < $3 ORDER BY last DESC LIMIT 1";

#endif
