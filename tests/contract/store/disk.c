#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/test.h"

#define STEPS_MAX 20000u
#define FILES_MAX 64u
#define NAMES_MAX 64u
#define SECTOR    512u

enum step_kind { WRITE, SYNC, CREATE, RENAME, UNLINK, SYNC_NAMES, MARK };

struct step {
    enum step_kind kind;
    bool is_synced; /* A write that is durable once it returns. */
    uint32_t file;
    uint64_t at, size;
    uint8_t *data; /* NULL: zeros. */
    char name[32], to[32];
    uint64_t mark;
};

struct name {
    char name[32];
    uint32_t file;
};

struct file {
    ino_t inode;
    uint8_t *bytes; /* As they are durable. */
    uint64_t size;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool is_recording;
static char recorded[128];
static struct step steps[STEPS_MAX];
static uint32_t step_count;
static struct file files[FILES_MAX];
static uint32_t file_count;

/* What is durable before the step that images were made of last. */
static uint32_t replayed;
static uint32_t pending[STEPS_MAX]; /* Steps that happened and are not durable. */
static uint32_t pending_count;
static struct name names[NAMES_MAX];
static uint32_t name_count;

#define INTERPOSED __attribute__((visibility("default")))
INTERPOSED ssize_t recording_pwrite(int fd, const void *data, size_t size,
                                    off_t offset) __asm__("pwrite64");
INTERPOSED int recording_openat(int directory, const char *name, int flags,
                                ...) __asm__("openat64");
INTERPOSED int fdatasync(int fd);
INTERPOSED int fsync(int fd);
INTERPOSED int renameat(int from_directory, const char *from, int to_directory, const char *to);
INTERPOSED int unlinkat(int directory, const char *name, int flags);

static bool is_below(int fd)
{
    char link[64];
    char path[256] = "";

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0) {
        return false;
    }
    return strncmp(path, recorded, strlen(recorded)) == 0;
}

static struct step *add(enum step_kind kind)
{
    assert_true(step_count < STEPS_MAX);
    struct step *step = &steps[step_count++];
    *step = (struct step){.kind = kind};
    return step;
}

static uint32_t file_of(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    for (uint32_t f = 0; f < file_count; f++) {
        if (files[f].inode == status.st_ino) {
            return f;
        }
    }
    assert_true(file_count < FILES_MAX);
    files[file_count] = (struct file){.inode = status.st_ino};
    return file_count++;
}

static bool is_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

ssize_t recording_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    (void)pthread_mutex_lock(&mutex);
    const ssize_t done = syscall(SYS_pwrite64, fd, data, size, offset);
    if (done > 0 && atomic_load(&is_recording) && is_below(fd)) {
        struct step *step = add(WRITE);
        step->file = file_of(fd);
        step->at = (uint64_t)offset;
        step->size = (uint64_t)done;
        step->is_synced = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
        if (!is_zero(data, size)) {
            step->data = malloc(size);
            assert_non_null(step->data);
            memcpy(step->data, data, size);
        }
    }
    (void)pthread_mutex_unlock(&mutex);
    return done;
}

static int sync_file(long number, int fd)
{
    struct stat status;

    (void)pthread_mutex_lock(&mutex);
    const int result = (int)syscall(number, fd);
    if (result == 0 && atomic_load(&is_recording) && is_below(fd)) {
        const bool is_directory = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
        struct step *step = add(is_directory ? SYNC_NAMES : SYNC);
        step->file = is_directory ? 0 : file_of(fd);
    }
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int fdatasync(int fd)
{
    return sync_file(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_file(SYS_fsync, fd);
}

int recording_openat(int directory, const char *name, int flags, ...)
{
    va_list arguments;
    struct stat status;

    va_start(arguments, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(arguments, int) : 0;
    va_end(arguments);
    (void)pthread_mutex_lock(&mutex);
    const bool creates = (flags & O_CREAT) != 0 && atomic_load(&is_recording) &&
                         is_below(directory) && fstatat(directory, name, &status, 0) != 0;
    const int fd = (int)syscall(SYS_openat, directory, name, flags, mode);
    if (fd >= 0 && creates) {
        /* The number of a file that is gone may come again. */
        assert_int_equal(fstat(fd, &status), 0);
        for (uint32_t f = 0; f < file_count; f++) {
            files[f].inode = files[f].inode == status.st_ino ? 0 : files[f].inode;
        }
        struct step *step = add(CREATE);
        step->file = file_of(fd);
        (void)snprintf(step->name, sizeof step->name, "%s", name);
    }
    (void)pthread_mutex_unlock(&mutex);
    return fd;
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    (void)pthread_mutex_lock(&mutex);
    const int result = (int)syscall(SYS_renameat, from_directory, from, to_directory, to);
    if (result == 0 && atomic_load(&is_recording) && is_below(to_directory)) {
        struct step *step = add(RENAME);
        (void)snprintf(step->name, sizeof step->name, "%s", from);
        (void)snprintf(step->to, sizeof step->to, "%s", to);
    }
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int unlinkat(int directory, const char *name, int flags)
{
    (void)pthread_mutex_lock(&mutex);
    const int result = (int)syscall(SYS_unlinkat, directory, name, flags);
    if (result == 0 && atomic_load(&is_recording) && is_below(directory)) {
        (void)snprintf(add(UNLINK)->name, sizeof steps[0].name, "%s", name);
    }
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

void disk_stop(void)
{
    atomic_store(&is_recording, false);
}

void disk_mark(uint64_t mark)
{
    (void)pthread_mutex_lock(&mutex);
    add(MARK)->mark = mark;
    (void)pthread_mutex_unlock(&mutex);
}

uint32_t disk_steps(void)
{
    return step_count;
}

uint64_t disk_marked(uint32_t step)
{
    while (step-- > 0) {
        if (steps[step].kind == MARK) {
            return steps[step].mark;
        }
    }
    return 0;
}

bool disk_is_worth(uint32_t step)
{
    return steps[step].kind != MARK;
}

/* Makes the sectors of a write durable that `prng` chooses; all of them without one. */
static void apply_write(struct file *file, const struct step *step, struct spate_prng *prng)
{
    if (step->at + step->size > file->size) {
        file->bytes = realloc(file->bytes, step->at + step->size);
        assert_non_null(file->bytes);
        memset(file->bytes + file->size, 0, step->at + step->size - file->size);
        file->size = step->at + step->size;
    }
    /* Nothing, all, a beginning, an end, or any. */
    const uint64_t how = prng != NULL ? spate_prng_below(prng, 5) : 1;
    const uint64_t cut = prng != NULL ? spate_prng_below(prng, step->size / SECTOR + 1) : 0;
    for (uint64_t at = 0; at < step->size; at += SECTOR) {
        const uint64_t bytes = step->size - at < SECTOR ? step->size - at : SECTOR;
        const bool arrives = how == 1 || (how == 2 && at / SECTOR < cut) ||
                             (how == 3 && at / SECTOR >= cut) ||
                             (how == 4 && spate_prng_below(prng, 2) == 1);
        if (arrives && step->data != NULL) {
            memcpy(file->bytes + step->at + at, step->data + at, bytes);
        } else if (arrives) {
            memset(file->bytes + step->at + at, 0, bytes);
        }
    }
}

static void remove_name(struct name table[], uint32_t *count, const char *name)
{
    for (uint32_t n = 0; n < *count; n++) {
        if (strcmp(table[n].name, name) == 0) {
            table[n] = table[--*count];
            return;
        }
    }
}

static void add_name(struct name table[], uint32_t *count, const char *name, uint32_t file)
{
    remove_name(table, count, name);
    assert_true(*count < NAMES_MAX);
    table[*count].file = file;
    (void)snprintf(table[(*count)++].name, sizeof table[0].name, "%s", name);
}

static void apply_name(struct name table[], uint32_t *count, const struct step *step)
{
    if (step->kind == CREATE) {
        add_name(table, count, step->name, step->file);
    } else if (step->kind == UNLINK) {
        remove_name(table, count, step->name);
    } else {
        for (uint32_t n = 0; n < *count; n++) {
            if (strcmp(table[n].name, step->name) == 0) {
                const uint32_t file = table[n].file;
                remove_name(table, count, step->name);
                add_name(table, count, step->to, file);
                return;
            }
        }
    }
}

/* A file that is there when the recording begins: durable, as it is. */
static void adopt(const char *directory, const char *name)
{
    char path[384];
    struct stat status;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    struct file *file = &files[file_of(fd)];
    file->size = (uint64_t)status.st_size;
    file->bytes = malloc(file->size + 1);
    assert_non_null(file->bytes);
    for (uint64_t at = 0; at < file->size;) {
        const ssize_t done = pread(fd, file->bytes + at, file->size - at, (off_t)at);
        assert_true(done > 0);
        at += (uint64_t)done;
    }
    add_name(names, &name_count, name, (uint32_t)(file - files));
    (void)close(fd);
}

static void adopt_all(const char *directory)
{
    const struct dirent *entry;
    DIR *folder = opendir(directory);

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            adopt(directory, entry->d_name);
        }
    }
    (void)closedir(folder);
}

void disk_record(const char *directory)
{
    for (uint32_t s = 0; s < step_count; s++) {
        free(steps[s].data);
    }
    for (uint32_t f = 0; f < file_count; f++) {
        free(files[f].bytes);
    }
    step_count = file_count = replayed = pending_count = name_count = 0;
    memset(files, 0, sizeof files);
    adopt_all(directory);
    (void)snprintf(recorded, sizeof recorded, "%s", directory);
    atomic_store(&is_recording, true);
}

static bool is_of_names(const struct step *step)
{
    return step->kind == CREATE || step->kind == RENAME || step->kind == UNLINK;
}

/* Makes the pending steps durable that a sync covers. */
static void settle(const struct step *sync)
{
    uint32_t kept = 0;

    for (uint32_t p = 0; p < pending_count; p++) {
        const struct step *step = &steps[pending[p]];
        if (sync->kind == SYNC_NAMES && is_of_names(step)) {
            apply_name(names, &name_count, step);
        } else if (sync->kind == SYNC && step->kind == WRITE && step->file == sync->file) {
            apply_write(&files[step->file], step, NULL);
        } else {
            pending[kept++] = pending[p];
        }
    }
    pending_count = kept;
}

static void replay(uint32_t until)
{
    for (; replayed < until; replayed++) {
        const struct step *step = &steps[replayed];
        if (step->kind == SYNC || step->kind == SYNC_NAMES) {
            settle(step);
        } else if (step->kind == WRITE && step->is_synced) {
            apply_write(&files[step->file], step, NULL);
        } else if (step->kind != MARK) {
            pending[pending_count++] = replayed;
        }
    }
}

/* Writes the parts of a file that are not zero. */
static void write_file(const char *directory, const char *name, const struct file *file)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    const int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)file->size), 0);
    for (uint64_t at = 0; at < file->size; at += 1u << 16) {
        const size_t bytes = file->size - at < 1u << 16 ? file->size - at : 1u << 16;
        if (!is_zero(file->bytes + at, bytes)) {
            assert_int_equal(syscall(SYS_pwrite64, fd, file->bytes + at, bytes, at), bytes);
        }
    }
    (void)close(fd);
}

void disk_crash_image(uint32_t step, struct spate_prng *prng, const char *directory)
{
    static struct file image[FILES_MAX];
    static struct name table[NAMES_MAX];
    uint32_t count = name_count;

    assert_true(step >= replayed);
    replay(step);
    const uint32_t kept = pending_count;
    pending[pending_count++] = step; /* It is under way. */
    for (uint32_t f = 0; f < file_count; f++) {
        image[f] = files[f];
        image[f].bytes = files[f].size > 0 ? malloc(files[f].size) : NULL;
        if (files[f].size > 0) {
            memcpy(image[f].bytes, files[f].bytes, files[f].size);
        }
    }
    memcpy(table, names, sizeof table);
    count = name_count;
    bool names_arrive = true;
    for (uint32_t p = 0; p < pending_count; p++) {
        const struct step *pended = &steps[pending[p]];
        if (pended->kind == WRITE) {
            apply_write(&image[pended->file], pended, prng);
        } else if (is_of_names(pended)) {
            names_arrive = names_arrive && spate_prng_below(prng, 4) != 0;
            if (names_arrive) {
                apply_name(table, &count, pended);
            }
        }
    }
    pending_count = kept;
    for (uint32_t n = 0; n < count; n++) {
        write_file(directory, table[n].name, &image[table[n].file]);
    }
    for (uint32_t f = 0; f < file_count; f++) {
        free(image[f].bytes);
    }
}
