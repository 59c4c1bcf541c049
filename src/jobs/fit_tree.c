#include "jobs/fit_tree.h"

#include <assert.h>

int fit_key_compare(const struct fit_key *a, const struct fit_key *b)
{
    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    if (a->second != b->second) {
        return a->second < b->second ? -1 : 1;
    }
    return (a->third > b->third) - (a->third < b->third);
}

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static struct resources least_of(const struct fit_node *node)
{
    struct resources least = node->need;
    const struct fit_node *children[] = {node->left, node->right};
    for (size_t i = 0; i < 2; i++) {
        if (children[i]) {
            const struct resources *each = &children[i]->least;
            least.cpu_millis = lesser(least.cpu_millis, each->cpu_millis);
            least.memory_bytes = lesser(least.memory_bytes, each->memory_bytes);
            least.disk_bytes = lesser(least.disk_bytes, each->disk_bytes);
            least.gpus = lesser(least.gpus, each->gpus);
            least.labels &= each->labels;
            least.software = lesser(least.software, each->software);
        }
    }
    return least;
}

static bool resources_equal(const struct resources *a, const struct resources *b)
{
    return a->cpu_millis == b->cpu_millis && a->memory_bytes == b->memory_bytes &&
           a->disk_bytes == b->disk_bytes && a->gpus == b->gpus && a->labels == b->labels &&
           a->software == b->software;
}

// Corrects the least needs from `node` up, as far as they change.
static void update_upwards(struct fit_node *node)
{
    for (; node; node = node->parent) {
        struct resources least = least_of(node);
        if (resources_equal(&least, &node->least)) {
            return;
        }
        node->least = least;
    }
}

static struct fit_node **place_of(struct fit_tree *tree, const struct fit_node *node)
{
    if (!node->parent) {
        return &tree->root;
    }
    return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

// Puts `node` where its parent is and the parent below it.
static void rotate_up(struct fit_tree *tree, struct fit_node *node)
{
    struct fit_node *parent = node->parent;
    *place_of(tree, parent) = node;
    node->parent = parent->parent;
    parent->parent = node;
    struct fit_node *middle;
    if (parent->left == node) {
        middle = node->right;
        parent->left = middle;
        node->right = parent;
    } else {
        middle = node->left;
        parent->right = middle;
        node->left = parent;
    }
    if (middle) {
        middle->parent = parent;
    }
    node->least = parent->least;
    parent->least = least_of(parent);
}

// A fixed scrambling of the count (splitmix64): weights need to look random, not to be secret.
static uint64_t next_weight(struct fit_tree *tree)
{
    uint64_t mixed = ++tree->inserted * 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

void fit_tree_insert(struct fit_tree *tree, struct fit_node *node)
{
    assert(!node->is_in);
    struct fit_node *parent = NULL;
    struct fit_node **place = &tree->root;
    while (*place) {
        parent = *place;
        place = fit_key_compare(&node->key, &parent->key) < 0 ? &parent->left : &parent->right;
    }
    *place = node;
    node->parent = parent;
    node->left = NULL;
    node->right = NULL;
    node->weight = next_weight(tree);
    node->least = node->need;
    node->is_in = true;
    update_upwards(parent);
    while (node->parent && node->parent->weight < node->weight) {
        rotate_up(tree, node);
    }
}

void fit_tree_remove(struct fit_tree *tree, struct fit_node *node)
{
    assert(node->is_in);
    while (node->left && node->right) {
        rotate_up(tree, node->left->weight > node->right->weight ? node->left : node->right);
    }
    struct fit_node *child = node->left ? node->left : node->right;
    *place_of(tree, node) = child;
    if (child) {
        child->parent = node->parent;
    }
    node->is_in = false;
    // Rotations kept the removed need in the least needs of its ancestors: correct all of them.
    for (struct fit_node *at = node->parent; at; at = at->parent) {
        at->least = least_of(at);
    }
}

void fit_tree_set_need(struct fit_node *node, const struct resources *need)
{
    node->need = *need;
    update_upwards(node);
}

struct fit_node *fit_tree_first(const struct fit_tree *tree)
{
    struct fit_node *node = tree->root;
    while (node && node->left) {
        node = node->left;
    }
    return node;
}

struct fit_node *fit_node_next(const struct fit_node *node)
{
    if (node->right) {
        struct fit_node *next = node->right;
        while (next->left) {
            next = next->left;
        }
        return next;
    }
    while (node->parent && node == node->parent->right) {
        node = node->parent;
    }
    return node->parent;
}

struct fit_node *fit_tree_floor(const struct fit_tree *tree, const struct fit_key *key)
{
    struct fit_node *found = NULL;
    struct fit_node *node = tree->root;
    while (node) {
        if (fit_key_compare(&node->key, key) <= 0) {
            found = node;
            node = node->right;
        } else {
            node = node->left;
        }
    }
    return found;
}

static bool may_fit(const struct fit_node *node, const struct resources *room)
{
    return node && resources_fit(&node->least, room);
}

// The leftmost node of a subtree that is worth looking at.
static struct fit_node *descend(struct fit_node *node, const struct resources *room)
{
    while (may_fit(node->left, room)) {
        node = node->left;
    }
    return node;
}

// The next node after `node` that is worth looking at.
static struct fit_node *advance(const struct fit_node *node, const struct resources *room)
{
    if (may_fit(node->right, room)) {
        return descend(node->right, room);
    }
    while (node->parent && node == node->parent->right) {
        node = node->parent;
    }
    return node->parent;
}

struct fit_node *fit_tree_first_fit(const struct fit_tree *tree, const struct resources *room)
{
    if (!may_fit(tree->root, room)) {
        return NULL;
    }
    struct fit_node *node = descend(tree->root, room);
    return resources_fit(&node->need, room) ? node : fit_node_next_fit(node, room);
}

struct fit_node *fit_node_next_fit(const struct fit_node *node, const struct resources *room)
{
    struct fit_node *next = advance(node, room);
    while (next && !resources_fit(&next->need, room)) {
        next = advance(next, room);
    }
    return next;
}

bool fit_tree_is_sound(const struct fit_tree *tree)
{
    for (struct fit_node *node = fit_tree_first(tree); node; node = fit_node_next(node)) {
        struct resources least = least_of(node);
        const struct fit_node *next = fit_node_next(node);
        if (!node->is_in || !resources_equal(&least, &node->least) ||
            (next && fit_key_compare(&node->key, &next->key) >= 0) ||
            (node->parent && node->parent->weight < node->weight)) {
            return false;
        }
    }
    return true;
}
