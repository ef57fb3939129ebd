#include "store/mem/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/place/place.h"
#include "store/record.h"

#define MARK_NAME "memory-identity"

struct mem {
    struct spate_store store;
    spate_ticket submitted;
    struct spate_store_identity identity;
    int directory_fd;       /* Negative: there is none. */
    bool is_marked;         /* The file is there, for this incarnation. */
    bool has_made_promises; /* It was there when the store was opened. */
};

static spate_err mem_load(struct spate_store *store, struct spate_store_loaded *ret_loaded)
{
    const struct mem *mem = (const struct mem *)store;

    *ret_loaded = (struct spate_store_loaded){.is_new = !mem->has_made_promises,
                                              .hard_state = {.is_mute = mem->has_made_promises}};
    return SPATE_OK;
}

static spate_err mem_read(struct spate_store *store, spate_index first, uint32_t bytes_max,
                          struct spate_log_span *ret_span)
{
    (void)store;
    (void)first;
    (void)bytes_max;
    (void)ret_span;
    return SPATE_ERR_NOT_FOUND;
}

/* Once in the life of a core; it blocks meanwhile. */
static spate_err mark(struct mem *mem)
{
    uint8_t bytes[SPATE_IDENTITY_BYTES];

    spate_assert(!mem->is_marked);
    spate_assert(mem->directory_fd >= 0);
    spate_identity_encode(bytes, &mem->identity);
    if (spate_place_write(mem->directory_fd, MARK_NAME ".new", MARK_NAME, bytes, sizeof bytes)) {
        return SPATE_ERR_IO;
    }
    mem->is_marked = true;
    return SPATE_OK;
}

static spate_err mem_submit(struct spate_store *store, const struct spate_store_batch *batch,
                            spate_ticket *ret_ticket)
{
    struct mem *mem = (struct mem *)store;
    spate_assert(batch->has_hard_state || batch->has_reset || batch->has_truncate ||
                 batch->span_count > 0);
    if (batch->is_binding && !mem->is_marked && mem->directory_fd >= 0) {
        const spate_err err = mark(mem);
        if (err != SPATE_OK) {
            return err;
        }
    }
    *ret_ticket = ++mem->submitted;
    return SPATE_OK;
}

static spate_err mem_poll(struct spate_store *store, spate_ticket *ret_completed)
{
    *ret_completed = ((struct mem *)store)->submitted;
    return SPATE_OK;
}

static spate_err mem_compact(struct spate_store *store, spate_index first_kept)
{
    (void)store;
    (void)first_kept;
    return SPATE_OK;
}

static void mem_close(struct spate_store *store)
{
    struct mem *mem = (struct mem *)store;

    if (mem != NULL && mem->directory_fd >= 0) {
        (void)close(mem->directory_fd);
    }
    free(mem);
}

static const struct spate_store_ops mem_ops = {
    .name = "mem",
    .load = mem_load,
    .read = mem_read,
    .submit = mem_submit,
    .poll = mem_poll,
    .compact = mem_compact,
    .close = mem_close,
};

/* Whose promises were made here. A core of a larger incarnation has made none yet. */
static spate_err look(struct mem *mem, const char *directory,
                      const struct spate_complaint *complaint)
{
    uint8_t bytes[SPATE_IDENTITY_BYTES + 1];
    struct spate_store_identity stored;
    const int fd = openat(mem->directory_fd, MARK_NAME, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return errno == ENOENT ? SPATE_OK
                               : spate_complain(complaint, SPATE_ERR_IO, "%s/%s cannot be read: %s",
                                                directory, MARK_NAME, strerror(errno));
    }
    const ssize_t size = read(fd, bytes, sizeof bytes);
    (void)close(fd);
    if (size < 0 || spate_identity_decode(bytes, (size_t)size, &stored) != SPATE_OK) {
        return spate_complain(complaint, SPATE_ERR_CORRUPT,
                              "%s/%s fails its check: remove it, and start this core with a larger "
                              "incarnation",
                              directory, MARK_NAME);
    }
    const spate_err err = spate_place_compare(&stored, &mem->identity, directory, complaint);
    if (err == SPATE_OK) {
        mem->has_made_promises = stored.incarnation >= mem->identity.incarnation;
        mem->is_marked = mem->has_made_promises;
    }
    return err;
}

spate_err spate_store_mem_create(const struct spate_store_mem_options *options,
                                 struct spate_store **ret_store, char *ret_message,
                                 size_t message_bytes)
{
    const struct spate_complaint complaint = {.message = ret_message,
                                              .message_bytes = message_bytes};
    struct mem *mem = calloc(1, sizeof *mem);

    spate_assert(options != NULL);
    if (mem == NULL) {
        return spate_complain(&complaint, SPATE_ERR_NO_MEMORY, "out of memory");
    }
    mem->store = (struct spate_store){
        .ops = &mem_ops, .batch_bytes_max = UINT64_MAX, .durability = SPATE_DURABILITY_MEMORY};
    mem->identity = options->identity;
    mem->directory_fd = -1;
    if (options->directory != NULL) {
        spate_err err = spate_place_take(options->directory, &mem->directory_fd, &complaint);
        if (err == SPATE_OK) {
            err = look(mem, options->directory, &complaint);
        }
        if (err != SPATE_OK) {
            mem_close(&mem->store);
            return err;
        }
    }
    *ret_store = &mem->store;
    return SPATE_OK;
}

bool spate_store_mem_is_in(const char *directory)
{
    char path[4096];

    spate_assert(directory != NULL);
    (void)snprintf(path, sizeof path, "%s/%s", directory, MARK_NAME);
    return access(path, F_OK) == 0;
}
