/* Which drivers a core runs on: the only place that names them. */
#include "data_internal.h"

#include <stdio.h>

#include "clock/monotonic.h"
#include "net/dpdk/dpdk.h"
#include "net/socket/socket.h"
#include "store/files/files.h"
#include "store/lmdb/lmdb.h"
#include "store/mem/mem.h"
#include "store/mem/snapshots.h"
#include "store/wal/wal.h"

struct spate_clock *spate_core_open_clock(void)
{
    return spate_clock_fast_create();
}

void spate_core_close_clock(struct spate_clock *clock)
{
    spate_clock_fast_destroy(clock);
}

static spate_err explain_socket(const struct spate_message_line *line, spate_err err,
                                const struct spate_address *address)
{
    char text[SPATE_ADDRESS_TEXT_BYTES];

    spate_address_format(address, text);
    if (err == SPATE_ERR_IN_USE) {
        return spate_explain(
            line, err,
            "%s/udp is in use: is another core running? Stop it, or choose another "
            "port",
            text);
    }
    if (err == SPATE_ERR_PERMISSION) {
        return spate_explain(line, err,
                             "%s/udp: permission denied; ports below 1024 are root's, choose "
                             "another",
                             text);
    }
    if (err == SPATE_ERR_INVALID) {
        return spate_explain(line, err,
                             "%s is not an address of this machine: check the address of this "
                             "member, or set listen",
                             text);
    }
    if (err == SPATE_ERR_UNSUPPORTED) {
        return spate_explain(line, err, "%s: this machine has no such kind of address", text);
    }
    return spate_explain(line, err, "%s/udp cannot be opened: %s", text, spate_err_text(err));
}

static spate_err open_socket(const struct spate *spate, const struct spate_options *options,
                             const struct spate_address addresses[],
                             const struct spate_message_line *line, struct spate_net **ret_net)
{
    struct spate_net_socket_options socket = {.frame_bytes_max = options->frame_bytes_max};

    for (uint32_t i = 0; i < options->member_count; i++) {
        if (options->members[i].id == options->id) {
            socket.bind = addresses[i];
        }
    }
    if (options->listen != NULL && spate_address_parse(options->listen, &socket.bind)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "listen: \"%s\" is no address; write it as 0.0.0.0:7209",
                             options->listen);
    }
    if (spate->is_loopback_only && !spate_address_is_loopback(&socket.bind)) {
        const char *text = socket.bind.family == 4 ? "127.0.0.1:1" : "[::1]:1";
        const uint16_t port = socket.bind.port;

        (void)!spate_address_parse(text, &socket.bind);
        socket.bind.port = port;
    }
    const spate_err err = spate_net_socket_create(&socket, ret_net);
    return err == SPATE_OK ? SPATE_OK : explain_socket(line, err, &socket.bind);
}

/* The driver explains what goes wrong: it alone knows. */
static spate_err open_dpdk(const struct spate *spate, const struct spate_options *options,
                           const struct spate_address addresses[],
                           const struct spate_message_line *line, struct spate_net **ret_net)
{
    const struct spate_net_dpdk_module *module = NULL;
    struct spate_net_dpdk_options dpdk;
    spate_err err = spate_core_dpdk_options(options, addresses, line, &dpdk);

    dpdk.clock = spate->clock;
    if (err == SPATE_OK) {
        err = spate_core_load_dpdk(line, &module);
    }
    return err == SPATE_OK ? module->create(&dpdk, ret_net, line->text, line->bytes) : err;
}

spate_err spate_core_open_net(const struct spate *spate, const struct spate_options *options,
                              const struct spate_address addresses[],
                              const struct spate_message_line *line, struct spate_net **ret_net)
{
    if (options->transport == SPATE_TRANSPORT_DPDK && spate->is_loopback_only) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "the data in %s was recovered, and the core listens on loopback only "
                             "until that is finished: set transport to socket, look at the "
                             "contents, stop it, and use 'spate recover --finish'",
                             options->directory);
    }
    return options->transport == SPATE_TRANSPORT_DPDK
               ? open_dpdk(spate, options, addresses, line, ret_net)
               : open_socket(spate, options, addresses, line, ret_net);
}

static spate_err open_lmdb(struct spate *spate, const struct spate_options *options,
                           const struct spate_store_identity *identity,
                           const struct spate_message_line *line, struct spate_store **ret_store)
{
    const struct spate_store_lmdb_options lmdb = {
        .directory = options->directory,
        .map_bytes = options->store_bytes_max,
        .identity = *identity,
        .waker = &spate->store_waker.waker,
    };

    return spate_store_lmdb_create(&lmdb, ret_store, line->text, line->bytes);
}

static spate_err open_wal(struct spate *spate, const struct spate_options *options,
                          const struct spate_store_identity *identity,
                          const struct spate_message_line *line, struct spate_store **ret_store)
{
    const struct spate_store_wal_options wal = {
        .directory = options->directory,
        .low_bytes = options->disk_low_bytes,
        .identity = *identity,
        .waker = &spate->store_waker.waker,
        .accepts_damage = true, /* The node knows whether the others can make up for it. */
    };

    return spate_store_wal_create(&wal, ret_store, line->text, line->bytes);
}

static struct spate_store_identity identity_of(const struct spate *spate,
                                               const struct spate_options *options)
{
    struct spate_store_identity identity = {.node_id = options->id,
                                            .incarnation = spate->incarnation};

    for (uint32_t i = 0; i < sizeof identity.cluster_id; i++) {
        identity.cluster_id[i] = options->cluster_id[i];
    }
    return identity;
}

static spate_err open_memory(const struct spate *spate, const struct spate_options *options,
                             const struct spate_message_line *line, struct spate_store **ret_store)
{
    const char *directory = options->directory;
    const bool has_directory = directory != NULL && directory[0] != '\0';
    const struct spate_store_mem_options mem = {.directory = has_directory ? directory : NULL,
                                                .identity = identity_of(spate, options)};

    if (has_directory && (spate_store_lmdb_is_in(directory) || spate_store_wal_is_in(directory))) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "the data in %s is of durability disk: set that, or choose another "
                             "directory",
                             directory);
    }
    return spate_store_mem_create(&mem, ret_store, line->text, line->bytes);
}

/* What the directory has is opened as what it is, whatever the default. */
static spate_err open_disk(struct spate *spate, const struct spate_options *options,
                           const struct spate_message_line *line, struct spate_store **ret_store)
{
    const bool has_lmdb = spate_store_lmdb_is_in(options->directory);
    const bool has_wal = spate_store_wal_is_in(options->directory);
    const struct spate_store_identity identity = identity_of(spate, options);

    if (spate_store_mem_is_in(options->directory)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "a core of durability memory was at work in %s: set that, or choose "
                             "another directory",
                             options->directory);
    }
    if ((options->disk == SPATE_DISK_WAL && has_lmdb && !has_wal) ||
        (options->disk == SPATE_DISK_LMDB && has_wal)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "the data in %s is in the format %s: set disk to that or to auto, or "
                             "choose another directory",
                             options->directory, has_wal ? "wal" : "lmdb");
    }
    return options->disk == SPATE_DISK_LMDB ||
                   (options->disk == SPATE_DISK_AUTO && has_lmdb && !has_wal)
               ? open_lmdb(spate, options, &identity, line, ret_store)
               : open_wal(spate, options, &identity, line, ret_store);
}

spate_err spate_core_open_store(struct spate *spate, const struct spate_options *options,
                                const struct spate_message_line *line,
                                struct spate_store **ret_store)
{
    return options->durability == SPATE_DURABILITY_DISK
               ? open_disk(spate, options, line, ret_store)
               : open_memory(spate, options, line, ret_store);
}

spate_err spate_core_open_snapshots(struct spate *spate, const struct spate_options *options,
                                    const struct spate_message_line *line,
                                    struct spate_snapshots **ret_snapshots)
{
    struct spate_snapshots_mem_options mem = {.image = NULL};
    struct spate_snapshots_files_options files = {.waker = &spate->store_waker.waker};
    char directory[4096];

    for (uint32_t i = 0; i < sizeof mem.cluster_id; i++) {
        mem.cluster_id[i] = options->cluster_id[i];
        files.cluster_id[i] = options->cluster_id[i];
    }
    if (options->durability == SPATE_DURABILITY_MEMORY) {
        const spate_err err = spate_snapshots_mem_create(&mem, ret_snapshots);
        return err == SPATE_OK ? SPATE_OK : spate_explain(line, err, "out of memory");
    }
    (void)snprintf(directory, sizeof directory, "%s/snapshots", options->directory);
    files.directory = directory;
    return spate_snapshots_files_create(&files, ret_snapshots, line->text, line->bytes);
}

static spate_err open_data_store(struct spate_data *data, const char *directory,
                                 enum spate_disk disk, const struct spate_store_identity *identity,
                                 const struct spate_message_line *line)
{
    const struct spate_store_wal_options wal = {
        .directory = directory, .identity = *identity, .waker = &data->waker.waker};
    const struct spate_store_lmdb_options lmdb = {
        .directory = directory, .identity = *identity, .waker = &data->waker.waker};

    return disk == SPATE_DISK_LMDB
               ? spate_store_lmdb_create(&lmdb, &data->store, line->text, line->bytes)
               : spate_store_wal_create(&wal, &data->store, line->text, line->bytes);
}

static spate_err open_data_snapshots(struct spate_data *data, const char *directory,
                                     const struct spate_store_identity *identity,
                                     const struct spate_message_line *line)
{
    struct spate_snapshots_files_options files = {.waker = &data->waker.waker};
    char snapshots[SPATE_DATA_PATH_BYTES + 16];

    for (uint32_t i = 0; i < sizeof files.cluster_id; i++) {
        files.cluster_id[i] = identity->cluster_id[i];
    }
    (void)snprintf(snapshots, sizeof snapshots, "%s/snapshots", directory);
    files.directory = snapshots;
    return spate_snapshots_files_create(&files, &data->snapshots, line->text, line->bytes);
}

spate_err spate_core_open_data(const char *directory, enum spate_disk disk,
                               const struct spate_store_identity *identity,
                               const struct spate_message_line *line, struct spate_data *ret_data)
{
    *ret_data = (struct spate_data){.store = NULL};
    spate_err err = spate_eventfd_waker_open(&ret_data->waker);
    if (err != SPATE_OK) {
        return spate_explain(line, err, "no descriptor is free: raise ulimit -n");
    }
    err = open_data_store(ret_data, directory, disk, identity, line);
    if (err == SPATE_OK) {
        err = open_data_snapshots(ret_data, directory, identity, line);
    }
    if (err == SPATE_OK) {
        err = ret_data->store->ops->load(ret_data->store, &ret_data->loaded);
        if (err != SPATE_OK) {
            (void)spate_explain(line, err, "%s: %s", directory, spate_err_text(err));
        }
    }
    if (err != SPATE_OK) {
        spate_core_close_data(ret_data);
        return err;
    }
    struct spate_snapshots *snapshots = ret_data->snapshots;
    ret_data->has_snapshot = snapshots->ops->newest(snapshots, &ret_data->snapshot) == SPATE_OK;
    return SPATE_OK;
}

void spate_core_close_data(struct spate_data *data)
{
    if (data->snapshots != NULL) {
        data->snapshots->ops->close(data->snapshots);
    }
    if (data->store != NULL) {
        data->store->ops->close(data->store);
    }
    spate_eventfd_waker_close(&data->waker);
    *data = (struct spate_data){.waker = {.fd = -1}};
}

spate_err spate_core_whose(const char *directory, const struct spate_message_line *line,
                           struct spate_store_identity *ret_identity, enum spate_disk *ret_disk)
{
    const bool has_wal = spate_store_wal_is_in(directory);
    spate_err err = SPATE_ERR_NOT_FOUND;

    *ret_disk = has_wal ? SPATE_DISK_WAL : SPATE_DISK_LMDB;
    if (has_wal) {
        err = spate_store_wal_whose(directory, ret_identity);
    } else if (spate_store_lmdb_is_in(directory)) {
        err = spate_store_lmdb_whose(directory, ret_identity);
    }
    if (err == SPATE_ERR_NOT_FOUND && spate_store_mem_is_in(directory)) {
        return spate_explain(line, err,
                             "%s is of durability memory: the state ended with the core; save it "
                             "from a core that still runs, or restore a snapshot",
                             directory);
    }
    if (err == SPATE_ERR_NOT_FOUND) {
        return spate_explain(
            line, err, "%s holds no core's data; give the data directory of a core", directory);
    }
    if (err == SPATE_ERR_CORRUPT) {
        return spate_explain(line, err,
                             "the identity of the data in %s is damaged; take another survivor, or "
                             "restore a snapshot",
                             directory);
    }
    return err == SPATE_OK ? SPATE_OK
                           : spate_explain(line, err, "%s: %s", directory, spate_err_text(err));
}
