/* What the files of the snapshot driver share. */
#ifndef SPATE_DRIVERS_STORE_FILES_INTERNAL_H
#define SPATE_DRIVERS_STORE_FILES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/ring.h"
#include "files.h"

#define PARTIAL_NAME    "partial"
#define FILE_NAME_BYTES 64u
#define PATH_BYTES      4096u

enum request_kind { REQUEST_BEGIN = 1, REQUEST_WRITE = 2, REQUEST_COMMIT = 3 };

/* What the owner asks of the thread, as it lies in the ring. */
struct request {
    enum request_kind kind;
    uint32_t size;     /* WRITE: of what follows. */
    uint64_t sequence; /* Of the image: one that was given up is passed over. */
    uint8_t bytes[];   /* BEGIN: a manifest, or nothing. WRITE: what to write. */
};

struct spate_snapshot_reader {
    bool is_open;
    int fd;
};

struct files {
    struct spate_snapshots snapshots;
    char directory[PATH_BYTES];
    uint8_t cluster_id[16];
    struct spate_waker *waker;
    int directory_fd;

    /* The owner's. */
    struct spate_ring *requests;
    bool has_newest;
    struct spate_snapshot_manifest newest;
    uint64_t sequence; /* Of the image that is being written, or was last. */
    bool is_writing;
    struct spate_snapshot_reader readers[SPATE_SNAPSHOT_READERS_MAX];

    /* The thread's. */
    int partial_fd; /* -1: none. */
    bool is_image;
    uint64_t written; /* Sequence of what is in `partial`. */
    uint64_t offset;
    uint64_t synced;
    struct spate_snapshot_check check; /* Of what was written. */
    struct spate_snapshot_manifest manifest;

    /* Between the two. `done` is published with release order behind the manifest. */
    _Atomic uint64_t aborted; /* Images up to this sequence were given up. */
    _Atomic uint64_t done;    /* Sequence of the last commit that is decided … */
    _Atomic bool is_refused;  /* … and how. */
    struct spate_snapshot_manifest committed;
    _Atomic int failure; /* spate_err; final. */
    _Atomic bool is_asleep;
    _Atomic bool is_closing;
    int work_fd; /* eventfd: the ring has something, or closing. */
    pthread_t thread;
    bool is_started;
};

/* writer.c: the thread. */
void *spate_files_write_forever(void *context);

/* files.c */
void spate_files_name(const struct spate_snapshot_manifest *manifest, char name[FILE_NAME_BYTES]);
/* Removes all files of ours in the directory but `kept`. */
spate_err spate_files_clean(const struct files *files, const char *kept);

#endif
