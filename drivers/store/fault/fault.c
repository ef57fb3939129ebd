#include "store/fault/fault.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"

/* One durable entry: its bytes as they are in the log. */
struct stored {
    spate_term term;
    uint32_t stride;
    uint8_t *bytes;
};

struct spate_store_image {
    bool is_written;
    struct spate_hard_state hard_state;
    struct spate_entry_id base;
    struct stored *entries; /* entries[i] has the index base.index + 1 + i. */
    uint64_t count;
    uint64_t capacity;
    uint64_t whole; /* Entries before the first that is damaged. */
    bool is_damaged;
};

/* A batch that is not durable: spans and their bytes are copies, in the same block. */
struct pending {
    struct pending *next;
    struct spate_store_batch batch;
    struct spate_log_span spans[];
};

struct fault {
    struct spate_store store;
    struct spate_store_fault_options options;
    struct spate_prng prng;
    struct pending *oldest;
    struct pending **newest; /* Where the next one is linked. */
    spate_ticket submitted;
    spate_ticket completed;
    bool has_failed;
    uint8_t *read_buffer;
};

static void image_cut(struct spate_store_image *image, uint64_t count)
{
    while (image->count > count) {
        free(image->entries[--image->count].bytes);
    }
}

static spate_err image_append(struct spate_store_image *image, const struct spate_log_span *span)
{
    const uint8_t *from = span->data;
    uint32_t left = span->bytes;

    spate_assert(span->first == image->base.index + image->count + 1);
    for (uint32_t i = 0; i < span->count; i++) {
        struct spate_entry entry;
        const uint32_t stride = spate_entry_decode(from, left, &entry);
        spate_assert(stride != 0);
        if (image->count == image->capacity) {
            const uint64_t capacity = image->capacity * 2 + 64;
            struct stored *grown = realloc(image->entries, capacity * sizeof *grown);
            if (grown == NULL) {
                return SPATE_ERR_NO_MEMORY;
            }
            image->entries = grown;
            image->capacity = capacity;
        }
        uint8_t *bytes = malloc(stride);
        if (bytes == NULL) {
            return SPATE_ERR_NO_MEMORY;
        }
        memcpy(bytes, from, stride);
        image->entries[image->count++] = (struct stored){span->term, stride, bytes};
        from += stride;
        left -= stride;
    }
    return SPATE_OK;
}

static spate_err image_apply(struct spate_store_image *image, const struct spate_store_batch *batch)
{
    image->is_written = true;
    if (batch->has_hard_state) {
        image->hard_state = batch->hard_state;
    }
    if (batch->has_reset) {
        image_cut(image, 0);
        image->base = batch->reset_base;
    }
    if (batch->has_truncate) {
        spate_assert(batch->truncate_after >= image->base.index);
        image_cut(image, batch->truncate_after - image->base.index);
    }
    for (uint32_t s = 0; s < batch->span_count; s++) {
        const spate_err err = image_append(image, &batch->spans[s]);
        if (err != SPATE_OK) {
            return err;
        }
    }
    return SPATE_OK;
}

static spate_err fault_load(struct spate_store *store, struct spate_store_loaded *ret_loaded)
{
    const struct spate_store_image *image = ((struct fault *)store)->options.image;
    const uint64_t count = image->is_damaged ? image->whole : image->count;
    *ret_loaded = (struct spate_store_loaded){.is_new = !image->is_written,
                                              .is_damaged = image->is_damaged,
                                              .hard_state = image->hard_state,
                                              .base = image->base,
                                              .last = image->base.index + count};
    return SPATE_OK;
}

static spate_err fault_repair(struct spate_store *store)
{
    struct spate_store_image *image = ((struct fault *)store)->options.image;

    spate_assert(image->is_damaged);
    image_cut(image, image->whole);
    image->hard_state.is_mute = true;
    image->is_damaged = false;
    return SPATE_OK;
}

static spate_err fault_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                            struct spate_log_span *ret_span)
{
    struct fault *fault = (struct fault *)store;
    const struct spate_store_image *image = fault->options.image;
    const uint64_t count = image->is_damaged ? image->whole : image->count;

    if (first <= image->base.index || first - image->base.index > count) {
        return SPATE_ERR_NOT_FOUND;
    }
    uint64_t at = first - image->base.index - 1;
    struct spate_log_span span = {.first = first, .term = image->entries[at].term};
    uint64_t bytes = 0;
    uint64_t end = at;
    while (end < count && image->entries[end].term == span.term &&
           (end == at || bytes + image->entries[end].stride <= bytes_max)) {
        bytes += image->entries[end++].stride;
    }
    spate_assert(bytes >= SPATE_ENTRY_HEADER_BYTES);
    uint8_t *buffer = realloc(fault->read_buffer, bytes);
    if (buffer == NULL) {
        return SPATE_ERR_IO;
    }
    fault->read_buffer = buffer;
    for (; at < end; at++) {
        memcpy(buffer + span.bytes, image->entries[at].bytes, image->entries[at].stride);
        span.bytes += image->entries[at].stride;
        span.count++;
    }
    span.data = buffer;
    *ret_span = span;
    return SPATE_OK;
}

static struct pending *copy_batch(const struct spate_store_batch *batch)
{
    size_t bytes = sizeof(struct pending) + batch->span_count * sizeof(struct spate_log_span);
    for (uint32_t s = 0; s < batch->span_count; s++) {
        bytes += batch->spans[s].bytes;
    }
    struct pending *pending = calloc(1, bytes);
    if (pending == NULL) {
        return NULL;
    }
    pending->batch = *batch;
    pending->batch.spans = pending->spans;
    uint8_t *to = (uint8_t *)(pending->spans + batch->span_count);
    for (uint32_t s = 0; s < batch->span_count; s++) {
        pending->spans[s] = batch->spans[s];
        pending->spans[s].data = to;
        memcpy(to, batch->spans[s].data, batch->spans[s].bytes);
        to += batch->spans[s].bytes;
    }
    return pending;
}

static spate_err fault_submit(struct spate_store *store, const struct spate_store_batch *batch,
                              spate_ticket *ret_ticket)
{
    struct fault *fault = (struct fault *)store;

    if (fault->has_failed) {
        return SPATE_ERR_IO;
    }
    if (spate_prng_chance_ppm(&fault->prng, fault->options.busy_ppm)) {
        return SPATE_ERR_BUSY;
    }
    struct pending *pending = copy_batch(batch);
    if (pending == NULL) {
        return SPATE_ERR_BUSY;
    }
    *fault->newest = pending;
    fault->newest = &pending->next;
    *ret_ticket = ++fault->submitted;
    if (fault->options.completes_at_once) {
        spate_store_fault_complete(store, 1);
    }
    return SPATE_OK;
}

static spate_err fault_poll(struct spate_store *store, spate_ticket *ret_completed)
{
    const struct fault *fault = (const struct fault *)store;
    if (fault->has_failed) {
        return SPATE_ERR_IO;
    }
    *ret_completed = fault->completed;
    return SPATE_OK;
}

static spate_err fault_compact(struct spate_store *store, spate_index first_kept)
{
    struct spate_store_image *image = ((struct fault *)store)->options.image;
    uint64_t gone = first_kept > image->base.index + 1 ? first_kept - image->base.index - 1 : 0;

    gone = gone < image->count ? gone : image->count;
    if (gone > 0) {
        image->base = (struct spate_entry_id){.term = image->entries[gone - 1].term,
                                              .index = image->base.index + gone};
        for (uint64_t i = 0; i < gone; i++) {
            free(image->entries[i].bytes);
        }
        image->count -= gone;
        memmove(image->entries, image->entries + gone, image->count * sizeof *image->entries);
    }
    return SPATE_OK;
}

static void fault_close(struct spate_store *store)
{
    if (store != NULL) {
        spate_store_fault_complete(store, UINT64_MAX);
        spate_store_fault_crash(store);
    }
}

static const struct spate_store_ops fault_ops = {
    .name = "fault",
    .load = fault_load,
    .repair = fault_repair,
    .read = fault_read,
    .submit = fault_submit,
    .poll = fault_poll,
    .compact = fault_compact,
    .close = fault_close,
};

spate_err spate_store_image_create(struct spate_store_image **ret_image)
{
    struct spate_store_image *image = calloc(1, sizeof *image);
    if (image == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    *ret_image = image;
    return SPATE_OK;
}

void spate_store_image_forget(struct spate_store_image *image, bool is_mute)
{
    spate_assert(image != NULL);
    image_cut(image, 0);
    image->base = (struct spate_entry_id){.term = 0, .index = 0};
    image->hard_state = (struct spate_hard_state){.is_mute = is_mute};
    image->is_written = is_mute;
    image->is_damaged = false;
}

bool spate_store_image_damage(struct spate_store_image *image, uint64_t draw)
{
    spate_assert(image->is_written || image->count == 0);
    if (image->count == 0 || image->is_damaged) {
        return false;
    }
    image->is_damaged = true;
    image->whole = draw % image->count;
    /* What held when the last whole entry was written: anything newer is lost with the others. */
    const struct spate_entry_id last = {
        .term = image->whole > 0 ? image->entries[image->whole - 1].term : image->base.term,
        .index = image->base.index + image->whole};
    image->hard_state.term = last.term;
    image->hard_state.vote = 0;
    if (image->hard_state.commit > last.index) {
        image->hard_state.commit = last.index;
    }
    return true;
}

struct spate_hard_state spate_store_image_hard_state(const struct spate_store_image *image)
{
    return image->hard_state;
}

spate_term spate_store_image_term(const struct spate_store_image *image, spate_index index)
{
    const uint64_t count = image->is_damaged ? image->whole : image->count;

    if (index <= image->base.index || index - image->base.index > count) {
        return 0;
    }
    return image->entries[index - image->base.index - 1].term;
}

void spate_store_image_destroy(struct spate_store_image *image)
{
    if (image != NULL) {
        image_cut(image, 0);
        free(image->entries);
        free(image);
    }
}

spate_err spate_store_fault_create(const struct spate_store_fault_options *options,
                                   struct spate_store **ret_store)
{
    spate_assert(options->image != NULL);
    struct fault *fault = calloc(1, sizeof *fault);
    if (fault == NULL) {
        return SPATE_ERR_NO_MEMORY;
    }
    fault->store = (struct spate_store){
        .ops = &fault_ops, .batch_bytes_max = UINT64_MAX, .durability = SPATE_DURABILITY_DISK};
    fault->options = *options;
    fault->newest = &fault->oldest;
    spate_prng_seed(&fault->prng, options->seed, 0);
    *ret_store = &fault->store;
    return SPATE_OK;
}

uint64_t spate_store_fault_pending(const struct spate_store *store)
{
    const struct fault *fault = (const struct fault *)store;
    return fault->submitted - fault->completed;
}

void spate_store_fault_complete(struct spate_store *store, uint64_t count)
{
    struct fault *fault = (struct fault *)store;

    for (uint64_t c = 0; c < count && fault->oldest != NULL && !fault->has_failed; c++) {
        struct pending *pending = fault->oldest;
        if (fault->completed + 1 == fault->options.fail_at_batch ||
            image_apply(fault->options.image, &pending->batch) != SPATE_OK) {
            fault->has_failed = true;
            return;
        }
        fault->completed++;
        fault->oldest = pending->next;
        if (fault->oldest == NULL) {
            fault->newest = &fault->oldest;
        }
        free(pending);
    }
}

void spate_store_fault_lose(struct spate_store *store)
{
    struct fault *fault = (struct fault *)store;

    while (fault->oldest != NULL) {
        struct pending *pending = fault->oldest;
        fault->oldest = pending->next;
        free(pending);
    }
    fault->newest = &fault->oldest;
}

void spate_store_fault_crash(struct spate_store *store)
{
    struct fault *fault = (struct fault *)store;

    spate_store_fault_lose(store);
    free(fault->read_buffer);
    free(fault);
}
