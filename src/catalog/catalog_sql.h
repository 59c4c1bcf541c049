// The statements of the catalogue.
#ifndef LODE_CATALOG_CATALOG_SQL_H
#define LODE_CATALOG_CATALOG_SQL_H

static const char SQL_DATASET_FIND[] =
    "SELECT d.dataset, d.id, d.title, d.owner, d.state, d.problem, d.fix, "
    "d.file_count, d.size_bytes, d.digest, d.registered_us FROM catalog_aliases a JOIN "
    "catalog_datasets d "
    "ON d.dataset = a.dataset WHERE a.identifier = $1";

static const char SQL_DATASET_GET[] =
    "SELECT d.dataset, d.id, d.title, d.owner, d.state, d.problem, d.fix, "
    "d.file_count, d.size_bytes, d.digest, d.registered_us FROM catalog_datasets d "
    "WHERE d.dataset = $1";

static const char SQL_DATASET_LIST[] =
    "SELECT d.dataset, d.id, d.title, d.owner, d.state, d.problem, d.fix, "
    "d.file_count, d.size_bytes, d.digest, d.registered_us FROM catalog_datasets d "
    "WHERE d.id >= $1 AND d.id > $2 ORDER BY d.id LIMIT $3";

static const char SQL_DATASET_NUMBER[] =
    "UPDATE catalog_numbers SET value = value + 1 WHERE name = 'dataset' RETURNING value";

static const char SQL_DATASET_ADD[] =
    "INSERT INTO catalog_datasets (dataset, id, title, owner, state, work, survey, problem, fix, "
    "file_count, size_bytes, digest, registered_us) "
    "VALUES ($1, $2, $3, $4, 'registering', 'register', 1, '', '', 0, 0, NULL, $5)";

static const char SQL_DATASET_BEGIN[] =
    "UPDATE catalog_datasets SET state = $1, work = $2, survey = survey + 1, problem = '', "
    "fix = '' WHERE dataset = $3 AND work = ''";

static const char SQL_DATASET_END[] =
    "UPDATE catalog_datasets SET state = $1, work = '', problem = $2, fix = $3 "
    "WHERE dataset = $4 AND survey = $5";

static const char SQL_DATASET_CONTENT[] =
    "UPDATE catalog_datasets SET file_count = $1, size_bytes = $2, digest = $3 "
    "WHERE dataset = $4 AND survey = $5";

static const char SQL_DATASET_MARK_CHANGED[] =
    "UPDATE catalog_datasets SET state = 'changed', problem = $1, fix = $2 "
    "WHERE dataset = $3 AND state = 'available'";

static const char SQL_DATASET_DELETE[] = "DELETE FROM catalog_datasets WHERE dataset = $1";

static const char SQL_SURVEY_NEXT[] =
    "SELECT dataset, survey, work, id FROM catalog_datasets WHERE work <> '' "
    "ORDER BY dataset LIMIT 1";

static const char SQL_SURVEY_IS_CURRENT[] =
    "SELECT survey FROM catalog_datasets WHERE dataset = $1 AND survey = $2 AND work <> ''";

static const char SQL_ALIAS_ADD[] = "INSERT INTO catalog_aliases (identifier, dataset) "
                                    "VALUES ($1, $2)";

static const char SQL_ALIAS_LIST[] =
    "SELECT identifier FROM catalog_aliases WHERE dataset = $1 ORDER BY identifier";

static const char SQL_ALIAS_DELETE[] = "DELETE FROM catalog_aliases WHERE dataset = $1";

static const char SQL_ROOT_ADD[] =
    "INSERT INTO catalog_roots (dataset, position, path, mount, kind, tier, state) "
    "VALUES ($1, $2, $3, $4, $5, 'online', 'available')";

static const char SQL_ROOT_LIST[] = "SELECT path, mount, kind, tier, state FROM catalog_roots "
                                    "WHERE dataset = $1 ORDER BY position";

static const char SQL_ROOT_WITHIN[] =
    "SELECT path FROM catalog_roots WHERE path = $1 OR (path >= $2 AND path < $3) LIMIT 1";

static const char SQL_ROOT_DELETE[] = "DELETE FROM catalog_roots WHERE dataset = $1";

static const char SQL_FILE_SEEN[] =
    "INSERT INTO catalog_files (dataset, path, root, survey, size_bytes, modified_us, inode, "
    "changed_us, digest, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, 'new') "
    "ON CONFLICT (dataset, path) DO UPDATE SET survey = excluded.survey, root = excluded.root";

static const char SQL_FILE_STATE[] =
    "UPDATE catalog_files SET state = $1 WHERE dataset = $2 AND path = $3";

static const char SQL_FILE_FACTS[] =
    "UPDATE catalog_files SET state = 'ok', size_bytes = $1, modified_us = $2, inode = $3, "
    "changed_us = $4, digest = $5 WHERE dataset = $6 AND path = $7";

static const char SQL_FILE_DELETE[] = "DELETE FROM catalog_files WHERE dataset = $1 AND path = $2";

static const char SQL_FILE_LIST[] =
    "SELECT path, root, size_bytes, modified_us, inode, digest, state, survey, changed_us "
    "FROM catalog_files "
    "WHERE dataset = $1 AND path > $2 ORDER BY path LIMIT $3";

static const char SQL_FILE_FIND[] =
    "SELECT path, root, size_bytes, modified_us, inode, digest, state, survey, changed_us "
    "FROM catalog_files "
    "WHERE dataset = $1 AND path = $2";

static const char SQL_REMOVED_ADD[] = "INSERT INTO catalog_removed (dataset) VALUES ($1)";

static const char SQL_REMOVED_NEXT[] =
    "SELECT dataset FROM catalog_removed ORDER BY dataset LIMIT 1";

static const char SQL_REMOVED_FILES[] =
    "DELETE FROM catalog_files WHERE dataset = $1 AND path IN "
    "(SELECT path FROM catalog_files WHERE dataset = $1 ORDER BY path LIMIT 1000)";

static const char SQL_REMOVED_DELETE[] = "DELETE FROM catalog_removed WHERE dataset = $1";

#endif
