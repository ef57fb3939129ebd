/* The transports of a run: opened before the first cluster, closed after the last. */
#include <stdio.h>

#include "bench/harness.h"

/* Loopback carries large datagrams; the others know best what they carry. */
#define LOOPBACK_FRAME_BYTES 60000u
#define MEMIF_FRAME_BYTES    8064u
#define ETHERNET_FRAME_BYTES 1472u

void harness_close_transports(struct harness *harness)
{
    while (harness->transports_open > 0) {
        transport_close(&harness->transports[--harness->transports_open]);
    }
}

bool harness_open_transports(struct harness *harness)
{
    char message[256] = "";

    for (uint32_t t = 0; t < harness->transport_count; t++) {
        struct transport *transport = &harness->transports[t];
        if (!transport_open(transport, harness->nodes, message, sizeof message)) {
            (void)fprintf(stderr, "spate bench: %s\n", message);
            harness_close_transports(harness);
            return false;
        }
        harness->transports_open++;
    }
    return true;
}

uint32_t harness_core_frame_bytes(const struct harness *harness)
{
    return harness->frame_bytes == 0 && harness->transport->kind == TRANSPORT_SOCKET
               ? LOOPBACK_FRAME_BYTES
               : harness->frame_bytes;
}

uint32_t harness_bare_frame_bytes(const struct harness *harness)
{
    if (harness->frame_bytes != 0) {
        return harness->frame_bytes;
    }
    return harness->transport->kind == TRANSPORT_SOCKET  ? LOOPBACK_FRAME_BYTES
           : harness->transport->kind == TRANSPORT_MEMIF ? MEMIF_FRAME_BYTES
                                                         : ETHERNET_FRAME_BYTES;
}
