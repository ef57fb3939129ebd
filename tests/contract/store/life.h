/*
 * One life of a segment log, drawn from a seed: batches of entries, terms, cuts, resets and
 * compactions, and what holds behind each. For the tests that crash it.
 */
#ifndef SPATE_CONTRACT_LIFE_H
#define SPATE_CONTRACT_LIFE_H

#include "store/store.h"

#define LIFE_BATCHES 90u

/* What holds behind a batch: which entries there are follows from the terms. */
struct life_model {
    struct spate_hard_state hard_state;
    struct spate_entry_id base;
    spate_index last;
    spate_index compacted_to; /* The base may have moved up to before this. */
    spate_term terms[4096];   /* Of entries base + 1 … last, by index modulo its size. */
};

/* Makes an empty folder, in memory if there is such a place. Returns `path`. */
char *life_make_directory(char path[64]);

/* Opens the store there; with `accepts_damage` also one whose log is damaged. */
spate_err life_open(const char *directory, bool accepts_damage, struct spate_store **ret_store,
                    char message[512]);

/* Lives in an empty folder, and marks (disk_mark) each batch that was acknowledged. */
void life_live(const char *directory, uint64_t seed);

/* The last batch, from `acknowledged` on, behind which the store is; more than LIFE_BATCHES: none.
 */
uint64_t life_find(struct spate_store *store, const struct spate_store_loaded *loaded,
                   uint64_t acknowledged);

/* Whether the store is where it was behind the batch: its entries, and nothing else. */
bool life_is_behind(const struct spate_store_loaded *loaded, uint64_t batch);

/* The entries of the store up to `last` are those behind the batch. */
void life_assert_entries(struct spate_store *store, const struct spate_store_loaded *loaded,
                         uint64_t batch, spate_index last);

/* Appends LIFE_MORE entries of the next term and waits until they are durable. */
#define LIFE_MORE 3u
void life_go_on(struct spate_store *store, const struct spate_store_loaded *loaded);

/* Waits until all is durable that was submitted up to the ticket. */
void life_settle(struct spate_store *store, spate_ticket ticket);

#endif
