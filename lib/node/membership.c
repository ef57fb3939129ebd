/*
 * Which membership is in force where the log in memory begins: that of the configuration or of the
 * snapshot that the store goes on from, unless an entry in between is one. The engine looks through
 * the log in memory by itself.
 */
#include "node_internal.h"

#include "base/assert.h"

spate_err spate_node_find_membership(struct spate_node *node, spate_index first, spate_index after)
{
    struct spate_node_options *options = &node->options;
    struct spate_configs configs;

    spate_assert(options->membership_index < first);
    spate_configs_begin(&configs, options->membership_index, &options->membership);
    while (first < after) {
        struct spate_log_span span;
        const spate_err err =
            node->store->ops->read(node->store, first, SPATE_NODE_READ_BYTES, &span);

        if (err != SPATE_OK) {
            return err;
        }
        spate_assert(span.first == first);
        spate_assert(span.count >= 1);
        (void)spate_configs_take(&configs, &span);
        first += span.count;
    }
    options->membership = configs.now;
    options->membership_index = configs.index;
    return SPATE_OK;
}
