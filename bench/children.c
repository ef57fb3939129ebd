#include "bench/children.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

bool bench_pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int c = 0; c < CPU_SETSIZE; c++) {
        if (cpu == BENCH_CPU_ANY || cpu == c) {
            CPU_SET((size_t)c, &set);
        }
    }
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

static double seconds_of(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* In the child: Ctrl-C is the parent's business, and its end is ours. */
static void become_child(pid_t parent, int cpu)
{
    (void)setpgid(0, 0);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || !bench_pin(cpu)) {
        _exit(126);
    }
}

static pid_t start(struct bench_children *children, int cpu)
{
    if (children->count == BENCH_CHILDREN_MAX) {
        return -1;
    }
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        become_child(parent, cpu);
    } else if (pid > 0) {
        children->items[children->count++] = (struct bench_child){.pid = pid, .is_running = true};
    }
    return pid;
}

bool bench_child_fork(struct bench_children *children, int cpu, int (*run)(void *), void *argument)
{
    const pid_t pid = start(children, cpu);
    if (pid == 0) {
        _exit(run(argument));
    }
    return pid > 0;
}

static bool reap(struct bench_child *child, int flags)
{
    struct rusage usage = {0};
    pid_t got = 0;

    do {
        got = wait4(child->pid, &child->status, flags, &usage);
    } while (got < 0 && errno == EINTR);
    if (got == 0) {
        return false;
    }
    child->is_running = false;
    child->cpu_seconds = seconds_of(&usage);
    return true;
}

static bool is_running(struct bench_children *children, uint32_t index)
{
    struct bench_child *child = &children->items[index];
    return child->is_running && !reap(child, WNOHANG);
}

bool bench_child_wait(struct bench_children *children, uint32_t index, uint32_t timeout_ms)
{
    const struct timespec one_ms = {.tv_nsec = 1000000};

    for (uint32_t waited = 0; is_running(children, index); waited++) {
        if (waited == timeout_ms) {
            return false;
        }
        (void)nanosleep(&one_ms, NULL);
    }
    return true;
}

void bench_children_stop(struct bench_children *children, uint32_t grace_ms)
{
    for (uint32_t p = 0; p < children->count; p++) {
        if (is_running(children, p)) {
            (void)kill(children->items[p].pid, SIGTERM);
        }
    }
    for (uint32_t p = 0; p < children->count; p++) {
        if (!bench_child_wait(children, p, grace_ms)) {
            (void)kill(children->items[p].pid, SIGKILL);
            (void)reap(&children->items[p], 0);
        }
    }
}
