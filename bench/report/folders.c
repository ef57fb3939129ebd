#include "bench/report/folders.h"

#include <errno.h>
#include <libgen.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"
#include "bench/report/compare.h"
#include "bench/report/report.h"

#define PATH_BYTES 4096u

static int compare(int count, char *const words[])
{
    const char *folders[2] = {NULL, NULL};
    uint32_t found = 0;
    bool is_forced = false;

    for (int w = 0; w < count; w++) {
        if (strcmp(words[w], "--force") == 0) {
            is_forced = true;
        } else if (found < 2 && words[w][0] != '-') {
            folders[found++] = words[w];
        } else {
            found = 3;
            break;
        }
    }
    if (found != 2) {
        (void)fprintf(stderr, "spate bench: give two results folders: spate bench compare BEFORE "
                              "AFTER [--force]\n");
        return COMPARE_USAGE;
    }
    return bench_compare(folders[0], folders[1], is_forced, stdout);
}

/* Whether it looks like a results folder; says so if not. */
static bool is_results_folder(const char *directory)
{
    char path[PATH_BYTES + 32];

    (void)snprintf(path, sizeof path, "%s/results.json", directory);
    if (access(path, R_OK) != 0) {
        (void)fprintf(stderr, "spate bench: %s: %s; give a folder that --output made\n", path,
                      strerror(errno));
        return false;
    }
    return true;
}

/* Runs tar and waits for it. */
static bool run_tar(char *const arguments[])
{
    extern char **environ;
    pid_t pid = 0;
    int status = 0;
    const int error = posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environ);

    if (error != 0) {
        (void)fprintf(stderr, "spate bench: cannot run tar: %s; install it\n", strerror(error));
        return false;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Beside the folder, named after it; files belong to nobody, in an order of their own. */
static int bundle(const char *directory)
{
    char real[PATH_BYTES];
    char above[PATH_BYTES];
    char archive[PATH_BYTES + 16];

    if (!is_results_folder(directory) || realpath(directory, real) == NULL) {
        return COMPARE_USAGE;
    }
    (void)snprintf(archive, sizeof archive, "%s.tar.gz", real);
    (void)snprintf(above, sizeof above, "%s", real);
    char tar[] = "tar";
    char create[] = "-czf";
    char in[] = "-C";
    char sorted[] = "--sort=name";
    char owner[] = "--owner=0";
    char group[] = "--group=0";
    char numeric[] = "--numeric-owner";
    char rest[] = "--";
    char *const arguments[] = {tar,     create, archive,        sorted, owner,          group,
                               numeric, in,     dirname(above), rest,   basename(real), NULL};
    if (!run_tar(arguments)) {
        (void)unlink(archive);
        (void)fprintf(stderr, "spate bench: %s was not made\n", archive);
        return 1;
    }
    (void)printf("%s\n", archive);
    return COMPARE_DONE;
}

static int report(const char *directory)
{
    if (!is_results_folder(directory)) {
        return COMPARE_USAGE;
    }
    if (!bench_report_write(directory)) {
        return 1;
    }
    (void)printf("%s/report.html\n", directory);
    return COMPARE_DONE;
}

bool bench_folders_run(int argument_count, char *const arguments[], int *ret_code)
{
    const struct {
        const char *name;
        int (*run)(const char *directory);
    } verbs[] = {{"bundle", bundle}, {"report", report}};

    if (argument_count < 1) {
        return false;
    }
    if (strcmp(arguments[0], "compare") == 0) {
        *ret_code = compare(argument_count - 1, arguments + 1);
        return true;
    }
    for (uint32_t v = 0; v < SPATE_ARRAY_COUNT(verbs); v++) {
        if (strcmp(arguments[0], verbs[v].name) == 0) {
            if (argument_count == 2) {
                *ret_code = verbs[v].run(arguments[1]);
            } else {
                (void)fprintf(stderr, "spate bench: give one results folder: spate bench %s DIR\n",
                              arguments[0]);
                *ret_code = COMPARE_USAGE;
            }
            return true;
        }
    }
    return false;
}
