// Groups and who works for them: group create, add, remove, weight, delete, list; worker move.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/worker_name.h"

#include "base/hex.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum { GROUPS_A_WORKER_MAX = 16 };

static void say_group(const void *said, const json_t *group, struct buffer *out)
{
    buffer_append_string(out, "group ");
    display_text(out, field_text(group, "name"));
    buffer_printf(out, " %s: weight %g, members:", (const char *)said,
                  json_number_value(json_object_get(group, "weight")));
    const json_t *members = json_object_get(group, "members");
    for (size_t i = 0; i < json_array_size(members); i++) {
        buffer_append_byte(out, ' ');
        display_text(out, json_text(json_array_get(members, i)));
    }
    buffer_append_string(out, json_array_size(members) == 0 ? " none\n" : "\n");
}

static int run_create(const struct command *command, const struct options *options)
{
    (void)command;
    AUTO_JSON json_t *body =
        json_pack("{s:o, s:f}", "name", json_from_text(text_of(options->operands[0])), "weight",
                  options_number(options, "weight", 1));
    return print_request(options, &(struct request){"POST", "/v1/groups", body}, say_group,
                         "is there");
}

static const struct command_option CREATE_OPTIONS[] = {
    {"weight", 'w', OPTION_NUMBER, "W", "its part beside other groups (default: 1)", NULL},
};

static const struct command_example CREATE_EXAMPLES[] = {
    {"lode group create physics --weight 2", "makes a group that gets twice what others get"},
};

const struct command COMMAND_GROUP_CREATE = {
    .name = "group create",
    .usage = "GROUP",
    .purpose = "makes a group that people and programs can work for",
    .description =
        "Everybody has a group of his own, which has his name and weight 1: jobs are for "
        "that one unless --group says another. A group of a person's name gives his own "
        "a weight, and lets others in.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(CREATE_OPTIONS),
    .examples = EXAMPLES(CREATE_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_create,
};

// One call for each member that the operands name.
static int change_members(const struct options *options, const char *method)
{
    struct error error;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *group = NULL;
    if (contact_open(options, &contact, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    for (size_t i = 1; i < options->operand_count; i++) {
        AUTO_BUFFER struct buffer member = {0};
        buffer_append_string(&member, "/members/");
        percent_append(&member, text_of(options->operands[i]));
        AUTO_FREE char *path = contact_path("groups", options->operands[0], member.bytes);
        json_decref(TAKE(group));
        if (contact_json(&contact, method, path, NULL, &group, &error) != OK) {
            return command_fail(&error, EXIT_FAILED);
        }
    }
    return print_answer(options, group, say_group, "has changed");
}

static int run_add(const struct command *command, const struct options *options)
{
    (void)command;
    return change_members(options, "PUT");
}

static const struct command_example ADD_EXAMPLES[] = {
    {"lode group add physics ada eve", "lets ada and eve submit jobs for the group physics"},
};

const struct command COMMAND_GROUP_ADD = {
    .name = "group add",
    .usage = "GROUP PRINCIPAL...",
    .purpose = "makes people or programs members of a group",
    .group = GROUP_SITE,
    .examples = EXAMPLES(ADD_EXAMPLES),
    .operands_min = 2,
    .operands_max = SIZE_MAX,
    .run = run_add,
};

static int run_remove(const struct command *command, const struct options *options)
{
    (void)command;
    return change_members(options, "DELETE");
}

static const struct command_example REMOVE_EXAMPLES[] = {
    {"lode group remove physics eve",
     "eve submits no more jobs for it; what she has submitted stays"},
};

const struct command COMMAND_GROUP_REMOVE = {
    .name = "group remove",
    .usage = "GROUP PRINCIPAL...",
    .purpose = "takes people or programs out of a group",
    .group = GROUP_SITE,
    .examples = EXAMPLES(REMOVE_EXAMPLES),
    .operands_min = 2,
    .operands_max = SIZE_MAX,
    .run = run_remove,
};

static int run_weight(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    char *end = NULL;
    double weight = strtod(options->operands[1], &end);
    if (end == options->operands[1] || *end || !(weight > 0)) {
        (void)error_set(&error, INVALID, "\"%.40s\" is not a weight", options->operands[1]);
        error_fix(&error, "a number above 0: 2 is twice the part of a group of weight 1");
        return command_fail(&error, EXIT_USAGE);
    }
    AUTO_JSON json_t *body = json_pack("{s:f}", "weight", weight);
    AUTO_FREE char *path = contact_path("groups", options->operands[0], "/weight");
    return print_request(options, &(struct request){"PUT", path, body}, say_group, "has changed");
}

static const struct command_example WEIGHT_EXAMPLES[] = {
    {"lode group weight physics 3", "gives it three times the part of a group of weight 1"},
};

const struct command COMMAND_GROUP_WEIGHT = {
    .name = "group weight",
    .usage = "GROUP WEIGHT",
    .purpose = "says how much of the site a group gets beside others",
    .description = "It takes effect at once: as leases are short, shares follow within seconds. "
                   "Nothing that runs is stopped.",
    .group = GROUP_SITE,
    .examples = EXAMPLES(WEIGHT_EXAMPLES),
    .operands_min = 2,
    .operands_max = 2,
    .run = run_weight,
};

static void say_deleted(const void *group, const json_t *answer, struct buffer *out)
{
    (void)answer;
    buffer_printf(out, "group %s is deleted\n", (const char *)group);
}

static int run_delete(const struct command *command, const struct options *options)
{
    (void)command;
    const char *group = options->operands[0];
    AUTO_FREE char *path = contact_path("groups", group, "");
    return print_request(options, &(struct request){"DELETE", path, NULL}, say_deleted, group);
}

static const struct command_example DELETE_EXAMPLES[] = {
    {"lode group delete physics", "deletes the group; its jobs go on with weight 1"},
};

const struct command COMMAND_GROUP_DELETE = {
    .name = "group delete",
    .usage = "GROUP",
    .purpose = "deletes a group",
    .group = GROUP_SITE,
    .examples = EXAMPLES(DELETE_EXAMPLES),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_delete,
};

static const struct table_column GROUP_COLUMNS[] = {
    {"GROUP", false, true}, {"WEIGHT", true, false}, {"MEMBERS", false, true}};

static enum status add_group(void *table, json_t *group, struct error *error)
{
    (void)error;
    AUTO_BUFFER struct buffer names = {0};
    const json_t *members = json_object_get(group, "members");
    for (size_t i = 0; i < json_array_size(members); i++) {
        buffer_append_string(&names, i > 0 ? ", " : "");
        buffer_append_text(&names, json_text(json_array_get(members, i)));
    }
    table_add(table, field_text(group, "name"));
    table_addf(table, "%g", json_number_value(json_object_get(group, "weight")));
    table_add(table, names.length > 0 ? buffer_text(&names) : TEXT("-"));
    return OK;
}

static int run_list(const struct command *command, const struct options *options)
{
    (void)command;
    return print_list(options, "/v1/groups", "groups", GROUP_COLUMNS,
                      sizeof GROUP_COLUMNS / sizeof GROUP_COLUMNS[0], add_group);
}

static const struct command_example LIST_EXAMPLES[] = {
    {"lode group list", "lists the groups that you belong to; administrators see all"},
};

const struct command COMMAND_GROUP_LIST = {
    .name = "group list",
    .usage = "",
    .purpose = "lists groups with their weights and members",
    .group = GROUP_SITE,
    .examples = EXAMPLES(LIST_EXAMPLES),
    .run = run_list,
};

static enum status read_groups(const struct options *options, json_t **out, struct error *error)
{
    const char *said = options->operand_count > 1 ? options->operands[1] : NULL;
    if ((said != NULL) == options_has(options, "all")) {
        (void)error_set(error, INVALID, "lode worker move: %s",
                        said ? "either groups or --all, not both" : "which groups?");
        error_fix(error, "lode worker move desk-2 physics,spare; or --all");
        return INVALID;
    }
    struct text rest = text_of(said ? said : "");
    struct text name;
    *out = json_array();
    while (rest.length > 0 && text_next_part(&rest, ',', &name)) {
        (void)json_array_append_new(*out, json_from_text(name));
    }
    if (json_array_size(*out) > GROUPS_A_WORKER_MAX) {
        return error_set(error, INVALID, "a worker works for at most %d groups",
                         (int)GROUPS_A_WORKER_MAX);
    }
    return OK;
}

struct moved {
    const char *worker; // As it was named.
    const char *groups;
};

static void say_moved(const void *context, const json_t *answer, struct buffer *out)
{
    (void)answer;
    const struct moved *moved = context;
    buffer_printf(out, "worker %s works for %s\n", moved->worker, moved->groups);
}

static int run_move(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    int64_t worker = 0;
    AUTO_CONTACT struct contact contact = {.interrupt_fd = -1};
    AUTO_JSON json_t *groups = NULL;
    AUTO_JSON json_t *answer = NULL;
    if (read_groups(options, &groups, &error) != OK) {
        return command_fail(&error, EXIT_USAGE);
    }
    if (contact_open(options, &contact, &error) != OK ||
        worker_named(&contact, options->operands[0], &worker, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    AUTO_FREE char *path = memory_format("/v1/workers/%lld/groups", (long long)worker);
    AUTO_JSON json_t *body = json_pack("{s:O}", "groups", groups);
    if (contact_json(&contact, "PUT", path, body, &answer, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    const struct moved moved = {options->operands[0],
                                options_has(options, "all") ? "all groups" : options->operands[1]};
    return print_answer(options, answer, say_moved, &moved);
}

static const struct command_option MOVE_OPTIONS[] = {
    {"all", 0, OPTION_FLAG, NULL, "it works for all groups, by their weights", NULL},
};

static const struct command_example MOVE_EXAMPLES[] = {
    {"lode worker move desk-2 physics,spare",
     "it takes tasks of physics first, and of spare while physics has none"},
    {"lode worker move 7 --all", "worker 7 works for all again"},
};

const struct command COMMAND_WORKER_MOVE = {
    .name = "worker move",
    .usage = "WORKER [GROUP[,GROUP...]]",
    .purpose = "has a worker work for other groups",
    .description =
        "It takes effect with the next lease, and the worker is not restarted: what it runs "
        "goes on. It holds when the worker registers again under its name, until it is "
        "moved again or started with other --groups. A group is one that \"lode group list\" has, "
        "or "
        "somebody's own.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(MOVE_OPTIONS),
    .examples = EXAMPLES(MOVE_EXAMPLES),
    .operands_min = 1,
    .operands_max = 2,
    .run = run_move,
};
