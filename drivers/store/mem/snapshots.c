#include "store/mem/snapshots.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"

/* An image, and how many hold it: readers, and the driver while it is the newest. */
struct buffer {
    struct spate_snapshot_manifest manifest;
    uint32_t holders;
    uint64_t size;
    uint64_t capacity;
    uint8_t *bytes;
};

struct spate_snapshot_reader {
    struct buffer *buffer; /* NULL: the reader is free. */
};

struct mem_snapshots {
    struct spate_snapshots snapshots;
    struct spate_snapshots_mem_options options;
    struct spate_prng prng;
    struct buffer *newest;
    struct buffer *writing;
    bool is_image;     /* What is written is an image, not a state. */
    bool is_committed; /* poll has to tell. */
    struct spate_snapshot_reader readers[SPATE_SNAPSHOT_READERS_MAX];
};

static void let_go(struct buffer *buffer)
{
    if (buffer != NULL && --buffer->holders == 0) {
        free(buffer->bytes);
        free(buffer);
    }
}

static bool is_busy(struct mem_snapshots *mem)
{
    return spate_prng_chance_ppm(&mem->prng, mem->options.busy_ppm);
}

static spate_err mem_newest(struct spate_snapshots *snapshots,
                            struct spate_snapshot_manifest *ret_manifest)
{
    const struct mem_snapshots *mem = (const struct mem_snapshots *)snapshots;

    if (mem->newest == NULL) {
        return SPATE_ERR_NOT_FOUND;
    }
    *ret_manifest = mem->newest->manifest;
    return SPATE_OK;
}

static spate_err append(struct buffer *buffer, const uint8_t *bytes, uint64_t size)
{
    if (buffer->capacity - buffer->size < size) {
        const uint64_t capacity = 2 * buffer->capacity + size;
        uint8_t *grown = realloc(buffer->bytes, capacity);

        if (grown == NULL) {
            return SPATE_ERR_BUSY;
        }
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
    return SPATE_OK;
}

static spate_err mem_begin(struct spate_snapshots *snapshots,
                           const struct spate_snapshot_manifest *manifest)
{
    static const uint8_t empty[SPATE_SNAPSHOT_HEADER_BYTES];
    struct mem_snapshots *mem = (struct mem_snapshots *)snapshots;

    spate_assert(mem->writing == NULL);
    spate_assert(!mem->is_committed);
    struct buffer *buffer = is_busy(mem) ? NULL : calloc(1, sizeof *buffer);
    if (buffer == NULL) {
        return SPATE_ERR_BUSY;
    }
    buffer->holders = 1;
    if (manifest != NULL) {
        buffer->manifest = *manifest;
        memcpy(buffer->manifest.cluster_id, mem->options.cluster_id,
               sizeof buffer->manifest.cluster_id);
        if (append(buffer, empty, sizeof empty) != SPATE_OK) {
            let_go(buffer);
            return SPATE_ERR_BUSY;
        }
    }
    mem->writing = buffer;
    mem->is_image = manifest == NULL;
    return SPATE_OK;
}

static spate_err mem_write(struct spate_snapshots *snapshots, const uint8_t *bytes, uint32_t size)
{
    struct mem_snapshots *mem = (struct mem_snapshots *)snapshots;

    spate_assert(mem->writing != NULL && !mem->is_committed);
    spate_assert(size >= 1 && size <= SPATE_SNAPSHOT_WRITE_BYTES_MAX);
    return is_busy(mem) ? SPATE_ERR_BUSY : append(mem->writing, bytes, size);
}

static spate_err mem_commit(struct spate_snapshots *snapshots)
{
    struct mem_snapshots *mem = (struct mem_snapshots *)snapshots;

    spate_assert(mem->writing != NULL && !mem->is_committed);
    if (is_busy(mem)) {
        return SPATE_ERR_BUSY;
    }
    mem->is_committed = true;
    return SPATE_OK;
}

static void mem_abort(struct spate_snapshots *snapshots)
{
    struct mem_snapshots *mem = (struct mem_snapshots *)snapshots;

    spate_assert(!mem->is_committed);
    let_go(mem->writing);
    mem->writing = NULL;
}

static spate_err check(const struct buffer *buffer, struct spate_snapshot_manifest *ret_manifest)
{
    struct spate_snapshot_check check = {.bytes = 0};

    spate_snapshot_check_add(&check, buffer->bytes, buffer->size);
    return spate_snapshot_check_end(&check, ret_manifest);
}

/* Puts the header before a state, or checks an image. */
static bool finish(struct mem_snapshots *mem)
{
    struct buffer *buffer = mem->writing;
    struct spate_snapshot_hash hash = {.bytes = 0};

    if (mem->is_image) {
        return check(buffer, &buffer->manifest) == SPATE_OK &&
               memcmp(buffer->manifest.cluster_id, mem->options.cluster_id,
                      sizeof mem->options.cluster_id) == 0;
    }
    buffer->manifest.state_bytes = buffer->size - SPATE_SNAPSHOT_HEADER_BYTES;
    spate_snapshot_hash_add(&hash, buffer->bytes + SPATE_SNAPSHOT_HEADER_BYTES,
                            buffer->manifest.state_bytes);
    buffer->manifest.state_hash = spate_snapshot_hash_value(&hash);
    spate_snapshot_header_encode(buffer->bytes, &buffer->manifest);
    return true;
}

static void keep(const struct mem_snapshots *mem)
{
    struct spate_snapshots_image *image = mem->options.image;

    if (image == NULL) {
        return;
    }
    spate_snapshots_image_clear(image);
    image->bytes = malloc(mem->newest->size);
    spate_assert(image->bytes != NULL);
    memcpy(image->bytes, mem->newest->bytes, mem->newest->size);
    image->size = mem->newest->size;
    image->last = mem->newest->manifest.last;
}

static spate_err mem_poll(struct spate_snapshots *snapshots, enum spate_snapshot_event *ret_event)
{
    struct mem_snapshots *mem = (struct mem_snapshots *)snapshots;

    *ret_event = SPATE_SNAPSHOT_NOTHING;
    if (!mem->is_committed) {
        return SPATE_OK;
    }
    mem->is_committed = false;
    if (finish(mem)) {
        let_go(mem->newest);
        mem->newest = mem->writing;
        keep(mem);
        *ret_event = SPATE_SNAPSHOT_COMMITTED;
    } else {
        let_go(mem->writing);
        *ret_event = SPATE_SNAPSHOT_REFUSED;
    }
    mem->writing = NULL;
    return SPATE_OK;
}

static spate_err mem_open(struct spate_snapshots *snapshots,
                          struct spate_snapshot_manifest *ret_manifest,
                          struct spate_snapshot_reader **ret_reader)
{
    struct mem_snapshots *mem = (struct mem_snapshots *)snapshots;

    if (mem->newest == NULL) {
        return SPATE_ERR_NOT_FOUND;
    }
    for (uint32_t r = 0; r < SPATE_SNAPSHOT_READERS_MAX; r++) {
        if (mem->readers[r].buffer == NULL) {
            mem->readers[r].buffer = mem->newest;
            mem->newest->holders++;
            *ret_manifest = mem->newest->manifest;
            *ret_reader = &mem->readers[r];
            return SPATE_OK;
        }
    }
    return SPATE_ERR_BUSY;
}

static spate_err mem_read(struct spate_snapshots *snapshots, struct spate_snapshot_reader *reader,
                          uint64_t offset, uint8_t *to, uint32_t size)
{
    const struct buffer *buffer = reader->buffer;

    (void)snapshots;
    spate_assert(buffer != NULL);
    spate_assert(offset <= buffer->size && size <= buffer->size - offset);
    memcpy(to, buffer->bytes + offset, size);
    return SPATE_OK;
}

static void mem_close_reader(struct spate_snapshots *snapshots,
                             struct spate_snapshot_reader *reader)
{
    (void)snapshots;
    spate_assert(reader->buffer != NULL);
    let_go(reader->buffer);
    reader->buffer = NULL;
}

static void mem_close(struct spate_snapshots *snapshots)
{
    struct mem_snapshots *mem = (struct mem_snapshots *)snapshots;

    if (mem == NULL) {
        return;
    }
    for (uint32_t r = 0; r < SPATE_SNAPSHOT_READERS_MAX; r++) {
        spate_assert(mem->readers[r].buffer == NULL);
    }
    let_go(mem->writing);
    let_go(mem->newest);
    free(mem);
}

static const struct spate_snapshots_ops mem_ops = {
    .name = "mem",
    .newest = mem_newest,
    .begin = mem_begin,
    .write = mem_write,
    .commit = mem_commit,
    .abort = mem_abort,
    .poll = mem_poll,
    .open = mem_open,
    .read = mem_read,
    .close_reader = mem_close_reader,
    .close = mem_close,
};

/* What an earlier life left. */
static spate_err take_over(struct mem_snapshots *mem)
{
    const struct spate_snapshots_image *image = mem->options.image;

    if (image == NULL || image->bytes == NULL) {
        return SPATE_OK;
    }
    struct buffer *buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    buffer->holders = 1;
    mem->newest = buffer;
    if (append(buffer, image->bytes, image->size) != SPATE_OK) {
        return SPATE_ERR_NO_MEMORY;
    }
    return check(buffer, &buffer->manifest);
}

spate_err spate_snapshots_mem_create(const struct spate_snapshots_mem_options *options,
                                     struct spate_snapshots **ret_snapshots)
{
    struct mem_snapshots *mem = calloc(1, sizeof *mem);

    spate_assert(options != NULL);
    if (mem == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    mem->snapshots.ops = &mem_ops;
    mem->options = *options;
    spate_prng_seed(&mem->prng, options->seed, 0);
    const spate_err err = take_over(mem);
    if (err != SPATE_OK) {
        mem_close(&mem->snapshots);
        return err;
    }
    *ret_snapshots = &mem->snapshots;
    return SPATE_OK;
}

void spate_snapshots_image_clear(struct spate_snapshots_image *image)
{
    free(image->bytes);
    *image = (struct spate_snapshots_image){.bytes = NULL};
}
