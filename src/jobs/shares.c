// Which group comes first: by what it runs for its weight, and by what that was of late.
//
// With few slots what groups run cannot be as their weights: of two slots one of weight 9 has at most nine tenths by turns. So each group that waits has an account of
// what it has had (its share over the time), and the place one of what a group with its share has had, the level. The order is by the sum of a group's share now and its
// account, which differs from the level by a task's at most: nobody is given more for what was long ago. A group whose share is some tasks has no need of turns, and its account is the level. An account that is not looked at is too low if anything, so it is
// enough to look again at the first in order (place_settle).
#include "jobs/state.h"

#include <math.h>

enum {
    SETTLED_AT_ONCE = 32,
    TURNS_TASKS_MAX = 2, // A group takes turns while its share is less than so many tasks.
};
#define ACCOUNT_US 1e6 // The account counts as a share would for so long.

static double part_of(double part, double whole)
{
    return whole > 0 ? part / whole : part;
}

double load_share(const struct group_state *group, const struct load *load)
{
    const struct load *whole = &group->place->keyed;
    double share = part_of(load->cpu_millis, whole->cpu_millis);
    double memory = part_of(load->memory_bytes, whole->memory_bytes);
    double disk = part_of(load->disk_bytes, whole->disk_bytes);
    share = memory > share ? memory : share;
    share = disk > share ? disk : share;
    return share / group->weight;
}

double group_share(const struct group_state *group)
{
    return load_share(group, &group->running);
}

static double level_now(struct place_state *place)
{
    int64_t now_us = place->scheduler->now_us;
    if (place->ready_weight > 0) {
        double seconds = (double)(now_us - place->level_us) / ACCOUNT_US;
        place->level += place->ready_share / place->ready_weight * seconds;
    }
    place->level_us = now_us;
    return place->level;
}

static void count_ready(struct group_state *group, double share, double weight)
{
    group->place->ready_share += share - group->counted_share;
    group->place->ready_weight += weight - group->counted_weight;
    group->counted_share = share;
    group->counted_weight = weight;
}

// Brings its account up to now; what it runs from now on is `share`.
static void keep_account(struct group_state *group, const struct resources *least, double share)
{
    double level = level_now(group->place);
    int64_t now_us = group->place->scheduler->now_us;
    struct load one = {0};
    load_add(&one, least, 1);
    double task = load_share(group, &one);
    double fair =
        group->place->ready_weight > 0 ? group->place->ready_share / group->place->ready_weight : 0;
    double most = fair < TURNS_TASKS_MAX * task ? task : 0;
    if (!group->node.is_in) {
        group->had = level; // It has waited for nothing until now.
        group->had_us = now_us;
    }
    group->had += group->share * (double)(now_us - group->had_us) / ACCOUNT_US;
    group->had = fmin(fmax(group->had, level - most), level + most);
    group->had_us = now_us;
    group->share = share;
    count_ready(group, share * group->weight, group->weight);
}

void group_refresh(struct group_state *group)
{
    const struct fit_node *jobs = group->ready.root;
    struct fit_tree *tree = &group->place->groups_ready;
    if (!jobs) {
        (void)level_now(group->place);
        count_ready(group, 0, 0);
        group->looked_us = 0;
        if (group->node.is_in) {
            fit_tree_remove(tree, &group->node);
        }
        return;
    }
    keep_account(group, &jobs->least, group_share(group));
    struct fit_key key = {group->share + group->had, group->served, group->id};
    if (group->node.is_in && fit_key_compare(&key, &group->node.key) != 0) {
        fit_tree_remove(tree, &group->node);
    }
    if (group->node.is_in) {
        fit_tree_set_need(&group->node, &jobs->least);
        return;
    }
    group->node.key = key;
    group->node.need = jobs->least;
    fit_tree_insert(tree, &group->node);
}

void place_settle(struct place_state *place)
{
    for (int i = 0; i < SETTLED_AT_ONCE && place->groups_ready.root; i++) {
        struct fit_node *first = fit_tree_first(&place->groups_ready);
        group_refresh((struct group_state *)first);
        if (fit_tree_first(&place->groups_ready) == first) {
            return;
        }
    }
}

static bool has_moved(double now, double then)
{
    return now > then * 1.125 || now < then * 0.875;
}

void place_follow_total(struct place_state *place)
{
    const struct load *now = &place->total;
    const struct load *then = &place->keyed;
    if (!has_moved(now->cpu_millis, then->cpu_millis) &&
        !has_moved(now->memory_bytes, then->memory_bytes) &&
        !has_moved(now->disk_bytes, then->disk_bytes)) {
        return;
    }
    place->keyed = place->total;
    size_t at = 0;
    for (struct group_state *group; (group = map_next(place->groups, &at));) {
        group_refresh(group);
    }
}
