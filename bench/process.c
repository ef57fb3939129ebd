#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t is_interrupted;

static void note_interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

void process_catch_signals(void)
{
    const struct sigaction action = {.sa_handler = note_interrupt};
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (unsigned n = 0; n < 3; n++) {
        (void)sigaction(numbers[n], &action, NULL);
    }
    (void)signal(SIGPIPE, SIG_IGN);
}

bool process_is_interrupted(void)
{
    return is_interrupted != 0;
}

_Noreturn static void become(char *const arguments[], const int in[2], const int out[2],
                             pid_t parent)
{
    /* A group of its own: Ctrl-C reaches the parent only, which ends its children in order. */
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0) {
        _exit(127);
    }
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)execvp(arguments[0], arguments);
    _exit(127);
}

bool process_start(struct process *process, char *const arguments[])
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    const pid_t parent = getpid();

    *process = (struct process){.to = -1, .from = -1};
    if (pipe2(in, O_CLOEXEC) != 0) {
        return false;
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        (void)close(in[0]);
        (void)close(in[1]);
        return false;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        become(arguments, in, out, parent);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    if (pid < 0) {
        (void)close(in[1]);
        (void)close(out[0]);
        return false;
    }
    process->pid = pid;
    process->to = in[1];
    process->from = out[0];
    return true;
}

bool process_say(struct process *process, const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    const int bytes = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (process->pid == 0 || bytes < 0 || bytes >= (int)sizeof line - 1) {
        return false;
    }
    line[bytes] = '\n';
    return write(process->to, line, (size_t)bytes + 1) == bytes + 1;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Hands out the first line of what has arrived, if there is a whole one. */
static const char *cut_line(struct process *process, char *to, size_t to_bytes)
{
    char *end = memchr(process->line, '\n', process->line_bytes);
    if (end == NULL) {
        return NULL;
    }
    const uint32_t bytes = (uint32_t)(end - process->line);
    if (bytes >= to_bytes) {
        return NULL;
    }
    memcpy(to, process->line, bytes);
    to[bytes] = '\0';
    process->line_bytes -= bytes + 1;
    memmove(process->line, end + 1, process->line_bytes);
    return to;
}

const char *process_hear(struct process *process, int timeout_ms)
{
    static char line[sizeof process->line];
    const uint64_t end = now_ms() + (uint64_t)timeout_ms;

    for (;;) {
        if (cut_line(process, line, sizeof line) != NULL) {
            return line;
        }
        const uint64_t now = now_ms();
        struct pollfd waiting = {.fd = process->from, .events = POLLIN};
        if (process->pid == 0 || now >= end || process->line_bytes == sizeof process->line) {
            return NULL;
        }
        const int ready = poll(&waiting, 1, (int)(end - now));
        if (ready < 0 && errno != EINTR) {
            return NULL;
        }
        if (ready < 0 && is_interrupted) {
            return NULL;
        }
        if (ready > 0) {
            const ssize_t got = read(process->from, process->line + process->line_bytes,
                                     sizeof process->line - process->line_bytes);
            if (got <= 0) {
                return NULL;
            }
            process->line_bytes += (uint32_t)got;
        }
    }
}

int process_end(struct process *process, int signal_number, int grace_ms)
{
    int status = 0;

    if (process->pid == 0) {
        return 0;
    }
    (void)close(process->to);
    (void)kill(process->pid, signal_number);
    const uint64_t end = now_ms() + (uint64_t)grace_ms;
    while (waitpid(process->pid, &status, WNOHANG) == 0) {
        if (now_ms() >= end) {
            (void)kill(process->pid, SIGKILL);
            (void)waitpid(process->pid, &status, 0);
            break;
        }
        const struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    (void)close(process->from);
    process->pid = 0;
    process->line_bytes = 0;
    return status;
}

uint64_t process_cpu_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

uint64_t process_resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %lu", &pages) != 1) {
        pages = 0;
    }
    (void)fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void process_pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
}
