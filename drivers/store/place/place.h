/* The directory that a store lies in: made, taken for one process, synced; and what to say when
 * that fails. Shared by the stores on disk. */
#ifndef SPATE_DRIVERS_STORE_PLACE_H
#define SPATE_DRIVERS_STORE_PLACE_H

#include <stddef.h>

#include "store/store.h"

/* Where the one line for people goes that explains why a store cannot be opened. */
struct spate_complaint {
    char *message; /* May be NULL. */
    size_t message_bytes;
};

/* Writes the line and returns `err`. */
__attribute__((format(printf, 3, 4))) spate_err
spate_complain(const struct spate_complaint *complaint, spate_err err, const char *format, ...);

/* Makes names that were made, renamed or removed in a directory last. Errors: SPATE_ERR_IO */
spate_err spate_place_sync(const char *directory) SPATE_MUST_CHECK;

/*
 * Makes the directory (mode 0700) if need be, and takes it for this process until *ret_fd is
 * closed. Errors: IN_USE, PERMISSION, INVALID, IO, each with its line.
 */
spate_err spate_place_take(const char *directory, int *ret_fd,
                           const struct spate_complaint *complaint) SPATE_MUST_CHECK;

/*
 * Writes a small file, whole or not at all, and makes it last; `temporary` is the name that it has
 * until then. Returns 0, or the system's error number.
 */
int spate_place_write(int directory_fd, const char *temporary, const char *name,
                      const uint8_t *bytes, uint32_t size) SPATE_MUST_CHECK;

/* Compares the identity that was stored with the one that is wanted. Errors: MISMATCH, with its
 * line. */
spate_err spate_place_compare(const struct spate_store_identity *stored,
                              const struct spate_store_identity *wanted, const char *directory,
                              const struct spate_complaint *complaint) SPATE_MUST_CHECK;

#endif
