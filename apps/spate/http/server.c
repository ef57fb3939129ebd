#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "internal.h"
#include "net/net.h"

/* MHD calls these two for every request of either listener. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are MHD's. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request)
{
    struct http_server *server = context;
    (void)version;

    if (strncmp(path, "/v1/kv/", 7) == 0) {
        return keys_handle(server, connection, path, method, upload, upload_size, request);
    }
    if (strcmp(path, "/v1/members") == 0 || strcmp(path, "/v1/transfer-leader") == 0) {
        return members_handle(server, connection, path, method, upload_size,
                              (struct request **)request);
    }
    if (strcmp(path, "/v1/snapshot") == 0) {
        return copy_handle(server, connection, method, upload_size, (struct request **)request);
    }
    if (*upload_size != 0) {
        *upload_size = 0; /* Bodies that nobody asked for are read and forgotten. */
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer_error(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
                            "only GET is possible here");
    }
    return health_handle(server, connection, path);
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are MHD's. */
static enum MHD_Result handle_health(void *context, struct MHD_Connection *connection,
                                     const char *path, const char *method, const char *version,
                                     const char *upload, size_t *upload_size, void **request)
{
    if (strncmp(path, "/v1/", 4) == 0) {
        return answer_error(context, connection, MHD_HTTP_NOT_FOUND, "not_found",
                            "the API is on another port (api.listen)");
    }
    return handle(context, connection, path, method, version, upload, upload_size, request);
}

static void completed(void *context, struct MHD_Connection *connection, void **request,
                      enum MHD_RequestTerminationCode why)
{
    (void)connection;
    (void)why;
    keys_forget(context, *request);
    *request = NULL;
}

static uint64_t now_of(struct http_server *server)
{
    return spate_clock_now(server->options.clock);
}

/* Lets MHD do its share, and hands outcomes to the requests that wait for them. */
static void run_once(struct http_server *server, int epoll_fd)
{
    const spate_time_ns now = now_of(server);
    const spate_time_ns members_at = members_look(server, now);
    const spate_time_ns copy_at = copy_look(server, now);
    const spate_time_ns look_at = members_at < copy_at ? members_at : copy_at;
    spate_time_ns deadline = keys_expire(server, now);
    MHD_UNSIGNED_LONG_LONG mhd_ms = 1000;
    int timeout_ms = 1000;

    deadline = look_at < deadline ? look_at : deadline;
    if (deadline != SPATE_TIME_NEVER) {
        timeout_ms = deadline <= now ? 0 : (int)((deadline - now) / 1000000 + 1);
        timeout_ms = timeout_ms > 1000 ? 1000 : timeout_ms;
    }
    struct MHD_Daemon *daemons[] = {server->health, server->api};
    for (unsigned d = 0; d < 2; d++) {
        if (daemons[d] != NULL && MHD_get_timeout(daemons[d], &mhd_ms) == MHD_YES &&
            mhd_ms < (MHD_UNSIGNED_LONG_LONG)timeout_ms) {
            timeout_ms = (int)mhd_ms;
        }
    }
    struct epoll_event events[4];
    spate_rcu_offline();
    (void)epoll_wait(epoll_fd, events, 4, timeout_ms);
    spate_rcu_online();
    keys_take_results(server);
    for (unsigned d = 0; d < 2; d++) {
        if (daemons[d] != NULL) {
            (void)MHD_run(daemons[d]);
        }
    }
    /* What the handlers proposed in this round goes to the core in one piece. */
    spate_submit(server->options.port);
    spate_rcu_quiescent();
}

static bool watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool watch_daemon(int epoll_fd, struct MHD_Daemon *daemon)
{
    if (daemon == NULL) {
        return true;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info != NULL && watch(epoll_fd, info->epoll_fd);
}

static void *serve(void *context)
{
    struct http_server *server = context;
    const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    spate_assert(epoll_fd >= 0);
    const bool is_watching =
        watch(epoll_fd, server->stop_fd) && watch(epoll_fd, spate_port_fd(server->options.port)) &&
        watch_daemon(epoll_fd, server->health) && watch_daemon(epoll_fd, server->api);
    spate_assert(is_watching);

    spate_rcu_register();
    while (!atomic_load_explicit(&server->is_stopping, memory_order_acquire)) {
        run_once(server, epoll_fd);
    }
    (void)keys_expire(server, SPATE_TIME_NEVER); /* Answers whoever still waits. */
    (void)members_look(server, SPATE_TIME_NEVER);
    (void)copy_look(server, SPATE_TIME_NEVER);
    if (server->api != NULL) {
        (void)MHD_run(server->api);
    }
    spate_rcu_unregister();
    (void)close(epoll_fd);
    return NULL;
}

/* Errors: SPATE_ERR_INVALID */
static spate_err to_sockaddr(const char *text, struct sockaddr_storage *ret_address,
                             socklen_t *ret_bytes)
{
    struct spate_address address;

    if (spate_address_parse(text, &address) != SPATE_OK) {
        return SPATE_ERR_INVALID;
    }
    *ret_address = (struct sockaddr_storage){0};
    if (address.family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret_address;
        in->sin_family = AF_INET;
        in->sin_port = htons(address.port);
        memcpy(&in->sin_addr, address.bytes, 4);
        *ret_bytes = sizeof *in;
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_address;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(address.port);
        memcpy(&in6->sin6_addr, address.bytes, 16);
        *ret_bytes = sizeof *in6;
    }
    return SPATE_OK;
}

static spate_err bind_listener(const char *name, const char *listen_text, int *ret_fd,
                               char *message, size_t message_bytes)
{
    struct sockaddr_storage address;
    socklen_t address_bytes = 0;
    const int one = 1;

    if (to_sockaddr(listen_text, &address, &address_bytes) != SPATE_OK) {
        (void)snprintf(message, message_bytes,
                       "%s = '%s': give an address and a port, like 127.0.0.1:7220", name,
                       listen_text);
        return SPATE_ERR_INVALID;
    }
    const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)snprintf(message, message_bytes, "%s: no socket: %s", name, strerror(errno));
        return SPATE_ERR_NO_MEMORY;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, address_bytes) != 0 || listen(fd, 1024) != 0) {
        const int error = errno;
        (void)snprintf(message, message_bytes,
                       "%s: cannot listen on %s: %s; stop what listens there or choose another",
                       name, listen_text, strerror(error));
        (void)close(fd);
        return error == EADDRINUSE ? SPATE_ERR_IN_USE
               : error == EACCES   ? SPATE_ERR_PERMISSION
                                   : SPATE_ERR_INVALID;
    }
    *ret_fd = fd;
    return SPATE_OK;
}

static spate_err open_daemon(struct http_server *server, const char *name, const char *listen_text,
                             MHD_AccessHandlerCallback handler, struct MHD_Daemon **ret_daemon,
                             char *message, size_t message_bytes)
{
    int fd = -1;

    if (listen_text == NULL || listen_text[0] == '\0') {
        return SPATE_OK;
    }
    const spate_err err = bind_listener(name, listen_text, &fd, message, message_bytes);
    if (err != SPATE_OK) {
        return err;
    }
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
                         handler, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
                         completed, server, MHD_OPTION_CONNECTION_LIMIT, HTTP_WAITING_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_END);
    if (daemon == NULL) {
        (void)close(fd);
        (void)snprintf(message, message_bytes, "%s: the HTTP server did not start", name);
        return SPATE_ERR_NO_MEMORY;
    }
    *ret_daemon = daemon;
    return SPATE_OK;
}

spate_err http_server_open(const struct http_options *options, struct http_server **ret_server,
                           char *message, size_t message_bytes)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        (void)snprintf(message, message_bytes, "out of memory");
        return SPATE_ERR_NO_MEMORY;
    }
    server->options = *options;
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    spate_prng_seed(&server->prng, options->seed, 0x68747470);
    spate_err err = open_daemon(server, "health.listen", options->health_listen, handle_health,
                                &server->health, message, message_bytes);
    if (err == SPATE_OK) {
        err = open_daemon(server, "api.listen", options->api_listen, handle, &server->api, message,
                          message_bytes);
    }
    if (err != SPATE_OK) {
        http_server_close(server);
        return err;
    }
    *ret_server = server;
    return SPATE_OK;
}

spate_err http_server_start(struct http_server *server)
{
    if (pthread_create(&server->thread, NULL, serve, server) != 0) {
        return SPATE_ERR_NO_MEMORY;
    }
    server->is_started = true;
    return SPATE_OK;
}

void http_server_drain(struct http_server *server)
{
    atomic_store_explicit(&server->is_draining, true, memory_order_relaxed);
}

void http_server_close(struct http_server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->is_started) {
        const uint64_t one = 1;
        atomic_store_explicit(&server->is_stopping, true, memory_order_release);
        (void)!write(server->stop_fd, &one, sizeof one);
        (void)pthread_join(server->thread, NULL);
    }
    if (server->api != NULL) {
        MHD_stop_daemon(server->api);
    }
    if (server->health != NULL) {
        MHD_stop_daemon(server->health);
    }
    if (server->stop_fd >= 0) {
        (void)close(server->stop_fd);
    }
    free(server);
}
