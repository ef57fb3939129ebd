/*
 * What EAL makes in the file system: a folder per process with its telemetry socket, in
 * /var/run/dpdk for root and below XDG_RUNTIME_DIR or /tmp for others. EAL leaves it behind, so we
 * remove our own at exit, and at start those of spate processes that were killed. A living process
 * holds a lock on a file in its folder.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eal_internal.h"

#define LOCK_FILE "spate.lock"

#define PATH_BYTES (PATH_MAX + NAME_MAX + 2)

static int lock_fd = -1;
static char own_folder[PATH_BYTES];

static const char *parent_folder(char text[PATH_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *base = getuid() == 0 ? "/var/run" : runtime != NULL ? runtime : "/tmp";

    (void)snprintf(text, PATH_MAX, "%s/dpdk", base);
    return text;
}

/* EAL's folders are flat. */
static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    (void)rmdir(path);
}

/* Without a lock's file it is not ours, or not yet. */
static bool is_abandoned(const char *path)
{
    char name[PATH_BYTES + sizeof LOCK_FILE + 1];

    (void)snprintf(name, sizeof name, "%s/" LOCK_FILE, path);
    const int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    const bool is_free = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_free;
}

void spate_dpdk_folder_sweep(void)
{
    char parent[PATH_MAX], path[PATH_BYTES];
    DIR *folder = opendir(parent_folder(parent));
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, "spate-", 6) != 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", parent, entry->d_name);
        if (is_abandoned(path)) {
            remove_folder(path);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

void spate_dpdk_folder_claim(const char *prefix)
{
    char parent[PATH_MAX], name[PATH_BYTES + sizeof LOCK_FILE + 1];

    (void)mkdir(parent_folder(parent), 0700);
    (void)snprintf(own_folder, sizeof own_folder, "%s/%s", parent, prefix);
    (void)mkdir(own_folder, 0700);
    (void)snprintf(name, sizeof name, "%s/" LOCK_FILE, own_folder);
    lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_fd >= 0) {
        (void)flock(lock_fd, LOCK_EX | LOCK_NB);
    }
}

void spate_dpdk_folder_remove(void)
{
    remove_folder(own_folder);
}

uint64_t spate_dpdk_hugepages_free_mib(void)
{
    DIR *folder = opendir("/sys/kernel/mm/hugepages");
    const struct dirent *entry;
    uint64_t kib = 0;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char name[PATH_MAX];
        unsigned long size, pages;
        if (sscanf(entry->d_name, "hugepages-%lukB", &size) != 1) {
            continue;
        }
        (void)snprintf(name, sizeof name, "/sys/kernel/mm/hugepages/%s/free_hugepages",
                       entry->d_name);
        FILE *file = fopen(name, "re");
        if (file != NULL && fscanf(file, "%lu", &pages) == 1) {
            kib += (uint64_t)size * pages;
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return kib / 1024;
}
