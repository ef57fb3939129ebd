/* What EAL and its drivers say, errors only: kept, so that it can become a notice.
 */
#include <dlfcn.h>
#include <rte_log.h>
#include <stdarg.h>
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

/* What the libraries below AF_XDP's driver say about matters that are not ours. */
static int hush(int level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

/* They print to standard error unless told otherwise; the driver has loaded them by now. */
void spate_dpdk_eal_log_hush(void)
{
    static const char *const libraries[][2] = {{"libbpf.so.1", "libbpf_set_print"},
                                               {"libxdp.so.1", "libxdp_set_print"}};

    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        void *library = dlopen(libraries[i][0], RTLD_NOW | RTLD_NOLOAD);
        void *(*set_print)(int (*)(int, const char *, va_list)) = NULL;
        if (library != NULL) {
            void *symbol = dlsym(library, libraries[i][1]);
            memcpy(&set_print, &symbol, sizeof set_print);
        }
        if (set_print != NULL) {
            (void)set_print(hush);
        }
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
