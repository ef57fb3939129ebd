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

#define ETHER_TYPE   0x88b5 /* For experiments on one network (IEEE 802). */
#define HEADER_BYTES 14u
#define MBUFS        8191u
#define BUFFER_BYTES 9216u
#define DESCRIPTORS  1024u
#define START_MS_MAX 10000u
#define RESTART_MS   200u

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
        if (bytes > HEADER_BYTES && memcmp(frame + 12, port->header + 12, 2) == 0) {
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

static bool start_eal(uint32_t device_count, char *const devices[])
{
    char program[] = "spate-limits-dpdk";
    char lcores[64], devargs[TRANSPORT_NODES_MAX][200];
    static char fixed[][32] = {"--no-huge",  "--no-shconf",   "-m",           "256",
                               "--no-pci",   "--iova-mode",   "va",           "--log-level",
                               "*:critical", "--file-prefix", "spate-limits", "--no-telemetry",
                               "--lcores"};
    char *arguments[64] = {program};
    int count = 1;

    for (size_t f = 0; f < sizeof fixed / sizeof fixed[0]; f++) {
        arguments[count++] = fixed[f];
    }
    (void)snprintf(lcores, sizeof lcores, "0@%d", sched_getcpu());
    arguments[count++] = lcores;
    for (uint32_t d = 0; d < device_count; d++) {
        (void)snprintf(devargs[d], sizeof devargs[d], "--vdev=%s", devices[d]);
        arguments[count++] = devargs[d];
    }
    const bool is_started = rte_eal_init(count, arguments) >= 0;
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

    port.header[11] = (uint8_t)(node + 1);
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
