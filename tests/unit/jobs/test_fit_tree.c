#include "../cmocka_all.h"

#include "jobs/fit_tree.h"

#include <stdlib.h>

enum { SIZE = 300, STEPS = 20000 };

static int64_t below(unsigned *seed, int64_t end)
{
    return rand_r(seed) % end;
}

// The node in `nodes` (of those that are in) with the least key above `after` that fits.
static struct fit_node *plain_next_fit(struct fit_node *nodes, const struct fit_key *after,
                                       const struct resources *room)
{
    struct fit_node *best = NULL;
    for (size_t i = 0; i < SIZE; i++) {
        struct fit_node *node = &nodes[i];
        if (node->is_in && resources_fit(&node->need, room) &&
            (!after || fit_key_compare(&node->key, after) > 0) &&
            (!best || fit_key_compare(&node->key, &best->key) < 0)) {
            best = node;
        }
    }
    return best;
}

static struct resources some_resources(unsigned *seed)
{
    return (struct resources){.cpu_millis = below(seed, 20),
                              .memory_bytes = below(seed, 20),
                              .disk_bytes = below(seed, 20),
                              .gpus = below(seed, 4),
                              .labels = (uint64_t)(below(seed, 8) & below(seed, 8)),
                              .software = below(seed, 3)};
}

static void it_finds_what_a_plain_search_finds_under_random_changes(void **state)
{
    (void)state;
    static struct fit_node nodes[SIZE];
    struct fit_tree tree = {0};
    unsigned seed = 11;
    for (int step = 0; step < STEPS; step++) {
        struct fit_node *node = &nodes[below(&seed, SIZE)];
        struct resources need = some_resources(&seed);
        if (!node->is_in) {
            node->key = (struct fit_key){(double)below(&seed, 5), below(&seed, 5), node - nodes};
            node->need = need;
            fit_tree_insert(&tree, node);
        } else if (below(&seed, 3) == 0) {
            fit_tree_set_need(node, &need);
        } else {
            fit_tree_remove(&tree, node);
        }
        struct resources room = some_resources(&seed);
        room.labels |= (uint64_t)below(&seed, 8); // A room has more of them than is asked for.
        struct fit_node *found = fit_tree_first_fit(&tree, &room);
        assert_ptr_equal(found, plain_next_fit(nodes, NULL, &room));
        while (found && below(&seed, 4) > 0) {
            struct fit_node *next = fit_node_next_fit(found, &room);
            assert_ptr_equal(next, plain_next_fit(nodes, &found->key, &room));
            found = next;
        }
        if (step % 100 == 0) {
            assert_true(fit_tree_is_sound(&tree));
        }
    }
}

static void floor_finds_the_last_key_at_or_before(void **state)
{
    (void)state;
    struct fit_node nodes[10] = {0};
    struct fit_tree tree = {0};
    for (int i = 0; i < 10; i++) {
        nodes[i].key.second = 10 * i;
        fit_tree_insert(&tree, &nodes[i]);
    }
    struct fit_key key = {.second = -1};
    assert_null(fit_tree_floor(&tree, &key));
    key.second = 39;
    assert_ptr_equal(fit_tree_floor(&tree, &key), &nodes[3]);
    key.second = 40;
    assert_ptr_equal(fit_tree_floor(&tree, &key), &nodes[4]);
    key.second = 1000;
    assert_ptr_equal(fit_tree_floor(&tree, &key), &nodes[9]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_a_plain_search_finds_under_random_changes),
        cmocka_unit_test(floor_finds_the_last_key_at_or_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
