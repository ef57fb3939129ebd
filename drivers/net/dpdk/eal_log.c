/* What EAL and its drivers say, errors only: kept, so that it can become a notice.
 */
#include <rte_log.h>
#include <stdio.h>
#include <string.h>

#include "eal_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last[160];
static uint64_t written;

static ssize_t keep(void *unused, const char *text, size_t bytes)
{
    (void)unused;
    (void)pthread_mutex_lock(&lock);
    const size_t kept = bytes < sizeof last ? bytes : sizeof last - 1;
    memcpy(last, text, kept);
    last[kept] = '\0';
    last[strcspn(last, "\r\n")] = '\0';
    written++;
    (void)pthread_mutex_unlock(&lock);
    return (ssize_t)bytes;
}

void spate_dpdk_eal_log_open(void)
{
    static const cookie_io_functions_t functions = {.write = keep};
    FILE *stream = fopencookie(NULL, "w", functions);

    if (stream != NULL) {
        (void)setvbuf(stream, NULL, _IOLBF, 512);
        (void)rte_openlog_stream(stream);
    }
}

void spate_dpdk_eal_complaint(char *text, size_t bytes)
{
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(text, bytes, "%s", last);
    (void)pthread_mutex_unlock(&lock);
}

uint64_t spate_dpdk_eal_complaints(void)
{
    (void)pthread_mutex_lock(&lock);
    const uint64_t complaints = written;
    (void)pthread_mutex_unlock(&lock);
    return complaints;
}
