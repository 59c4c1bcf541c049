// The statements of groups.c.
#ifndef LODE_IDENTITY_GROUPS_SQL_H
#define LODE_IDENTITY_GROUPS_SQL_H

static const char SQL_GROUP_ADD[] =
    "INSERT INTO identity_groups (name, weight_millis, created_us) VALUES ($1, $2, $3)"
    " ON CONFLICT (name) DO NOTHING";
static const char SQL_GROUP_DELETE[] = "DELETE FROM identity_groups WHERE name = $1";
static const char SQL_GROUP_DELETE_MEMBERS[] = "DELETE FROM identity_members WHERE group_name = $1";
static const char SQL_GROUP_WEIGHT[] =
    "UPDATE identity_groups SET weight_millis = $2 WHERE name = $1";

static const char SQL_MEMBER_ADD[] =
    "INSERT INTO identity_members (group_name, member) VALUES ($1, $2)"
    " ON CONFLICT (group_name, member) DO NOTHING";
static const char SQL_MEMBER_REMOVE[] =
    "DELETE FROM identity_members WHERE group_name = $1 AND member = $2";
static const char SQL_MEMBER_FIND[] =
    "SELECT member FROM identity_members WHERE group_name = $1 AND member = $2";
static const char SQL_MEMBERS_OF[] =
    "SELECT member FROM identity_members WHERE group_name = $1 ORDER BY member";

static const char SQL_GROUP_IS_KNOWN[] =
    "SELECT name FROM identity_groups WHERE name = $1"
    " UNION ALL SELECT member FROM identity_members WHERE member = $1"
    " UNION ALL SELECT name FROM identity_tokens WHERE name = $1 AND role IN ('user', 'admin')"
    " LIMIT 1";

#define GROUP_COLUMNS                                                                              \
    "g.name, g.weight_millis, g.created_us,"                                                       \
    " (SELECT COUNT(*) FROM identity_members m WHERE m.group_name = g.name)"
static const char SQL_GROUP_FIND[] =
    "SELECT " GROUP_COLUMNS " FROM identity_groups g WHERE g.name = $1";
static const char SQL_GROUP_LIST[] =
    "SELECT " GROUP_COLUMNS " FROM identity_groups g WHERE g.name > $1 ORDER BY g.name LIMIT $2";
static const char SQL_GROUP_LIST_OF[] =
    "SELECT " GROUP_COLUMNS " FROM identity_groups g WHERE g.name > $1 AND (g.name = $3 OR EXISTS"
    " (SELECT 1 FROM identity_members o WHERE o.group_name = g.name AND o.member = $3))"
    " ORDER BY g.name LIMIT $2";

#endif
