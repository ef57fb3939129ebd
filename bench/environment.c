#include "bench/environment.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/report/json.h"
#include "bench_build.h" /* Made by the build. */

/* The first line of a file of the kernel, or "unknown". */
static void read_line(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");

    (void)snprintf(text, size, "unknown");
    if (file == NULL) {
        return;
    }
    if (fgets(text, (int)size, file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
    }
    (void)fclose(file);
}

/* What stands behind "key : " in a file of the kernel. */
static void read_field(const char *path, const char *key, char *text, size_t size)
{
    char line[4096];
    FILE *file = fopen(path, "re");

    (void)snprintf(text, size, "unknown");
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (colon != NULL && strncmp(line, key, strlen(key)) == 0) {
            colon += 1 + strspn(colon + 1, " \t");
            (void)snprintf(text, size, "%.*s", (int)strcspn(colon, "\n"), colon);
            break;
        }
    }
    (void)fclose(file);
}

/* One string per file of a directory of the kernel: its name, and the line in it. */
static void write_directory(struct bench_json *json, const char *key, const char *path)
{
    bench_json_open(json, key, '{');
    DIR *directory = opendir(path);
    if (directory != NULL) {
        for (struct dirent *e = readdir(directory); e != NULL; e = readdir(directory)) {
            char file[1024];
            char text[200];
            if (e->d_name[0] != '.') {
                (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
                read_line(file, text, sizeof text);
                bench_json_string(json, e->d_name, text);
            }
        }
        (void)closedir(directory);
    }
    bench_json_close(json, '}');
}

/* One network interface: who drives it ("none": virtual), how fast it says it is, its MTU. */
static void write_interface(struct bench_json *json, const char *name)
{
    static const char *const files[] = {"speed", "mtu", "operstate"};
    char path[1024];
    char link[1024];
    char text[200];

    bench_json_open(json, name, '{');
    (void)snprintf(path, sizeof path, "/sys/class/net/%s/device/driver", name);
    const ssize_t bytes = readlink(path, link, sizeof link - 1);
    link[bytes > 0 ? bytes : 0] = '\0';
    const char *driver = strrchr(link, '/');
    bench_json_string(json, "driver", driver != NULL ? driver + 1 : "none");
    for (uint32_t f = 0; f < 3; f++) {
        (void)snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, files[f]);
        read_line(path, text, sizeof text);
        bench_json_string(json, files[f], text);
    }
    bench_json_close(json, '}');
}

static void write_network(struct bench_json *json)
{
    bench_json_open(json, "network", '{');
    DIR *directory = opendir("/sys/class/net");
    if (directory != NULL) {
        for (struct dirent *e = readdir(directory); e != NULL; e = readdir(directory)) {
            if (e->d_name[0] != '.') {
                write_interface(json, e->d_name);
            }
        }
        (void)closedir(directory);
    }
    bench_json_close(json, '}');
    bench_json_string(json, "dpdk", BENCH_DPDK);
}

static void write_machine(struct bench_json *json)
{
    char text[200];
    struct utsname name;

    read_field("/proc/cpuinfo", "model name", text, sizeof text);
    bench_json_string(json, "cpu", text);
    bench_json_number(json, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
    read_field("/proc/cpuinfo", "cpu MHz", text, sizeof text);
    bench_json_string(json, "cpu_mhz", text);
    read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text, sizeof text);
    bench_json_string(json, "governor", text);
    read_field("/proc/meminfo", "MemTotal", text, sizeof text);
    bench_json_string(json, "memory", text);
    read_field("/proc/meminfo", "HugePages_Total", text, sizeof text);
    bench_json_string(json, "hugepages", text);
    if (uname(&name) == 0) {
        bench_json_string(json, "kernel", name.release);
        bench_json_string(json, "architecture", name.machine);
    }
    read_line("/proc/cmdline", text, sizeof text);
    bench_json_string(json, "kernel_command_line", text);
    read_line("/proc/loadavg", text, sizeof text);
    bench_json_string(json, "load", text);
    write_directory(json, "mitigations", "/sys/devices/system/cpu/vulnerabilities");
    write_network(json);
}

void bench_environment_write(char *const argv[], FILE *to)
{
    struct bench_json json = {.to = to};
    char text[64];
    const time_t now = time(NULL);
    struct tm utc;

    bench_json_open(&json, NULL, '{');
    (void)gmtime_r(&now, &utc);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    bench_json_string(&json, "time", text);
    bench_json_string(&json, "revision", BENCH_REVISION);
    bench_json_string(&json, "compiler", BENCH_COMPILER);
    bench_json_string(&json, "build", BENCH_BUILD);
    bench_json_open(&json, "command", '[');
    for (uint32_t a = 0; argv[a] != NULL; a++) {
        bench_json_string(&json, NULL, argv[a]);
    }
    bench_json_close(&json, ']');
    write_machine(&json);
    bench_json_close(&json, '}');
}

void bench_environment_print(FILE *to)
{
    char cpu[200];
    struct utsname name;

    read_field("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    (void)fprintf(to, "%s, %ld CPUs, Linux %s, revision %s, %s, %s\n", cpu,
                  sysconf(_SC_NPROCESSORS_ONLN), uname(&name) == 0 ? name.release : "unknown",
                  BENCH_REVISION, BENCH_COMPILER, BENCH_BUILD);
}
