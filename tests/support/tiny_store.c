#include "support/tiny_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define READ_BYTES_MAX  (2u << 20)
#define BATCH_BYTES_MAX (4u << 20)

static void truncate_image(struct tiny_image *image, spate_index last)
{
    while (image->last > last) {
        free(image->entries[image->last - 1].bytes);
        image->last--;
    }
}

static void append_to_image(struct tiny_image *image, struct tiny_entry entry)
{
    if (image->last == image->capacity) {
        image->capacity = image->capacity == 0 ? 1024 : 2 * image->capacity;
        image->entries = realloc(image->entries, image->capacity * sizeof entry);
        spate_assert(image->entries != NULL);
    }
    image->entries[image->last] = entry;
    image->last++;
}

static void complete_one(struct tiny_store *self)
{
    struct tiny_batch *batch = &self->queue[(self->completed + 1) % TINY_STORE_QUEUE_MAX];
    struct tiny_image *image = self->image;

    image->is_founded = true;
    if (batch->has_hard_state) {
        image->hard_state = batch->hard_state;
    }
    if (batch->has_truncate) {
        truncate_image(image, batch->truncate_after);
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        append_to_image(image, batch->entries[i]);
    }
    free(batch->entries);
    *batch = (struct tiny_batch){0};
    self->completed++;
}

static spate_err tiny_load(struct spate_store *store, struct spate_store_loaded *ret_loaded)
{
    const struct tiny_image *image = ((struct tiny_store *)store)->image;

    *ret_loaded = (struct spate_store_loaded){
        .is_new = !image->is_founded, .hard_state = image->hard_state, .last = image->last};
    return SPATE_OK;
}

static spate_err tiny_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                           struct spate_log_span *ret_span)
{
    struct tiny_store *self = (struct tiny_store *)store;
    const struct tiny_image *image = self->image;

    self->reads++;
    if (self->is_forgetful || first < 1 || first > image->last) {
        return SPATE_ERR_NOT_FOUND;
    }
    *ret_span = (struct spate_log_span){
        .data = self->read_bytes, .first = first, .term = image->entries[first - 1].term};
    for (spate_index i = first; i <= image->last; i++) {
        const struct tiny_entry *entry = &image->entries[i - 1];
        if (entry->term != ret_span->term || ret_span->bytes + entry->stride > READ_BYTES_MAX ||
            (i > first && ret_span->bytes + entry->stride > bytes_max)) {
            break;
        }
        memcpy(self->read_bytes + ret_span->bytes, entry->bytes, entry->stride);
        ret_span->bytes += entry->stride;
        ret_span->count++;
    }
    return SPATE_OK;
}

static void copy_span(struct tiny_batch *batch, const struct spate_log_span *span)
{
    uint32_t offset = 0;

    batch->entries =
        realloc(batch->entries, (batch->count + span->count) * sizeof batch->entries[0]);
    for (uint32_t i = 0; i < span->count; i++) {
        struct spate_entry entry;
        const uint32_t stride =
            spate_entry_decode(span->data + offset, span->bytes - offset, &entry);
        spate_assert(stride > 0);
        uint8_t *bytes = malloc(stride);
        spate_assert(bytes != NULL);
        memcpy(bytes, span->data + offset, stride);
        batch->entries[batch->count] =
            (struct tiny_entry){.term = span->term, .stride = stride, .bytes = bytes};
        batch->count++;
        offset += stride;
    }
    spate_assert(offset == span->bytes);
}

static bool says_busy(struct tiny_store *self)
{
    self->draws = self->draws * 6364136223846793005ull + 1442695040888963407ull;
    return (self->draws >> 33) % 1000000 < self->busy_ppm;
}

static spate_err tiny_submit(struct spate_store *store, const struct spate_store_batch *batch,
                             spate_ticket *ret_ticket)
{
    struct tiny_store *self = (struct tiny_store *)store;

    if (self->submitted - self->completed == TINY_STORE_QUEUE_MAX - 1 || says_busy(self)) {
        return SPATE_ERR_BUSY;
    }
    self->submitted++;
    struct tiny_batch *copy = &self->queue[self->submitted % TINY_STORE_QUEUE_MAX];
    *copy = (struct tiny_batch){
        .has_hard_state = batch->has_hard_state,
        .hard_state = batch->hard_state,
        .has_truncate = batch->has_truncate,
        .truncate_after = batch->truncate_after,
    };
    for (uint32_t i = 0; i < batch->span_count; i++) {
        copy_span(copy, &batch->spans[i]);
    }
    self->polls_left = self->delay_polls;
    *ret_ticket = self->submitted;
    return SPATE_OK;
}

static spate_err tiny_poll(struct spate_store *store, spate_ticket *ret_completed)
{
    struct tiny_store *self = (struct tiny_store *)store;

    if (self->failure != SPATE_OK) {
        return self->failure;
    }
    if (self->polls_left > 0) {
        self->polls_left--;
    } else {
        while (self->completed < self->submitted) {
            complete_one(self);
        }
    }
    *ret_completed = self->completed;
    return SPATE_OK;
}

static spate_err tiny_compact(struct spate_store *store, spate_index first_kept)
{
    (void)store;
    (void)first_kept;
    return SPATE_OK;
}

static void tiny_close(struct spate_store *store)
{
    struct tiny_store *self = (struct tiny_store *)store;

    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < TINY_STORE_QUEUE_MAX; i++) {
        for (uint32_t e = 0; e < self->queue[i].count; e++) {
            free(self->queue[i].entries[e].bytes);
        }
        free(self->queue[i].entries);
    }
    free(self->read_bytes);
    free(self);
}

struct tiny_store *tiny_store_open(struct tiny_image *image, enum spate_durability durability)
{
    static const struct spate_store_ops ops = {
        .name = "tiny",
        .load = tiny_load,
        .read = tiny_read,
        .submit = tiny_submit,
        .poll = tiny_poll,
        .compact = tiny_compact,
        .close = tiny_close,
    };
    struct tiny_store *self = calloc(1, sizeof *self);

    spate_assert(self != NULL);
    self->store.ops = &ops;
    self->store.batch_bytes_max = BATCH_BYTES_MAX;
    self->store.durability = durability;
    self->image = image;
    self->read_bytes = malloc(READ_BYTES_MAX);
    spate_assert(self->read_bytes != NULL);
    return self;
}

void tiny_image_destroy(struct tiny_image *image)
{
    truncate_image(image, 0);
    free(image->entries);
    *image = (struct tiny_image){0};
}
