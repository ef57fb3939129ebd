/*
 * The counters on DPDK's telemetry socket: `dpdk-telemetry.py -f spate-PID`, then /spate/counters.
 * The socket belongs to the process, so the endpoints of a process are listed here.
 */
#include <ctype.h>
#include <rte_telemetry.h>
#include <stdio.h>

#include "eal_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct endpoint *first;

/* Telemetry allows letters, digits, _ and / in a name. */
static void add(struct rte_tel_data *data, uint32_t at, const struct spate_net_counter *counter)
{
    char name[96];

    (void)snprintf(name, sizeof name, "%u/%s", at, counter->name);
    for (char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && *c != '/') {
            *c = '_';
        }
    }
    (void)rte_tel_data_add_dict_u64(data, name, counter->value);
}

/* Counters at zero are left out: a dictionary has a bounded number of places. */
static int show_counters(const char *command, const char *parameters, struct rte_tel_data *data)
{
    uint32_t at = 0;

    (void)command;
    (void)parameters;
    (void)rte_tel_data_start_dict(data);
    (void)pthread_mutex_lock(&lock);
    for (struct endpoint *endpoint = first; endpoint != NULL; endpoint = endpoint->next, at++) {
        struct spate_net_counter counter;
        for (uint32_t i = 0; spate_dpdk_counter(&endpoint->net, i, &counter); i++) {
            if (counter.value != 0) {
                add(data, at, &counter);
            }
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return 0;
}

void spate_dpdk_telemetry_add(struct endpoint *endpoint)
{
    (void)pthread_mutex_lock(&lock);
    if (first == NULL) {
        (void)rte_telemetry_register_cmd("/spate/counters", show_counters,
                                         "What is not zero: endpoint/port_counter");
    }
    endpoint->next = first;
    first = endpoint;
    (void)pthread_mutex_unlock(&lock);
}

void spate_dpdk_telemetry_remove(struct endpoint *endpoint)
{
    (void)pthread_mutex_lock(&lock);
    for (struct endpoint **at = &first; *at != NULL; at = &(*at)->next) {
        if (*at == endpoint) {
            *at = endpoint->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
}
