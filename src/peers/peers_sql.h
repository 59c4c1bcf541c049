// The statements of change.c.
#ifndef LODE_PEERS_PEERS_SQL_H
#define LODE_PEERS_PEERS_SQL_H

static const char SQL_PEERS_ALL[] =
    "SELECT site, statement, standing, mode, hub_added, hub_mode, hub_url FROM peers_sites "
    "ORDER BY site";

static const char SQL_PEERS_SET[] =
    "INSERT INTO peers_sites (site, statement, standing, mode, hub_added, hub_mode, hub_url) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) "
    "ON CONFLICT (site) DO UPDATE SET statement = excluded.statement, "
    "standing = excluded.standing, mode = excluded.mode, hub_added = excluded.hub_added, "
    "hub_mode = excluded.hub_mode, hub_url = excluded.hub_url";

#endif
