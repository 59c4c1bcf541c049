// Groups: what people and programs work for. Between groups a site shares itself by their weights; members submit jobs for a group.
//
// Everybody has a group of his own, which has his name and needs no row here: a row of that name gives it a weight and lets others in.
// All functions run one statement or a few on the connection that they are given: reading ones on any, the others in a store_write.
#ifndef LODE_IDENTITY_GROUPS_H
#define LODE_IDENTITY_GROUPS_H

#include "store/sql.h"

enum {
    GROUP_NAME_MAX = 64,
    GROUP_WEIGHT_ONE = 1000, // Weights are kept in thousandths.
    GROUP_WEIGHT_MAX = 1000000,
};

struct group {
    char name[GROUP_NAME_MAX + 1];
    int64_t weight_millis;
    int64_t created_us;
    int64_t member_count;
};

// INVALID unless it can name a group or a member: 1 to GROUP_NAME_MAX letters, digits, ".", "_", "-", "@".
enum status group_check_name(struct text name, const char *what, struct error *error);

// INVALID for a bad name or weight (1 to GROUP_WEIGHT_MAX thousandths), CONFLICT when there is one of this name.
enum status groups_create(struct sql *sql, struct text name, int64_t weight_millis, int64_t now_us,
                          struct error *error);
// These: NOT_FOUND when there is no such group.
enum status groups_delete(struct sql *sql, struct text name, struct error *error);
enum status groups_set_weight(struct sql *sql, struct text name, int64_t weight_millis,
                              struct error *error);
// Who is a member already stays one.
enum status groups_add_member(struct sql *sql, struct text name, struct text member,
                              struct error *error);
// NOT_FOUND also when he is no member.
enum status groups_remove_member(struct sql *sql, struct text name, struct text member,
                                 struct error *error);
enum status groups_find(struct sql *sql, struct text name, struct group *out, struct error *error);

// Can somebody work for it? There is a group of that name, or somebody of that name who has, or had, a token, or is a member somewhere: his own. NOT_FOUND
// says which groups there are.
enum status groups_check(struct sql *sql, struct text name, struct error *error);

// Whether he may work for it: his own, or he is a member. NOT_FOUND as above, but for his own.
enum status groups_is_member(struct sql *sql, struct text name, struct text member, bool *out,
                             struct error *error);

// Visits groups in order of name, those behind `after` (empty: all), at most `count_max`; `member` (empty: any) limits them to his.
struct group_filter {
    struct text member;
    struct text after;
    int64_t count_max;
};
typedef void group_visit_fn(void *context, const struct group *group);
enum status groups_list(struct sql *sql, const struct group_filter *filter, group_visit_fn *visit,
                        void *context, struct error *error);
// Visits the members of a group in order of name.
enum status groups_members(struct sql *sql, struct text name,
                           void (*visit)(void *context, struct text member), void *context,
                           struct error *error);

#endif
