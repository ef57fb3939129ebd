/* Entries for stores, and folders that tests leave nothing of. */
#ifndef SPATE_SUPPORT_SPANS_H
#define SPATE_SUPPORT_SPANS_H

#include "store/store.h"

/* A span of `count` entries whose payloads begin with their index and term. */
struct spate_log_span make_span(uint8_t *to, spate_index first, uint32_t count, spate_term term,
                                uint32_t payload);

/* The store has the entries [first, last] as make_span() made them, of at least 16 bytes. */
void assert_entries(struct spate_store *store, spate_index first, spate_index last,
                    spate_term term);

/* Removes a folder with what is in it. 0: done. */
int remove_tree(const char *path);

#endif
