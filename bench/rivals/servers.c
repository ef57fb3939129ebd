#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/children.h"
#include "bench/rivals/rivals_internal.h"

#define GRACE_MS      5000
#define ARGUMENTS_MAX 40u

static struct process servers[RIVAL_NODES_MAX];
static uint32_t server_count;

static int open_socket(uint16_t port, struct sockaddr_in *ret_address)
{
    *ret_address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

bool servers_choose_ports(uint16_t ports[], uint32_t count)
{
    int sockets[2 * RIVAL_NODES_MAX];
    uint32_t opened = 0;
    bool is_chosen = count <= 2 * RIVAL_NODES_MAX;

    while (is_chosen && opened < count) {
        struct sockaddr_in address;
        socklen_t bytes = sizeof address;
        const int fd = open_socket(0, &address);
        if (fd < 0) {
            is_chosen = false;
            break;
        }
        sockets[opened] = fd;
        is_chosen = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                    getsockname(fd, (struct sockaddr *)&address, &bytes) == 0;
        ports[opened++] = ntohs(address.sin_port);
    }
    while (opened > 0) {
        (void)close(sockets[--opened]);
    }
    return is_chosen;
}

int servers_connect(uint16_t port)
{
    struct sockaddr_in address;
    const int fd = open_socket(port, &address);
    const int on = 1;

    if (fd < 0) {
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* As process_start(), with the log for its standard error. */
static bool start_with_log(struct process *server, char *const words[], const char *log)
{
    const int ours = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    const int file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const bool is_started =
        ours >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0 && process_start(server, words);

    if (ours >= 0) {
        (void)dup2(ours, STDERR_FILENO);
        (void)close(ours);
    }
    if (file >= 0) {
        (void)close(file);
    }
    return is_started;
}

struct process *servers_start(const char *const arguments[], int cpu, const char *log)
{
    char *words[ARGUMENTS_MAX + 1];
    uint32_t count = 0;

    while (arguments[count] != NULL && count < ARGUMENTS_MAX) {
        count++;
    }
    memcpy(words, arguments, count * sizeof *words); /* exec() wants them so, and changes none. */
    words[count] = NULL;
    if (server_count == RIVAL_NODES_MAX) {
        return NULL;
    }
    struct process *server = &servers[server_count];
    /* A child has the processors of its parent. */
    const bool is_started = bench_pin(cpu) && start_with_log(server, words, log);
    const bool is_free = bench_pin(BENCH_CPU_ANY);
    server_count += is_started;
    return is_started && is_free ? server : NULL;
}

void servers_stop(void)
{
    /* What they have is thrown away: none gets the time to leave in good order. */
    for (uint32_t s = 0; s < server_count; s++) {
        (void)process_end(&servers[s], SIGKILL, GRACE_MS);
    }
    server_count = 0;
}

bool servers_runs(const struct process *server)
{
    siginfo_t ended = {0};

    return waitid(P_PID, (id_t)server->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0;
}

void servers_quote_log(const char *path, char message[RIVAL_TEXT_BYTES])
{
    char text[512] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    char line[512];
    while (fgets(line, sizeof line, file) != NULL) {
        (void)snprintf(text, sizeof text, "%s", line);
    }
    (void)fclose(file);
    text[strcspn(text, "\n")] = '\0';
    const size_t used = strlen(message);
    if (text[0] != '\0') {
        (void)snprintf(message + used, RIVAL_TEXT_BYTES - used, "; its log ends: %s", text);
    }
}

uint64_t servers_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec used;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}
