#include "port.h"

#include <dlfcn.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/transport/transport.h"

#define ETHER_TYPE    0x88b5 /* For experiments on one network (IEEE 802). */
#define HEADER_BYTES  14u
#define MBUFS         8191u
#define BUFFER_BYTES  9216u
#define DESCRIPTORS   1024u
#define START_MS_MAX  10000u
#define RESTART_MS    200u
#define HUGEPAGES_MIN 48u

/* In addresses of ports that have no interface of bench/transport: a bridge would look for the same
 * address in two places. */
#define OWN_PREFIX 0x7a

struct dpdk_port {
    struct bench_port port;
    struct rte_mempool *pool;
    uint16_t count;
    uint16_t ids[TRANSPORT_NODES_MAX];
    uint16_t next; /* The port to look at next. */
    uint32_t held; /* Received by the last call. */
    struct rte_mbuf *mbufs[BENCH_RX_FRAMES];
    uint8_t header[HEADER_BYTES];
};

/* The addresses that bench/transport gives to interfaces. */
static void write_header(const struct dpdk_port *port, uint8_t *to, uint32_t node)
{
    memcpy(to, port->header, HEADER_BYTES);
    to[5] = (uint8_t)(node + 1);
}

static uint32_t node_of(const struct msghdr *message)
{
    struct sockaddr_in address;

    memcpy(&address, message->msg_name, sizeof address);
    return address.sin_port;
}

static uint32_t port_send(struct bench_port *bench_port, struct mmsghdr messages[], uint32_t count)
{
    struct dpdk_port *port = (struct dpdk_port *)bench_port;

    for (uint32_t m = 0; m < count; m++) {
        const struct msghdr *message = &messages[m].msg_hdr;
        const uint32_t node = node_of(message);
        struct rte_mbuf *mbuf = rte_pktmbuf_alloc(port->pool);
        if (mbuf == NULL) {
            return m;
        }
        uint8_t *at = rte_pktmbuf_mtod(mbuf, uint8_t *);
        write_header(port, at, node);
        at += HEADER_BYTES;
        for (size_t p = 0; p < message->msg_iovlen; p++) {
            memcpy(at, message->msg_iov[p].iov_base, message->msg_iov[p].iov_len);
            at += message->msg_iov[p].iov_len;
        }
        mbuf->data_len = (uint16_t)(at - rte_pktmbuf_mtod(mbuf, uint8_t *));
        mbuf->pkt_len = mbuf->data_len;
        const uint16_t id = port->ids[port->count > 1 ? node - 1 : 0];
        if (rte_eth_tx_burst(id, 0, &mbuf, 1) != 1) {
            rte_pktmbuf_free(mbuf);
            return m;
        }
    }
    return count;
}

static uint32_t port_receive(struct bench_port *bench_port, struct bench_receiver *receiver)
{
    struct dpdk_port *port = (struct dpdk_port *)bench_port;
    uint32_t count = 0;

    rte_pktmbuf_free_bulk(port->mbufs, port->held);
    port->held = 0;
    for (uint16_t i = 0; i < port->count && port->held < BENCH_RX_FRAMES; i++) {
        port->next = port->next + 1 < port->count ? (uint16_t)(port->next + 1) : 0;
        port->held += rte_eth_rx_burst(port->ids[port->next], 0, port->mbufs + port->held,
                                       (uint16_t)(BENCH_RX_FRAMES - port->held));
    }
    for (uint32_t i = 0; i < port->held; i++) {
        uint8_t *frame = rte_pktmbuf_mtod(port->mbufs[i], uint8_t *);
        const uint32_t bytes = port->mbufs[i]->data_len;
        /* Bridges and switches flood what they have not learned yet. */
        if (bytes > HEADER_BYTES && memcmp(frame + 12, port->header + 12, 2) == 0 &&
            memcmp(frame, port->header + 6, 6) == 0) {
            receiver->parts[count].iov_base = frame + HEADER_BYTES;
            receiver->messages[count].msg_hdr.msg_controllen = 0;
            receiver->messages[count++].msg_len = bytes - HEADER_BYTES;
        }
    }
    return count;
}

static int say_nothing(int level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

/* The libraries below af_xdp tell standard error about programs of the kernel that work anyway. */
static void hush_libraries(void)
{
    static const char *const libraries[][2] = {{"libbpf.so.1", "libbpf_set_print"},
                                               {"libxdp.so.1", "libxdp_set_print"}};

    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        void *library = dlopen(libraries[i][0], RTLD_NOW | RTLD_NOLOAD);
        void *symbol = library != NULL ? dlsym(library, libraries[i][1]) : NULL;
        void *(*set_print)(int (*)(int, const char *, va_list)) = NULL;
        memcpy(&set_print, &symbol, sizeof set_print);
        if (set_print != NULL) {
            (void)set_print(say_nothing);
        }
    }
}

static bool is_card(const char *device)
{
    return strncmp(device, "pci:", 4) == 0;
}

static bool has_hugepages(void)
{
    FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
    unsigned free_pages = 0;
    const bool is_read = file != NULL && fscanf(file, "%u", &free_pages) == 1;

    if (file != NULL) {
        (void)fclose(file);
    }
    return is_read && free_pages >= HUGEPAGES_MIN;
}

#define WORDS_MAX 64

struct words {
    int count;
    char text[WORDS_MAX][200];
    char *words[WORDS_MAX + 1];
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words->text[words->count], sizeof words->text[0], format, arguments);
    va_end(arguments);
    words->words[words->count] = words->text[words->count];
    words->words[++words->count] = NULL;
}

/* As cores do it: cards have hugepages where there are some, all else has plain memory. */
static bool start_eal(uint32_t device_count, char *const devices[])
{
    static struct words eal;

    add(&eal, "spate-limits-dpdk");
    if (is_card(devices[0]) && has_hugepages()) {
        add(&eal, "--in-memory");
    } else {
        add(&eal, "--no-huge");
        add(&eal, "--no-shconf");
        add(&eal, "-m");
        add(&eal, "256");
    }
    if (!is_card(devices[0])) {
        add(&eal, "--no-pci");
        add(&eal, "--iova-mode=va");
    }
    add(&eal, "--log-level=*:critical");
    add(&eal, "--file-prefix=spate-limits");
    add(&eal, "--no-telemetry");
    add(&eal, "--lcores=0@%d", sched_getcpu());
    for (uint32_t d = 0; d < device_count; d++) {
        if (is_card(devices[d])) {
            add(&eal, "--allow=%s", devices[d] + strlen("pci:"));
        } else {
            add(&eal, "--vdev=%s", devices[d]);
        }
    }
    const bool is_started = rte_eal_init(eal.count, eal.words) >= 0;
    hush_libraries();
    /* EAL leaves its folder, which is empty without its configuration and telemetry. */
    (void)rmdir(rte_eal_get_runtime_dir());
    return is_started;
}

static bool start_port(const struct dpdk_port *port, uint16_t id, bool is_client)
{
    const struct rte_eth_conf conf = {0};
    uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
    struct rte_eth_link link = {0};

    if (rte_eth_dev_configure(id, 1, 1, &conf) != 0 ||
        rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx, &tx) != 0 ||
        rte_eth_rx_queue_setup(id, 0, rx, (unsigned)SOCKET_ID_ANY, NULL, port->pool) != 0 ||
        rte_eth_tx_queue_setup(id, 0, tx, (unsigned)SOCKET_ID_ANY, NULL) != 0) {
        return false;
    }
    /* memif's client gives up when the server is not there yet, so it begins again. */
    for (uint32_t waited = 0; waited < START_MS_MAX && link.link_status == 0; waited++) {
        if (waited == 0 || (is_client && waited % RESTART_MS == 0)) {
            (void)rte_eth_dev_stop(id);
            (void)rte_eth_dev_start(id);
        }
        rte_delay_us_sleep(1000);
        (void)rte_eth_link_get_nowait(id, &link);
    }
    return link.link_status == RTE_ETH_LINK_UP;
}

bool dpdk_port_open(uint32_t node, uint32_t device_count, char *const devices[],
                    struct bench_port **ret_port)
{
    static struct dpdk_port port = {
        .port = {.send = port_send, .receive = port_receive, .fd = -1},
        .header = {0x02, 0x78, 0, 0, 0, 0, 0x02, 0x78, 0, 0, 0, 0, ETHER_TYPE >> 8,
                   ETHER_TYPE & 0xff},
    };

    const bool has_own_addresses = is_card(devices[0]) || strncmp(devices[0], "net_tap", 7) == 0;

    port.header[11] = (uint8_t)(node + 1);
    if (has_own_addresses) {
        port.header[1] = OWN_PREFIX;
        port.header[7] = OWN_PREFIX;
    }
    if (!start_eal(device_count, devices)) {
        (void)fprintf(stderr, "limits: EAL does not start: %s\n", rte_strerror(rte_errno));
        return false;
    }
    port.count = rte_eth_dev_count_avail();
    /* af_packet writes as much as its own frames hold. */
    const uint32_t bytes = strncmp(devices[0], "net_memif", 9) == 0 ? BUFFER_BYTES : 2048;
    port.pool = rte_pktmbuf_pool_create("limits", MBUFS, 256, 0,
                                        (uint16_t)(bytes + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
    bool is_good = port.count == device_count && port.pool != NULL;
    for (uint16_t i = 0; is_good && i < port.count; i++) {
        port.ids[i] = i;
        is_good = start_port(&port, i, strstr(devices[i], "role=client") != NULL);
        if (has_own_addresses) {
            (void)rte_eth_promiscuous_enable(i); /* Else a card drops what is not its own. */
        }
    }
    if (!is_good) {
        (void)fprintf(stderr, "limits: a port of %s does not start\n", devices[0]);
    }
    *ret_port = &port.port;
    return is_good;
}

void dpdk_port_close(void)
{
    /* Ports are numbered from 0, and none was taken away. */
    for (uint16_t id = rte_eth_dev_count_avail(); id > 0; id--) {
        (void)rte_eth_dev_stop((uint16_t)(id - 1));
        (void)rte_eth_dev_close((uint16_t)(id - 1));
    }
}
