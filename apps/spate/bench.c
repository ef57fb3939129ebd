/* spate bench: runs the harness, which is a program of its own beside this one. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "verbs.h"

#define ARGUMENTS_MAX 64

void verb_bench_help(void)
{
    char help[] = "--help";
    char *arguments[] = {help, NULL};
    (void)verb_bench(1, arguments);
}

int verb_bench(int argument_count, char **arguments)
{
    /* Installed beside this program; in a build directory next to its folder. */
    static const char *const places[] = {"spate-bench", "../../bench/spate-bench"};
    char self[4096];
    char path[8192];
    char *all[ARGUMENTS_MAX + 2] = {path};
    const ssize_t bytes = readlink("/proc/self/exe", self, sizeof self - 1);

    if (bytes <= 0 || argument_count > ARGUMENTS_MAX) {
        return verb_fail("bench", EXIT_FAILED, "cannot find out where this program is");
    }
    self[bytes] = '\0';
    const char *folder = dirname(self);
    memcpy(all + 1, arguments, (size_t)argument_count * sizeof *arguments);
    for (unsigned p = 0; p < sizeof places / sizeof places[0]; p++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, places[p]);
        (void)execv(path, all);
    }
    return verb_fail("bench", EXIT_FAILED, "cannot run %s: %s; build it with -Dbench=true", path,
                     strerror(errno));
}
