/* A new cluster from a snapshot file: one core's data directory. */
#include "snapshot_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

/* Where the state comes from. */
struct file_source {
    struct spate_image_source source;
    const struct spate_snapshot_file *file;
};

static spate_err read_file(struct spate_image_source *source, uint64_t offset, uint8_t *to,
                           uint32_t size)
{
    const struct file_source *self = (const struct file_source *)source;

    spate_assert(size > 0);
    return spate_snapshot_file_read(self->file, offset, to, size) ? SPATE_OK : SPATE_ERR_IO;
}

/* The engine wants ids ascending; they may be named in any order. */
static spate_err read_members(const struct spate_restore_options *options,
                              const struct spate_message_line *line,
                              struct spate_membership *members)
{
    bool has_self = false;

    if (options->members == NULL || options->member_count > SPATE_MEMBERS_MAX ||
        options->member_count % 2 == 0) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "name an odd number of members, this core included: one is best");
    }
    *members = (struct spate_membership){.count = options->member_count};
    for (uint32_t i = 0; i < options->member_count; i++) {
        const struct spate_member_options *from = &options->members[i];
        struct spate_member member = {.id = from->id, .is_voter = true, .incarnation = 1};
        struct spate_address address;
        uint32_t at = i;

        if (from->address == NULL || spate_address_parse(from->address, &address) != SPATE_OK) {
            return spate_explain(line, SPATE_ERR_INVALID,
                                 "member %u: \"%s\" is no address; write it as 10.0.0.4:7209",
                                 from->id, from->address != NULL ? from->address : "");
        }
        spate_address_format(&address, member.address);
        has_self |= from->id == options->id;
        for (; at > 0 && members->members[at - 1].id > from->id; at--) {
            members->members[at] = members->members[at - 1];
        }
        members->members[at] = member;
    }
    if (!has_self || !spate_membership_is_valid(members)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "id %u: name each member once, this core included", options->id);
    }
    return SPATE_OK;
}

static spate_err check_options(const struct spate_restore_options *options,
                               const struct spate_snapshot_file *file,
                               const struct spate_message_line *line)
{
    if (memcmp(options->cluster_id, file->manifest.cluster_id, sizeof options->cluster_id) == 0) {
        return spate_explain(
            line, SPATE_ERR_INVALID,
            "the cluster id is that of the snapshot's own cluster; give a new one, "
            "as uuidgen prints it, so that the two never mix");
    }
    if (options->disk < SPATE_DISK_AUTO || options->disk > SPATE_DISK_LMDB) {
        return spate_explain(line, SPATE_ERR_INVALID, "disk: give wal or lmdb");
    }
    return SPATE_OK;
}

/* The whole state under the new cluster's name, and a log that goes on behind it. */
static spate_err fill(struct spate_data *data, const struct spate_restore_options *options,
                      const struct spate_snapshot_file *file,
                      const struct spate_membership *members, const struct spate_message_line *line)
{
    struct file_source source = {.source = {.read = read_file}, .file = file};
    struct spate_snapshot_manifest manifest = file->manifest;
    const struct spate_store_batch batch = {
        .has_hard_state = true,
        .hard_state = {.term = manifest.last.term, .commit = manifest.last.index},
        .has_reset = true,
        .reset_base = manifest.last,
    };

    memcpy(manifest.cluster_id, options->cluster_id, sizeof manifest.cluster_id);
    manifest.membership_index = 0; /* They found the cluster. */
    manifest.membership_bytes = spate_membership_encode(members, manifest.membership);
    spate_err err = spate_data_put_snapshot(data, &manifest, &source.source, line);
    if (err == SPATE_OK) {
        err = spate_data_submit(data, &batch, line);
    }
    return err == SPATE_OK ? spate_data_settle(data, line) : err;
}

/* Opens what was written, as a core would: everything is read and checked. */
static spate_err check(const char *path, enum spate_disk disk,
                       const struct spate_store_identity *identity,
                       const struct spate_snapshot_manifest *wanted,
                       const struct spate_message_line *line)
{
    struct spate_data data;
    const spate_err err = spate_core_open_data(path, disk, identity, line, &data);

    if (err != SPATE_OK) {
        return err;
    }
    const bool is_good = data.has_snapshot && data.snapshot.state_hash == wanted->state_hash &&
                         data.loaded.base.index == wanted->last.index &&
                         data.loaded.base.term == wanted->last.term &&
                         data.loaded.hard_state.commit == wanted->last.index;
    spate_core_close_data(&data);
    return is_good ? SPATE_OK
                   : spate_explain(line, SPATE_ERR_IO,
                                   "what was written to %s reads back as something else; look at "
                                   "the disk",
                                   path);
}

static spate_err build(const char *path, const struct spate_restore_options *options,
                       const struct spate_snapshot_file *file,
                       const struct spate_membership *members,
                       const struct spate_message_line *line)
{
    const enum spate_disk disk = options->disk == SPATE_DISK_AUTO ? SPATE_DISK_WAL : options->disk;
    struct spate_store_identity identity = {.node_id = options->id, .incarnation = 1};
    struct spate_data data;

    memcpy(identity.cluster_id, options->cluster_id, sizeof identity.cluster_id);
    spate_err err = spate_data_remove(path, line); /* What a crash left. */
    if (err == SPATE_OK) {
        err = spate_core_open_data(path, disk, &identity, line, &data);
    }
    if (err != SPATE_OK) {
        return err;
    }
    err = fill(&data, options, file, members, line);
    spate_core_close_data(&data);
    if (err == SPATE_OK) {
        err = spate_data_sync(path, line);
    }
    return err == SPATE_OK ? check(path, disk, &identity, &file->manifest, line) : err;
}

/* The directory's full name: it is made, or must be empty, and the whole one takes its place. */
static spate_err place(const struct spate_restore_options *options,
                       const struct spate_message_line *line, char path[SPATE_DATA_PATH_BYTES])
{
    bool is_empty = false;

    if (mkdir(options->directory, 0700) != 0 && errno != EEXIST) {
        const int error = errno;
        return spate_explain(line, error == EACCES ? SPATE_ERR_PERMISSION : SPATE_ERR_INVALID,
                             "cannot make the directory %s: %s; make its parent, or choose another",
                             options->directory, strerror(error));
    }
    spate_err err = spate_data_resolve(options->directory, line, path);
    if (err == SPATE_OK) {
        err = spate_data_is_empty(path, line, &is_empty);
    }
    if (err == SPATE_OK && !is_empty) {
        return spate_explain(line, SPATE_ERR_IN_USE,
                             "%s is not an empty directory; give one that does not exist", path);
    }
    return err == SPATE_OK ? spate_data_check_place(path, line) : err;
}

static spate_err restore(const struct spate_restore_options *options,
                         const struct spate_snapshot_file *file,
                         const struct spate_message_line *line)
{
    char path[SPATE_DATA_PATH_BYTES];
    char partial[SPATE_DATA_PATH_BYTES + 16];
    struct spate_membership members;

    spate_err err = check_options(options, file, line);
    if (err == SPATE_OK) {
        err = read_members(options, line, &members);
    }
    if (err == SPATE_OK) {
        err = place(options, line, path);
    }
    if (err != SPATE_OK) {
        return err;
    }
    (void)snprintf(partial, sizeof partial, "%s.restoring", path);
    err = build(partial, options, file, &members, line);
    if (err == SPATE_OK) {
        err = spate_data_give_owner(partial, path, line);
    }
    if (err == SPATE_OK && rename(partial, path) != 0) {
        err = spate_explain(line, SPATE_ERR_IO, "cannot rename %s to %s: %s", partial, path,
                            strerror(errno));
    }
    if (err != SPATE_OK) {
        const struct spate_message_line quiet = {.text = NULL};
        (void)spate_data_remove(partial, &quiet);
        return err;
    }
    return spate_data_sync_parent(path, line);
}

spate_err spate_restore(const struct spate_restore_options *options, char *message,
                        size_t message_bytes)
{
    const struct spate_message_line line = {.text = message, .bytes = message_bytes};
    struct spate_snapshot_file file;

    (void)spate_explain(&line, SPATE_OK, "%s", "");
    if (options == NULL || options->file == NULL || options->directory == NULL) {
        return spate_explain(&line, SPATE_ERR_INVALID, "no file or no directory was given");
    }
    spate_err err = spate_snapshot_file_open(options->file, &line, &file);
    if (err != SPATE_OK) {
        return err;
    }
    err = restore(options, &file, &line);
    spate_snapshot_file_close(&file);
    return err;
}
