/* The sockets below the links, and the folder they are in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "memif_internal.h"

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    spate_assert(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int spate_dpdk_memif_listen(const char *path)
{
    const struct sockaddr_un address = address_of(path);
    int fd = open_socket();

    /* Whoever made it before is gone: the folder is locked for our address. */
    (void)unlink(path);
    if (fd >= 0 &&
        (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4) != 0)) {
        spate_dpdk_memif_close(&fd);
    }
    return fd;
}

int spate_dpdk_memif_accept(int listen_fd)
{
    return accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int spate_dpdk_memif_connect(const char *path)
{
    const struct sockaddr_un address = address_of(path);
    int fd = open_socket();

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        spate_dpdk_memif_close(&fd);
    }
    return fd;
}

void spate_dpdk_memif_close(int *fd)
{
    const int error = errno;

    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
    errno = error;
}

/* Shared memory is trusted, so the other end has to be the same user or root. */
bool spate_dpdk_memif_is_ours(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0 || geteuid() == 0);
}

static spate_err check_folder(const char *folder, const struct spate_dpdk_line *line)
{
    struct stat status;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return spate_dpdk_explain(line, errno == EACCES ? SPATE_ERR_PERMISSION : SPATE_ERR_IO,
                                  "dpdk.device memif: %s cannot be made (%s): make it, mode 0700, "
                                  "or choose another",
                                  folder, strerror(errno));
    }
    if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID, "dpdk.device memif: %s is no folder",
                                  folder);
    }
    if ((status.st_mode & 077) != 0 || (status.st_uid != geteuid() && geteuid() != 0)) {
        return spate_dpdk_explain(line, SPATE_ERR_PERMISSION,
                                  "dpdk.device memif: %s must be yours alone, for whoever can "
                                  "enter it can write to the cores' memory: chmod 700 %s",
                                  folder, folder);
    }
    return SPATE_OK;
}

spate_err spate_dpdk_memif_lock(struct memif *memif, const struct spate_dpdk_line *line)
{
    const uint32_t ip = memif->endpoint->address;
    const spate_err err = check_folder(memif->folder, line);

    if (err != SPATE_OK) {
        return err;
    }
    (void)snprintf(memif->lock_path, sizeof memif->lock_path, "%s/%u.%u.%u.%u.lock", memif->folder,
                   ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
    memif->lock_fd = open(memif->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (memif->lock_fd < 0) {
        return spate_dpdk_explain(line, SPATE_ERR_PERMISSION, "%s: %s; choose another folder",
                                  memif->lock_path, strerror(errno));
    }
    if (flock(memif->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        spate_dpdk_memif_close(&memif->lock_fd);
        return spate_dpdk_explain(line, SPATE_ERR_IN_USE,
                                  "%s is locked: another core has this address; stop it, or set "
                                  "another dpdk.address",
                                  memif->lock_path);
    }
    return SPATE_OK;
}

/* The file stays: removing it would let two processes lock two files of one name. */
void spate_dpdk_memif_unlock(struct memif *memif)
{
    spate_dpdk_memif_close(&memif->lock_fd);
}
