/* include/spate/spate.h over lib/node: a core opens, is driven, and closes. */
#include "core_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/rcu.h"

/* A number that no earlier life of this or another core has had. Never 0. */
static spate_err draw(uint64_t *ret_number)
{
    uint64_t number = 0;

    while (number == 0) {
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number && errno != EINTR) {
            return SPATE_ERR_UNSUPPORTED;
        }
    }
    *ret_number = number;
    return SPATE_OK;
}

static void wake_node(struct spate_waker *waker)
{
    const struct spate_node_waker *self = (const struct spate_node_waker *)waker;
    struct spate_link *link =
        atomic_load_explicit(&self->spate->link_to_wake, memory_order_acquire);

    if (link != NULL) {
        spate_link_wake(link);
    }
}

static spate_err open_link(struct spate *spate, const struct spate_options *options,
                           const struct spate_address addresses[], uint64_t session,
                           const struct spate_message_line *line, struct spate_link **ret_link)
{
    struct spate_link_options link = {
        .self = options->id,
        .session = session,
        .insecure_peers = (enum spate_insecure_peers)options->insecure_peers,
        .net_is_local = spate_core_dpdk_is_local(options),
    };

    memcpy(link.cluster_id, options->cluster_id, sizeof link.cluster_id);
    for (uint32_t i = 0; i < options->member_count; i++) {
        if (options->members[i].id == options->id) {
            link.own_address = addresses[i];
            continue;
        }
        link.peers[link.peer_count].id = options->members[i].id;
        link.peers[link.peer_count].address = addresses[i];
        link.peer_count++;
    }
    spate_err err = spate_core_open_net(spate, options, addresses, line, &link.net);
    if (err != SPATE_OK) {
        return err;
    }
    spate->net = link.net;
    err = spate_link_create(&link, ret_link);
    if (err != SPATE_OK) {
        return spate_explain(line, err, "the link to the members cannot be made: %s",
                             spate_err_text(err));
    }
    atomic_store_explicit(&spate->link_to_wake, *ret_link, memory_order_release);
    return SPATE_OK;
}

/* The engine wants ids ascending; the caller may name members in any order. */
static void fill_membership(const struct spate_options *options,
                            const struct spate_address addresses[],
                            struct spate_membership *members)
{
    members->count = 0;
    /* A core that joins hears from the leader who the members are. */
    for (uint32_t i = 0; i < options->member_count && !options->is_joining; i++) {
        uint32_t at = members->count;

        for (; at > 0 && members->members[at - 1].id > options->members[i].id; at--) {
            members->members[at] = members->members[at - 1];
        }
        members->members[at] =
            (struct spate_member){.id = options->members[i].id, .is_voter = true, .incarnation = 1};
        spate_address_format(&addresses[i], members->members[at].address);
        members->count++;
    }
}

/* `damage`: what the store found damaged; "": nothing. */
static spate_err explain_node(const struct spate_options *options, spate_err err,
                              const char *damage, const struct spate_message_line *line)
{
    if (damage[0] != '\0' && err == SPATE_OK) {
        return spate_explain(
            line, err,
            "%s; it was given up with all behind it, and is fetched from the other "
            "members: until then this core does not vote. Look at the disk",
            damage);
    }
    if (damage[0] != '\0' && err == SPATE_ERR_CORRUPT) {
        return spate_explain(line, err,
                             "%s, and no other member can make up for it; nothing was changed. "
                             "Keep a copy for examination, and bring this core back as a new "
                             "member, or from a snapshot",
                             damage);
    }
    if (err == SPATE_OK) {
        return err;
    }
    if (err == SPATE_ERR_CORRUPT) {
        return spate_explain(
            line, err,
            "%s: a stored record fails its check; nothing was changed. Restore the "
            "directory, or start this core anew under another id",
            options->directory != NULL ? options->directory : "store");
    }
    if (err == SPATE_ERR_COMPACTED) {
        return spate_explain(line, err,
                             "%s: the log begins behind the newest snapshot, so entries are "
                             "missing in between; restore the directory as a whole, or bring this "
                             "core back as a new member from the others",
                             options->directory != NULL ? options->directory : "store");
    }
    if (err == SPATE_ERR_MISMATCH) {
        return spate_explain(line, err,
                             "the state machine has applied more than %s holds: it belongs to "
                             "another directory",
                             options->directory != NULL ? options->directory : "the log");
    }
    return spate_explain(line, err, "the core cannot be made: %s", spate_err_text(err));
}

static spate_err open_node(struct spate *spate, const struct spate_options *options,
                           const struct spate_address addresses[],
                           const struct spate_message_line *line)
{
    struct spate_node_options node = {
        .self = options->id,
        .incarnation = spate->incarnation,
        .clock = spate->clock,
        /* Without an apply thread the node's is the only one that reads the log. */
        .reclaim = options->apply_is_threaded ? spate_rcu_reclaim() : spate_reclaim_immediate(),
        .fsm = options->fsm,
        .log_budget_bytes = options->log_budget_bytes,
        .election_timeout_ns_min = options->election_timeout_ns_min,
        .election_timeout_ns_max = options->election_timeout_ns_max,
        .heartbeat_ns = options->heartbeat_ns,
        .sample_every = options->sample_every,
        .snapshot_entries = options->snapshot_entries,
        .snapshot_bytes = options->snapshot_bytes,
        .snapshot_keep_entries = options->snapshot_keep_entries,
        .lease_enabled = options->lease_enabled,
        .apply_is_threaded = options->apply_is_threaded,
        .apply_waker = &spate->apply_waker.waker,
    };
    char damage[512] = "";

    fill_membership(options, addresses, &node.membership);
    if (draw(&node.session) || draw(&node.seed)) {
        return spate_explain(line, SPATE_ERR_UNSUPPORTED, "the kernel gives no random numbers");
    }
    /* The store comes last: a core that cannot have its address writes nothing. */
    spate_err err = open_link(spate, options, addresses, node.session, line, &node.link);
    if (err != SPATE_OK) {
        return err;
    }
    err = spate_core_open_store(spate, options, line, &node.store);
    if (err != SPATE_OK) {
        spate_link_destroy(node.link);
        return err;
    }
    if (options->fsm->save_begin != NULL) {
        err = spate_core_open_snapshots(spate, options, line, &node.snapshots);
        if (err != SPATE_OK) {
            spate_link_destroy(node.link);
            node.store->ops->close(node.store);
            return err;
        }
    }
    if (node.store->damage != NULL) { /* The store goes with the node if that cannot be made. */
        (void)snprintf(damage, sizeof damage, "%s", node.store->damage);
    }
    err = spate_node_create(&node, &spate->node);
    return explain_node(options, err, damage, line);
}

/* Everything but the node and its drivers. NULL: out of memory. */
static struct spate *make_core(const struct spate_options *options)
{
    const bool is_dpdk = options->transport == SPATE_TRANSPORT_DPDK;
    struct spate *spate = calloc(1, sizeof *spate);
    char *device = strdup(is_dpdk ? options->dpdk.device : "");

    if (spate == NULL || device == NULL) {
        free(spate);
        free(device);
        return NULL;
    }
    spate->clock = spate_core_open_clock();
    spate->device = device;
    spate->poll = options->poll;
    spate->is_insecure =
        options->member_count > 1 || options->insecure_peers != SPATE_INSECURE_REFUSED;
    spate->insecure_peers = options->insecure_peers;
    spate->net_is_local = spate_core_dpdk_is_local(options);
    spate->incarnation = options->incarnation == 0 ? 1 : options->incarnation;
    spate->is_loopback_only = options->durability == SPATE_DURABILITY_DISK &&
                              spate_recover_is_unfinished(options->directory);
    spate->spin_ns = options->spin_ns;
    spate->cpu = options->cpu;
    spate->apply_is_threaded = options->apply_is_threaded;
    spate->id = options->id;
    spate->store_waker = (struct spate_node_waker){.waker = {.wake = wake_node}, .spate = spate};
    spate->apply_waker.fd = -1;
    return spate;
}

static void destroy_core(struct spate *spate)
{
    spate_eventfd_waker_close(&spate->apply_waker);
    spate_core_close_clock(spate->clock);
    free(spate->device);
    free(spate);
}

spate_err spate_open(const struct spate_options *options, struct spate **ret_spate, char *message,
                     size_t message_bytes)
{
    const struct spate_message_line line = {.text = message, .bytes = message_bytes};
    struct spate_address addresses[SPATE_MEMBERS_MAX];

    (void)spate_explain(&line, SPATE_OK, "%s", "");
    if (options == NULL || ret_spate == NULL) {
        return spate_explain(&line, SPATE_ERR_INVALID, "no options were given");
    }
    struct spate_options complete = *options;
    spate_err err = spate_options_complete(&complete, addresses, &line);
    if (err != SPATE_OK) {
        return err;
    }
    struct spate *spate = make_core(&complete);
    if (spate == NULL) {
        return spate_explain(&line, SPATE_ERR_NO_MEMORY, "out of memory");
    }
    err = spate_eventfd_waker_open(&spate->apply_waker);
    if (err == SPATE_OK) {
        err = open_node(spate, &complete, addresses, &line);
    } else {
        (void)spate_explain(&line, err, "no descriptor is free: raise ulimit -n");
    }
    if (err != SPATE_OK) {
        destroy_core(spate);
        return err;
    }
    *ret_spate = spate;
    return SPATE_OK;
}

void spate_close(struct spate *spate)
{
    if (spate == NULL) {
        return;
    }
    spate_core_stop(spate);
    if (spate->apply_is_threaded) {
        spate_rcu_barrier();
    }
    spate_node_destroy(spate->node);
    for (uint32_t i = 0; i < spate->port_count; i++) {
        spate_eventfd_waker_close(&spate->port_wakers[i]);
    }
    destroy_core(spate);
}

spate_err spate_poll(struct spate *spate, uint32_t *ret_work)
{
    if (spate == NULL || spate->node_runs || spate->apply_is_threaded) {
        return SPATE_ERR_INVALID;
    }
    spate->is_polled = true;
    const spate_err err = spate_node_poll(spate->node, ret_work);
    if (err != SPATE_OK) {
        atomic_store_explicit(&spate->failure, (int)err, memory_order_release);
    }
    return err;
}

void spate_wait(struct spate *spate)
{
    if (spate->is_polled) {
        spate_node_wait(spate->node);
    }
}

spate_err spate_health(const struct spate *spate)
{
    return (spate_err)atomic_load_explicit(&spate->failure, memory_order_acquire);
}

const char *spate_version(void)
{
    return SPATE_VERSION;
}
