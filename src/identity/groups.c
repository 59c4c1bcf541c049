#include "identity/groups.h"

#include "identity/groups_sql.h"

#include "base/buffer.h"

#include <stdio.h>

enum {
    COUNT_ALL = 1 << 30,
    GROUPS_SAID_MAX = 5, // In a refusal.
};

enum status group_check_name(struct text name, const char *what, struct error *error)
{
    bool is_good = name.length > 0 && name.length <= GROUP_NAME_MAX;
    for (size_t i = 0; i < name.length && is_good; i++) {
        char byte = name.bytes[i];
        is_good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                  (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-' ||
                  byte == '@';
    }
    if (!is_good) {
        (void)error_set(error, INVALID, "%s \"%.*s\" is not a name", what,
                        TEXT_ARGS(text_slice(name, 0, GROUP_NAME_MAX)));
        error_fix(error, "use 1 to %d letters, digits and \".\", \"_\", \"-\", \"@\"",
                  (int)GROUP_NAME_MAX);
        return INVALID;
    }
    return OK;
}

static enum status check_weight(int64_t weight_millis, struct error *error)
{
    if (weight_millis < 1 || weight_millis > GROUP_WEIGHT_MAX) {
        (void)error_set(error, INVALID, "a group's weight is from 0.001 to %d",
                        GROUP_WEIGHT_MAX / GROUP_WEIGHT_ONE);
        error_fix(error, "1 is that of a group of which nothing is said; 2 is twice as much");
        return INVALID;
    }
    return OK;
}

static enum status no_group(struct text name, struct error *error)
{
    (void)error_set(error, NOT_FOUND, "there is no group \"%.*s\"",
                    TEXT_ARGS(text_slice(name, 0, GROUP_NAME_MAX)));
    error_fix(error, "`lode group list` shows those that there are");
    return NOT_FOUND;
}

enum status groups_create(struct sql *sql, struct text name, int64_t weight_millis, int64_t now_us,
                          struct error *error)
{
    int64_t changed = 0;
    TRY(group_check_name(name, "the group's name", error));
    TRY(check_weight(weight_millis, error));
    TRY(sql_run(sql, SQL_GROUP_ADD,
                SQL_VALUES(sql_text(name), sql_int64(weight_millis), sql_int64(now_us)), &changed,
                error));
    if (changed == 0) {
        (void)error_set(error, CONFLICT, "there is a group \"%.*s\" already", TEXT_ARGS(name));
        error_fix(error, "`lode group list` shows it; `lode group add` adds members, `lode group "
                         "weight` changes its share");
        return CONFLICT;
    }
    return OK;
}

enum status groups_delete(struct sql *sql, struct text name, struct error *error)
{
    int64_t changed = 0;
    TRY(sql_run(sql, SQL_GROUP_DELETE_MEMBERS, SQL_VALUES(sql_text(name)), NULL, error));
    TRY(sql_run(sql, SQL_GROUP_DELETE, SQL_VALUES(sql_text(name)), &changed, error));
    return changed > 0 ? OK : no_group(name, error);
}

enum status groups_set_weight(struct sql *sql, struct text name, int64_t weight_millis,
                              struct error *error)
{
    int64_t changed = 0;
    TRY(check_weight(weight_millis, error));
    TRY(sql_run(sql, SQL_GROUP_WEIGHT, SQL_VALUES(sql_text(name), sql_int64(weight_millis)),
                &changed, error));
    return changed > 0 ? OK : no_group(name, error);
}

static void group_of_row(const struct sql_rows *rows, struct group *out)
{
    *out = (struct group){
        .weight_millis = sql_column_int64(rows, 1),
        .created_us = sql_column_int64(rows, 2),
        .member_count = sql_column_int64(rows, 3),
    };
    (void)snprintf(out->name, sizeof out->name, "%.*s", TEXT_ARGS(sql_column_text(rows, 0)));
}

enum status groups_find(struct sql *sql, struct text name, struct group *out, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    enum status status = sql_first(sql, SQL_GROUP_FIND, SQL_VALUES(sql_text(name)), &rows, error);
    if (status == NOT_FOUND) {
        return no_group(name, error);
    }
    TRY(status);
    group_of_row(rows, out);
    return OK;
}

enum status groups_add_member(struct sql *sql, struct text name, struct text member,
                              struct error *error)
{
    struct group group;
    TRY(group_check_name(member, "the member's name", error));
    TRY(groups_find(sql, name, &group, error));
    return sql_run(sql, SQL_MEMBER_ADD, SQL_VALUES(sql_text(name), sql_text(member)), NULL, error);
}

enum status groups_remove_member(struct sql *sql, struct text name, struct text member,
                                 struct error *error)
{
    struct group group;
    int64_t changed = 0;
    TRY(groups_find(sql, name, &group, error));
    TRY(sql_run(sql, SQL_MEMBER_REMOVE, SQL_VALUES(sql_text(name), sql_text(member)), &changed,
                error));
    if (changed == 0) {
        (void)error_set(error, NOT_FOUND, "\"%.*s\" is not a member of group \"%s\"",
                        TEXT_ARGS(text_slice(member, 0, GROUP_NAME_MAX)), group.name);
        error_fix(error, "`lode group list` shows the members of each");
        return NOT_FOUND;
    }
    return OK;
}

static void say_name(void *context, const struct group *group)
{
    struct buffer *names = context;
    buffer_printf(names, "%s%s", names->length > 0 ? ", " : "", group->name);
}

enum status groups_check(struct sql *sql, struct text name, struct error *error)
{
    AUTO_ROWS struct sql_rows *rows = NULL;
    AUTO_BUFFER struct buffer names = {0};
    const struct group_filter first = {.count_max = GROUPS_SAID_MAX};
    enum status status =
        sql_first(sql, SQL_GROUP_IS_KNOWN, SQL_VALUES(sql_text(name)), &rows, error);
    if (status != NOT_FOUND) {
        return status;
    }
    TRY(groups_list(sql, &first, say_name, &names, error));
    (void)error_set(error, NOT_FOUND, "there is no group \"%.*s\", and nobody of that name",
                    TEXT_ARGS(text_slice(name, 0, GROUP_NAME_MAX)));
    if (names.length > 0) {
        error_fix(error, "there are: %s (lode group list has all); lode group create makes one",
                  names.bytes);
    } else {
        error_fix(error, "there are no groups yet; lode group create makes one");
    }
    return NOT_FOUND;
}

enum status groups_is_member(struct sql *sql, struct text name, struct text member, bool *out,
                             struct error *error)
{
    struct group group;
    AUTO_ROWS struct sql_rows *rows = NULL;
    if (text_equal(name, member)) {
        *out = true;
        return OK;
    }
    TRY(groups_find(sql, name, &group, error));
    enum status status =
        sql_first(sql, SQL_MEMBER_FIND, SQL_VALUES(sql_text(name), sql_text(member)), &rows, error);
    *out = status == OK;
    return status == NOT_FOUND ? OK : status;
}

enum status groups_list(struct sql *sql, const struct group_filter *filter, group_visit_fn *visit,
                        void *context, struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    struct sql_value after = sql_text(filter->after);
    struct sql_value limit = sql_int64(filter->count_max > 0 ? filter->count_max : COUNT_ALL);
    if (filter->member.length > 0) {
        TRY(sql_query(sql, SQL_GROUP_LIST_OF, SQL_VALUES(after, limit, sql_text(filter->member)),
                      &rows, error));
    } else {
        TRY(sql_query(sql, SQL_GROUP_LIST, SQL_VALUES(after, limit), &rows, error));
    }
    while (sql_next(rows, &status, error)) {
        struct group group;
        group_of_row(rows, &group);
        visit(context, &group);
    }
    return status;
}

enum status groups_members(struct sql *sql, struct text name,
                           void (*visit)(void *context, struct text member), void *context,
                           struct error *error)
{
    enum status status = OK;
    AUTO_ROWS struct sql_rows *rows = NULL;
    TRY(sql_query(sql, SQL_MEMBERS_OF, SQL_VALUES(sql_text(name)), &rows, error));
    while (sql_next(rows, &status, error)) {
        visit(context, sql_column_text(rows, 0));
    }
    return status;
}
