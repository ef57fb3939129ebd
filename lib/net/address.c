/* Addresses as text. Numeric only: a name service has no place in the way of a leader. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "net/net.h"

#define HOST_TEXT_BYTES INET6_ADDRSTRLEN

static uint32_t address_bytes(const struct spate_address *address)
{
    return address->family == 6 ? 16 : 4;
}

/* Digits only, no sign, no blank, nothing behind: strtoul would accept all three. */
static bool parse_port(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(*text - '0');
        if (port > UINT16_MAX) {
            return false;
        }
    }
    *ret_port = (uint16_t)port;
    return true;
}

/* Finds the host's bytes and the port's text in "host:port" or "[host]:port". */
static bool split(const char *text, const char **ret_host, size_t *ret_bytes, const char **ret_port)
{
    const bool is_bracketed = text[0] == '[';
    const char *host = is_bracketed ? text + 1 : text;
    const char *host_end = strchr(host, is_bracketed ? ']' : ':');

    if (host_end == NULL || (is_bracketed && host_end[1] != ':')) {
        return false;
    }
    *ret_host = host;
    *ret_bytes = (size_t)(host_end - host);
    *ret_port = host_end + (is_bracketed ? 2 : 1);
    return true;
}

spate_err spate_address_parse(const char *text, struct spate_address *ret_address)
{
    spate_assert(text != NULL);
    spate_assert(ret_address != NULL);

    struct spate_address address = {.family = text[0] == '[' ? 6 : 4};
    const char *host = NULL;
    const char *port = NULL;
    size_t host_bytes = 0;
    char copy[HOST_TEXT_BYTES];

    if (!split(text, &host, &host_bytes, &port) || host_bytes >= sizeof copy ||
        !parse_port(port, &address.port)) {
        return SPATE_ERR_INVALID;
    }
    memcpy(copy, host, host_bytes);
    copy[host_bytes] = '\0';
    if (inet_pton(address.family == 6 ? AF_INET6 : AF_INET, copy, address.bytes) != 1) {
        return SPATE_ERR_INVALID;
    }
    *ret_address = address;
    return SPATE_OK;
}

void spate_address_format(const struct spate_address *address, char text[SPATE_ADDRESS_TEXT_BYTES])
{
    spate_assert(address != NULL);

    char host[HOST_TEXT_BYTES] = "";
    if (address->family != 4 && address->family != 6) {
        (void)snprintf(text, SPATE_ADDRESS_TEXT_BYTES, "none");
        return;
    }
    const bool is_v6 = address->family == 6;
    const char *ok = inet_ntop(is_v6 ? AF_INET6 : AF_INET, address->bytes, host, sizeof host);
    spate_assert(ok != NULL);
    const int length = snprintf(text, SPATE_ADDRESS_TEXT_BYTES, is_v6 ? "[%s]:%u" : "%s:%u", host,
                                (unsigned)address->port);
    spate_assert(length > 0 && (unsigned)length < SPATE_ADDRESS_TEXT_BYTES);
}

bool spate_address_is_equal(const struct spate_address *a, const struct spate_address *b)
{
    spate_assert(a != NULL);
    spate_assert(b != NULL);
    return a->family == b->family &&
           (a->family == 0 ||
            (a->port == b->port && memcmp(a->bytes, b->bytes, address_bytes(a)) == 0));
}

bool spate_address_is_loopback(const struct spate_address *address)
{
    static const uint8_t loopback_v6[16] = {[15] = 1};

    spate_assert(address != NULL);
    if (address->family == 4) {
        return address->bytes[0] == 127;
    }
    return address->family == 6 && memcmp(address->bytes, loopback_v6, sizeof loopback_v6) == 0;
}
