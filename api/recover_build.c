/* A survivor's data, read as a whole, and the data of a new cluster that is made of it. */
#include "recover_internal.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mix.h"

#define READ_BYTES_MAX (4u << 20)

static spate_err damaged(const struct spate_survivor *survivor,
                         const struct spate_message_line *line)
{
    return spate_explain(line, SPATE_ERR_CORRUPT,
                         "the data in %s is damaged, or does not fit together; take another "
                         "survivor, or restore a snapshot",
                         survivor->path);
}

static spate_err read_term(const struct spate_data *data, spate_index index, spate_term *ret_term)
{
    struct spate_log_span span = {.term = data->loaded.base.term};
    spate_err err = SPATE_OK;

    if (index != data->loaded.base.index) {
        err = data->store->ops->read(data->store, index, 1, &span);
    }
    *ret_term = span.term;
    return err;
}

/* As a start of the core does (lib/node/recover.c): a log that ends before the newest snapshot, or
 * contradicts it, gives way to it. */
static spate_err weigh_snapshot(struct spate_survivor *survivor)
{
    const struct spate_data *data = &survivor->data;
    const struct spate_entry_id snapshot = data->snapshot.last;
    struct spate_membership membership;
    spate_term term = 0;

    if (!data->has_snapshot) {
        return survivor->base.index == 0 ? SPATE_OK : SPATE_ERR_CORRUPT;
    }
    if (snapshot.index < survivor->base.index ||
        spate_membership_decode(data->snapshot.membership, data->snapshot.membership_bytes,
                                &membership) != SPATE_OK) {
        return SPATE_ERR_CORRUPT;
    }
    spate_configs_begin(&survivor->configs, data->snapshot.membership_index, &membership);
    if (snapshot.index <= data->loaded.last) {
        const spate_err err = read_term(data, snapshot.index, &term);
        if (err != SPATE_OK || term == snapshot.term) {
            survivor->commit =
                survivor->commit > snapshot.index ? survivor->commit : snapshot.index;
            return err;
        }
    }
    if (snapshot.index <= data->loaded.last && survivor->commit >= snapshot.index) {
        return SPATE_ERR_CORRUPT; /* What is committed does not change. */
    }
    survivor->base = snapshot;
    survivor->last = snapshot;
    survivor->commit = snapshot.index;
    survivor->term = survivor->term > snapshot.term ? survivor->term : snapshot.term;
    return SPATE_OK;
}

/* What is done with each span of the log that counts. */
typedef spate_err visit_span(void *context, const struct spate_log_span *span);

static spate_err walk(const struct spate_data *data, spate_index first, spate_index last,
                      uint32_t bytes_max, visit_span *visit, void *context)
{
    while (first <= last) {
        struct spate_log_span span;
        spate_err err = data->store->ops->read(data->store, first, bytes_max, &span);

        if (err == SPATE_OK) {
            spate_assert(span.first == first && span.count >= 1);
            err = visit(context, &span);
        }
        if (err != SPATE_OK) {
            return err == SPATE_ERR_NOT_FOUND ? SPATE_ERR_CORRUPT : err;
        }
        first += span.count;
    }
    return SPATE_OK;
}

static spate_err take_configs(void *context, const struct spate_log_span *span)
{
    struct spate_survivor *survivor = context;

    (void)spate_configs_take(&survivor->configs, span);
    survivor->last.term = span->term;
    return span->term <= survivor->term ? SPATE_OK : SPATE_ERR_CORRUPT;
}

spate_err spate_survivor_open(struct spate_survivor *survivor,
                              const struct spate_message_line *line)
{
    spate_err err = spate_core_whose(survivor->path, line, &survivor->identity, &survivor->disk);

    if (err == SPATE_OK) {
        err = spate_core_open_data(survivor->path, survivor->disk, &survivor->identity, line,
                                   &survivor->data);
    }
    if (err != SPATE_OK) {
        return err;
    }
    const struct spate_store_loaded *loaded = &survivor->data.loaded;
    survivor->base = loaded->base;
    survivor->last = (struct spate_entry_id){.term = loaded->base.term, .index = loaded->last};
    survivor->commit = loaded->hard_state.commit;
    survivor->term = loaded->hard_state.term;
    err = weigh_snapshot(survivor);
    if (err == SPATE_OK) {
        err = walk(&survivor->data, survivor->base.index + 1, survivor->last.index, READ_BYTES_MAX,
                   take_configs, survivor);
    }
    if (err == SPATE_OK && survivor->last.index == 0) {
        err = spate_explain(line, SPATE_ERR_NOT_FOUND,
                            "%s holds nothing but a core's name: there is nothing to recover",
                            survivor->path);
    } else if (err != SPATE_OK) {
        err = damaged(survivor, line);
    }
    if (err != SPATE_OK) {
        spate_core_close_data(&survivor->data);
    }
    return err;
}

spate_err spate_survivor_heir(const struct spate_survivor *survivor, const char *address,
                              const struct spate_message_line *line,
                              struct spate_member *ret_member)
{
    const struct spate_membership *members = &survivor->configs.now;
    const uint32_t place = spate_membership_find(members, survivor->identity.node_id);
    struct spate_member heir = {.id = survivor->identity.node_id,
                                .incarnation = survivor->identity.incarnation};
    struct spate_address parsed;

    if (members->count > 0 && place == SPATE_MEMBERS_MAX) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "core %u is no member by what it knows: it was removed, and may lack "
                             "what came later; take another survivor",
                             heir.id);
    }
    if (members->count > 0) {
        const struct spate_member *member = &members->members[place];
        heir.incarnation = member->incarnation;
        heir.priority = member->priority;
        memcpy(heir.address, member->address, sizeof heir.address);
    }
    heir.is_voter = true;
    if (address == NULL && members->count == 0) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "the data in %s does not say where core %u is reached, since nobody "
                             "changed the founders yet; give --address as raft.members has it",
                             survivor->path, heir.id);
    }
    if (address != NULL) {
        if (spate_address_parse(address, &parsed) != SPATE_OK) {
            return spate_explain(line, SPATE_ERR_INVALID,
                                 "\"%s\" is no address; write it as 10.0.0.4:7209", address);
        }
        spate_address_format(&parsed, heir.address);
    }
    *ret_member = heir;
    return SPATE_OK;
}

/* From here on: the successor. */

struct successor {
    struct spate_data data;
    const struct spate_message_line *line;
};

static spate_err copy_span(void *context, const struct spate_log_span *span)
{
    struct successor *successor = context;
    const struct spate_store_batch batch = {.spans = span, .span_count = 1};

    return spate_data_submit(&successor->data, &batch, successor->line);
}

/* The survivor's snapshot, read through its driver. */
struct snapshot_source {
    struct spate_image_source source;
    struct spate_snapshots *snapshots;
    struct spate_snapshot_reader *reader;
};

static spate_err read_snapshot(struct spate_image_source *source, uint64_t offset, uint8_t *to,
                               uint32_t size)
{
    const struct snapshot_source *self = (const struct snapshot_source *)source;

    spate_assert(self->reader != NULL);
    return self->snapshots->ops->read(self->snapshots, self->reader, offset, to, size);
}

static spate_err copy_snapshot(struct successor *successor, const struct spate_survivor *survivor,
                               const uint8_t cluster_id[16])
{
    struct snapshot_source source = {.source = {.read = read_snapshot},
                                     .snapshots = survivor->data.snapshots};
    struct spate_snapshot_manifest manifest;

    if (!survivor->data.has_snapshot) {
        return SPATE_OK;
    }
    spate_err err = source.snapshots->ops->open(source.snapshots, &manifest, &source.reader);
    if (err != SPATE_OK) {
        return damaged(survivor, successor->line);
    }
    memcpy(manifest.cluster_id, cluster_id, sizeof manifest.cluster_id);
    err = spate_data_put_snapshot(&successor->data, &manifest, &source.source, successor->line);
    source.snapshots->ops->close_reader(source.snapshots, source.reader);
    return err;
}

/*
 * The entry that makes the heir the only member, and the hard state that says that it, and all
 * before it, is committed: by decree, since those who could contradict are gone.
 */
static spate_err put_decree(struct successor *successor, const struct spate_survivor *survivor,
                            const struct spate_member *heir)
{
    const struct spate_membership members = {.count = 1, .members = {*heir}};
    uint8_t payload[SPATE_MEMBERSHIP_BYTES_MAX];
    uint8_t entry[SPATE_ENTRY_HEADER_BYTES + SPATE_MEMBERSHIP_BYTES_MAX + 8];
    const uint32_t size = spate_membership_encode(&members, payload);
    const struct spate_log_span span = {
        .data = entry,
        .bytes = spate_entry_encode(entry, SPATE_ENTRY_MEMBERSHIP, payload, size),
        .count = 1,
        .first = survivor->last.index + 1,
        .term = survivor->term + 1,
    };
    const struct spate_store_batch batch = {
        .has_hard_state = true,
        .hard_state = {.term = span.term, .commit = span.first},
        .spans = &span,
        .span_count = 1,
    };

    spate_assert(span.term > survivor->last.term);
    const spate_err err = spate_data_submit(&successor->data, &batch, successor->line);
    return err == SPATE_OK ? spate_data_settle(&successor->data, successor->line) : err;
}

static spate_err fill(struct successor *successor, const struct spate_survivor *survivor,
                      const uint8_t cluster_id[16], const struct spate_member *heir)
{
    const struct spate_store_batch reset = {.has_reset = true, .reset_base = survivor->base};
    const uint64_t batch_max = successor->data.store->batch_bytes_max;
    spate_err err = copy_snapshot(successor, survivor, cluster_id);

    if (err == SPATE_OK && survivor->base.index > 0) {
        err = spate_data_submit(&successor->data, &reset, successor->line);
    }
    if (err == SPATE_OK) {
        err = walk(&survivor->data, survivor->base.index + 1, survivor->last.index,
                   batch_max < READ_BYTES_MAX ? (uint32_t)batch_max : READ_BYTES_MAX, copy_span,
                   successor);
    }
    return err == SPATE_OK ? put_decree(successor, survivor, heir) : err;
}

/* A hash over entries and their terms, however they lie in records. */
static spate_err hash_span(void *context, const struct spate_log_span *span)
{
    uint64_t *hash = context;
    const uint8_t *from = span->data;
    uint32_t left = span->bytes;

    for (uint32_t i = 0; i < span->count; i++) {
        struct spate_entry entry;
        const uint32_t stride = spate_entry_decode(from, left, &entry);

        if (stride == 0) {
            return SPATE_ERR_CORRUPT;
        }
        *hash = spate_mix64(*hash ^ spate_crc32c(0, from, stride) ^ (span->first + i) << 32) ^
                span->term;
        from += stride;
        left -= stride;
    }
    return SPATE_OK;
}

/* Reads the successor back, as a start of the core would, and compares. */
static spate_err compare(const char *path, const struct spate_survivor *survivor,
                         const struct spate_store_identity *identity,
                         const struct spate_message_line *line)
{
    const spate_index first = survivor->base.index + 1;
    uint64_t old_hash = 0;
    uint64_t new_hash = 0;
    struct spate_data data;

    spate_err err = spate_core_open_data(path, survivor->disk, identity, line, &data);
    if (err != SPATE_OK) {
        return err;
    }
    if (walk(&survivor->data, first, survivor->last.index, READ_BYTES_MAX, hash_span, &old_hash) !=
            SPATE_OK ||
        walk(&data, first, survivor->last.index, READ_BYTES_MAX, hash_span, &new_hash) !=
            SPATE_OK ||
        old_hash != new_hash || data.loaded.last != survivor->last.index + 1 ||
        data.loaded.base.index != survivor->base.index ||
        data.loaded.hard_state.commit != data.loaded.last ||
        data.has_snapshot != survivor->data.has_snapshot ||
        data.snapshot.state_hash != survivor->data.snapshot.state_hash) {
        err = spate_explain(line, SPATE_ERR_IO,
                            "what was written to %s reads back as something else; look at the disk",
                            path);
    }
    spate_core_close_data(&data);
    return err;
}

spate_err spate_survivor_build(struct spate_survivor *survivor, const char *path,
                               const uint8_t cluster_id[16], const struct spate_member *heir,
                               const struct spate_message_line *line)
{
    struct successor successor = {.line = line};
    struct spate_store_identity identity = {.node_id = heir->id, .incarnation = heir->incarnation};

    memcpy(identity.cluster_id, cluster_id, sizeof identity.cluster_id);
    spate_err err = spate_data_remove(path, line); /* What a crash left. */
    if (err == SPATE_OK) {
        err = spate_core_open_data(path, survivor->disk, &identity, line, &successor.data);
    }
    if (err != SPATE_OK) {
        return err;
    }
    err = fill(&successor, survivor, cluster_id, heir);
    spate_core_close_data(&successor.data);
    if (err == SPATE_OK) {
        err = spate_data_sync(path, line);
    }
    return err == SPATE_OK ? compare(path, survivor, &identity, line) : err;
}
