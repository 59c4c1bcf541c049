// The statements of last_heard.c.
#ifndef LODE_PEERS_LAST_HEARD_SQL_H
#define LODE_PEERS_LAST_HEARD_SQL_H

static const char SQL_HEARD_ALL[] = "SELECT site, heard_us, ttl_us, heard_by, heartbeat, silent_us "
                                    "FROM peers_heard ORDER BY site";

static const char SQL_HEARD_SET[] =
    "INSERT INTO peers_heard (site, heard_us, ttl_us, heard_by, heartbeat, silent_us) "
    "VALUES ($1, $2, $3, $4, $5, $6) "
    "ON CONFLICT (site) DO UPDATE SET heard_us = excluded.heard_us, ttl_us = excluded.ttl_us, "
    "heard_by = excluded.heard_by, heartbeat = excluded.heartbeat, "
    "silent_us = excluded.silent_us";

#endif
