/*
 * EAL, started once per process by the first endpoint and kept until the process ends (it cannot be
 * started twice). These are the driver's only globals: EAL's own state is global too.
 */
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "eal_internal.h"

#define ARGUMENTS_MAX 64
#define TEXT_MAX      2048

/* EAL's memory without hugepages: touched pages only cost. */
#define MEMORY_MIB        64u
#define MEMORY_MIB_PER_IF 32u

struct arguments {
    int count;
    char *values[ARGUMENTS_MAX + 1];
    char text[TEXT_MAX]; /* What the values point into. */
    size_t used;
    bool is_full;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t adopted_key;
static bool is_started;

void spate_dpdk_eal_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void spate_dpdk_eal_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void unadopt(void *unused)
{
    (void)unused;
    rte_thread_unregister();
}

void spate_dpdk_eal_adopt_thread(void)
{
    if (rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0) {
        (void)pthread_setspecific(adopted_key, &adopted_key);
    }
}

static void add(struct arguments *arguments, const char *value)
{
    const size_t bytes = strlen(value) + 1;

    if (arguments->count == ARGUMENTS_MAX || arguments->used + bytes > TEXT_MAX) {
        arguments->is_full = true;
        return;
    }
    char *to = arguments->text + arguments->used;
    memcpy(to, value, bytes);
    arguments->used += bytes;
    arguments->values[arguments->count++] = to;
}

static void add_pair(struct arguments *arguments, const char *name, const char *value)
{
    add(arguments, name);
    add(arguments, value);
}

static void add_words(struct arguments *arguments, const char *words)
{
    char word[256];
    int taken = 0;

    while (words != NULL && sscanf(words, " %255s%n", word, &taken) == 1) {
        add(arguments, word);
        words += taken;
    }
}

/* One lcore that floats over the processors we may use: EAL is not to pin our threads. */
static void add_lcores(struct arguments *arguments, const cpu_set_t *processors)
{
    char text[TEXT_MAX / 2] = "0@(";
    const char *separator = "";

    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        const size_t used = strlen(text);
        if (CPU_ISSET(cpu, processors) && used + 8 < sizeof text) {
            (void)snprintf(text + used, sizeof text - used, "%s%zu", separator, cpu);
            separator = ",";
        }
    }
    const size_t end = strlen(text);
    (void)snprintf(text + end, sizeof text - end, ")");
    add_pair(arguments, "--lcores", text);
}

/*
 * Hugepages when there are enough free ones, unlinked from the start (--in-memory), so that a
 * killed process leaves none. Otherwise plain memory, of which only touched pages exist.
 */
static void add_memory(struct arguments *arguments, uint32_t mib)
{
    char text[16];

    if (spate_dpdk_hugepages_free_mib() >= mib) {
        add(arguments, "--in-memory");
        return;
    }
    (void)snprintf(text, sizeof text, "%u", mib);
    add(arguments, "--no-huge");
    add(arguments, "--no-shconf");
    add_pair(arguments, "-m", text);
}

static void make_arguments(struct arguments *arguments,
                           const struct spate_net_dpdk_options *options,
                           const struct device *device, const cpu_set_t *processors,
                           const char *prefix)
{
    const uint32_t mib = options->memory_mib != 0       ? options->memory_mib
                         : device->kind == DEVICE_MEMIF ? MEMORY_MIB
                                                        : MEMORY_MIB + MEMORY_MIB_PER_IF;

    add(arguments, "spate");
    add_pair(arguments, "--file-prefix", prefix);
    add_lcores(arguments, processors);
    add_memory(arguments, mib);
    if (device->kind == DEVICE_PCI) {
        add_pair(arguments, "-a", device->what);
    } else {
        add(arguments, "--no-pci");
        add_pair(arguments, "--iova-mode", "va");
    }
    add_pair(arguments, "--log-level", "*:error");
    add_words(arguments, options->eal_extra);
}

static void announce(const struct arguments *arguments, struct notices *notices)
{
    char text[TEXT_MAX + ARGUMENTS_MAX];
    size_t used = 0;

    for (int i = 1; i < arguments->count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, " %s", arguments->values[i]);
    }
    spate_dpdk_notify(notices, SPATE_NET_NOTICE_INFO, "EAL started with%s", text);
}

static spate_err explain_failure(const struct device *device, const struct spate_dpdk_line *line)
{
    char complaint[128];
    const int error = rte_errno;

    spate_dpdk_eal_complaint(complaint, sizeof complaint);
    const char *remedy =
        error == EACCES || error == EPERM ? "run as root, or give the user the right to the device"
        : error == ENOMEM                 ? "lower dpdk.memory, or free memory"
        : device->kind == DEVICE_PCI      ? "is the card bound to vfio-pci? (docs/hardware.md)"
                                          : "check dpdk.eal_extra";
    return spate_dpdk_explain(line,
                              error == EACCES || error == EPERM ? SPATE_ERR_PERMISSION
                              : error == ENOMEM                 ? SPATE_ERR_NO_MEMORY
                                                                : SPATE_ERR_UNSUPPORTED,
                              "EAL does not start (%s%s%s): %s", rte_strerror(error),
                              complaint[0] != '\0' ? "; " : "", complaint, remedy);
}

static spate_err start(const struct spate_net_dpdk_options *options, const struct device *device,
                       struct notices *notices, const struct spate_dpdk_line *line)
{
    struct arguments arguments = {.count = 0};
    char *values[ARGUMENTS_MAX + 1];
    char prefix[32];
    cpu_set_t processors;

    if (pthread_getaffinity_np(pthread_self(), sizeof processors, &processors) != 0 ||
        pthread_key_create(&adopted_key, unadopt) != 0) {
        return spate_dpdk_explain(line, SPATE_ERR_NO_MEMORY, "out of memory");
    }
    (void)snprintf(prefix, sizeof prefix, "spate-%ld", (long)getpid());
    make_arguments(&arguments, options, device, &processors, prefix);
    if (arguments.is_full) {
        return spate_dpdk_explain(line, SPATE_ERR_INVALID, "dpdk.eal_extra is too long");
    }
    spate_dpdk_folder_sweep();
    spate_dpdk_folder_claim(prefix);
    spate_dpdk_eal_log_open();
    /* EAL reorders what it is given. */
    memcpy(values, arguments.values, sizeof values);
    values[arguments.count] = NULL;
    const int result = rte_eal_init(arguments.count, values);
    (void)pthread_setaffinity_np(pthread_self(), sizeof processors, &processors);
    if (result < 0) {
        spate_dpdk_folder_remove();
        return explain_failure(device, line);
    }
    spate_dpdk_eal_log_hush();
    announce(&arguments, notices);
    is_started = true;
    return SPATE_OK;
}

spate_err spate_dpdk_eal_start(const struct spate_net_dpdk_options *options,
                               const struct device *device, struct notices *notices,
                               const struct spate_dpdk_line *line)
{
    spate_dpdk_eal_lock();
    const spate_err err = is_started ? SPATE_OK : start(options, device, notices, line);
    spate_dpdk_eal_unlock();
    return err;
}

/* At the process's end, whoever ends it in order. What a killed one leaves, the next sweeps. */
__attribute__((destructor)) static void leave_nothing(void)
{
    if (is_started) {
        spate_dpdk_folder_remove();
    }
}
