// An ordered tree that finds the first entry whose need fits into some room: a treap that knows, for each subtree, the least
// need in each dimension. Finding is O(log n) when needs are alike in their order (small in one thing, small in all), and
// never visits a subtree in which some dimension cannot fit. Nodes are embedded in what they stand for.
#ifndef LODE_JOBS_FIT_TREE_H
#define LODE_JOBS_FIT_TREE_H

#include "jobs/spec.h"

struct fit_key {
    double first;
    int64_t second;
    int64_t third;
};

struct fit_node {
    struct fit_node *parent;
    struct fit_node *left;
    struct fit_node *right;
    uint64_t weight; // Parents have the greater one.
    struct fit_key key;
    struct resources need;
    struct resources least; // Of the subtree, in each dimension.
    bool is_in;             // In a tree now.
};

struct fit_tree {
    struct fit_node *root;
    uint64_t
        inserted; // Count of all insertions: the source of the weights, so that a tree is the same in every run.
};

// Does it fit in every dimension, and has the room all labels?
static inline bool resources_fit(const struct resources *need, const struct resources *room)
{
    return need->cpu_millis <= room->cpu_millis && need->memory_bytes <= room->memory_bytes &&
           need->disk_bytes <= room->disk_bytes && need->gpus <= room->gpus &&
           (need->labels & ~room->labels) == 0 && need->software <= room->software;
}

int fit_key_compare(const struct fit_key *a, const struct fit_key *b);

// Puts a node with its key and need set into the tree; no equal key may be there.
void fit_tree_insert(struct fit_tree *tree, struct fit_node *node);
void fit_tree_remove(struct fit_tree *tree, struct fit_node *node);
// Changes the need of a node that is in a tree.
void fit_tree_set_need(struct fit_node *node, const struct resources *need);

// In the order of keys; NULL at the end.
struct fit_node *fit_tree_first(const struct fit_tree *tree);
struct fit_node *fit_node_next(const struct fit_node *node);
// The last node whose key is at most `key`, or NULL.
struct fit_node *fit_tree_floor(const struct fit_tree *tree, const struct fit_key *key);
// The first node that fits into the room, and the next one after a node.
struct fit_node *fit_tree_first_fit(const struct fit_tree *tree, const struct resources *room);
struct fit_node *fit_node_next_fit(const struct fit_node *node, const struct resources *room);

// Are keys, weights and least needs as they must be?
bool fit_tree_is_sound(const struct fit_tree *tree);

#endif
