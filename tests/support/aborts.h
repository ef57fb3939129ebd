/* Whether something ends the process by an assertion: tried out in a child. */
#ifndef SPATE_SUPPORT_ABORTS_H
#define SPATE_SUPPORT_ABORTS_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static inline bool aborts(void (*misuse)(void *context), void *context)
{
    int status = 0;
    (void)fflush(NULL);
    const pid_t child = fork();

    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)!freopen("/dev/null", "w", stderr);
        misuse(context);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}

#endif
