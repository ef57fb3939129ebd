/* The options of a core: checked as a whole before anything is touched, with a remedy for each. */
#include "core_internal.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>

#include "net/dpdk/dpdk.h"

#define MS 1000000ull

#define FRAME_BYTES_LOOPBACK 60000u
#define LOG_BUDGET_DEFAULT   (256ull << 20)
#define LOG_BUDGET_MIN       (16ull << 20)
#define STORE_BYTES_DEFAULT  (1ull << 40)

spate_err spate_explain(const struct spate_message_line *line, spate_err err, const char *format,
                        ...)
{
    if (line->text != NULL && line->bytes > 0) {
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(line->text, line->bytes, format, arguments);
        va_end(arguments);
    }
    return err;
}

static spate_err check_members(const struct spate_options *options,
                               struct spate_address addresses[],
                               const struct spate_message_line *line)
{
    bool has_self = false;

    if (options->members == NULL || options->member_count == 0 ||
        options->member_count > SPATE_MEMBERS_MAX) {
        return spate_explain(line, SPATE_ERR_INVALID, "name 1 to %u members, this core included",
                             SPATE_MEMBERS_MAX);
    }
    if (options->member_count % 2 == 0 && !options->is_joining) {
        return spate_explain(
            line, SPATE_ERR_INVALID,
            "%u members: give an odd number, an even one survives no more failures",
            options->member_count);
    }
    for (uint32_t i = 0; i < options->member_count; i++) {
        const struct spate_member_options *member = &options->members[i];

        if (member->id == 0) {
            return spate_explain(line, SPATE_ERR_INVALID, "member ids start at 1");
        }
        for (uint32_t j = 0; j < i; j++) {
            if (options->members[j].id == member->id) {
                return spate_explain(line, SPATE_ERR_INVALID,
                                     "member %u is named twice: ids are unique", member->id);
            }
        }
        if (member->address == NULL || spate_address_parse(member->address, &addresses[i])) {
            return spate_explain(line, SPATE_ERR_INVALID,
                                 "member %u: \"%s\" is no address; write it as 10.0.0.1:7209 or "
                                 "[::1]:7209",
                                 member->id, member->address == NULL ? "" : member->address);
        }
        has_self |= member->id == options->id;
    }
    if (!has_self) {
        return spate_explain(line, SPATE_ERR_INVALID, "core %u is not among the members",
                             options->id);
    }
    return SPATE_OK;
}

/* Unsealed frames are a decision of the operator, never a default. */
static spate_err check_security(const struct spate_options *options,
                                const struct spate_address addresses[],
                                const struct spate_message_line *line)
{
    if (options->insecure_peers == SPATE_INSECURE_REFUSED &&
        (options->member_count > 1 || options->is_joining)) {
        return spate_explain(line, SPATE_ERR_PERMISSION,
                             "frames are not sealed yet: allow it with insecure_peers = local "
                             "(loopback, memif) or any");
    }
    for (uint32_t i = 0; i < options->member_count; i++) {
        if (options->insecure_peers == SPATE_INSECURE_LOCAL && !spate_core_dpdk_is_local(options) &&
            !spate_address_is_loopback(&addresses[i])) {
            return spate_explain(line, SPATE_ERR_PERMISSION,
                                 "member %u at %s is not on loopback: use loopback addresses or "
                                 "memif, or insecure_peers = any on a network that you trust",
                                 options->members[i].id, options->members[i].address);
        }
    }
    return SPATE_OK;
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Sockets or DPDK is decided here, before anything of DPDK is loaded. */
static spate_err decide_transport(struct spate_options *options,
                                  const struct spate_address addresses[],
                                  const struct spate_message_line *line)
{
    const struct spate_dpdk_options *dpdk = &options->dpdk;
    struct spate_net_dpdk_options unused;

    if (options->transport == SPATE_TRANSPORT_AUTO) {
        if (!is_set(dpdk->device) &&
            (is_set(dpdk->address) || is_set(dpdk->gateway) || dpdk->vlan != 0 || dpdk->mtu != 0)) {
            return spate_explain(line, SPATE_ERR_INVALID,
                                 "dpdk: there is an address, gateway, vlan or mtu but no device: "
                                 "name one, or choose transport = socket");
        }
        options->transport = is_set(dpdk->device) ? SPATE_TRANSPORT_DPDK : SPATE_TRANSPORT_SOCKET;
    }
    return options->transport == SPATE_TRANSPORT_DPDK
               ? spate_core_dpdk_options(options, addresses, line, &unused)
               : SPATE_OK;
}

/* A processor that this process may not use shows only when the thread starts: too late. */
static spate_err check_cpu(const struct spate_options *options,
                           const struct spate_message_line *line)
{
    cpu_set_t allowed;
    char first[16] = "none";

    if (options->cpu == 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0 ||
        (options->cpu > 0 && options->cpu <= CPU_SETSIZE &&
         CPU_ISSET((size_t)options->cpu - 1, &allowed))) {
        return SPATE_OK;
    }
    for (size_t cpu = CPU_SETSIZE; cpu-- > 0;) {
        if (CPU_ISSET(cpu, &allowed)) {
            (void)snprintf(first, sizeof first, "%zu", cpu);
        }
    }
    return spate_explain(line, SPATE_ERR_INVALID,
                         "cpu %d is not among the %d processors that this process may use, of "
                         "which the first is %s: choose one of them (taskset -p $$ shows them)",
                         options->cpu - 1, CPU_COUNT(&allowed), first);
}

static spate_err check_rest(const struct spate_options *options,
                            const struct spate_message_line *line)
{
    const struct spate_fsm *fsm = options->fsm;
    if (fsm == NULL || fsm->apply == NULL || fsm->applied == NULL) {
        return spate_explain(line, SPATE_ERR_INVALID, "a core needs a state machine: set fsm");
    }
    const int saving = (fsm->save_begin != NULL) + (fsm->save_read != NULL) +
                       (fsm->save_end != NULL) + (fsm->restore_begin != NULL) +
                       (fsm->restore_write != NULL) + (fsm->restore_end != NULL);
    if (saving != 0 && saving != 6) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "fsm: save_begin, save_read, save_end, restore_begin, restore_write "
                             "and restore_end: set all of them, or none");
    }
    if (options->durability == SPATE_DURABILITY_DISK &&
        (options->directory == NULL || options->directory[0] == '\0')) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "durability disk needs a directory: name one, or choose memory");
    }
    const bool is_device_decided =
        options->transport == SPATE_TRANSPORT_DPDK && options->frame_bytes_max == 0;
    if (!is_device_decided && (options->frame_bytes_max < SPATE_FRAME_BYTES_MIN ||
                               options->frame_bytes_max > SPATE_FRAME_BYTES_MAX)) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "frame_bytes_max: %u to %u, 0 for the default", SPATE_FRAME_BYTES_MIN,
                             SPATE_FRAME_BYTES_MAX);
    }
    if (options->log_budget_bytes < LOG_BUDGET_MIN) {
        return spate_explain(line, SPATE_ERR_INVALID, "log_budget_bytes: at least %llu",
                             LOG_BUDGET_MIN);
    }
    if (options->election_timeout_ns_min > options->election_timeout_ns_max ||
        options->heartbeat_ns * 2 > options->election_timeout_ns_min) {
        return spate_explain(line, SPATE_ERR_INVALID,
                             "a heartbeat is at most half of the shortest election timeout, and "
                             "that one not longer than the longest");
    }
    return check_cpu(options, line);
}

static void set_transport_defaults(struct spate_options *options,
                                   const struct spate_address addresses[])
{
    const bool is_dpdk = options->transport == SPATE_TRANSPORT_DPDK;
    bool is_all_loopback = true;

    for (uint32_t i = 0; i < options->member_count; i++) {
        is_all_loopback &= spate_address_is_loopback(&addresses[i]);
    }
    /* On DPDK it stays 0: the device's MTU decides. */
    if (options->frame_bytes_max == 0 && !is_dpdk) {
        options->frame_bytes_max = is_all_loopback ? FRAME_BYTES_LOOPBACK : SPATE_FRAME_BYTES_MIN;
    }
    /* A processor that nobody else uses may as well poll: that is what DPDK is for. */
    if (options->poll == SPATE_POLL_AUTO) {
        options->poll = is_dpdk && options->cpu > 0 ? SPATE_POLL_BUSY : SPATE_POLL_ADAPTIVE;
    }
}

static void set_defaults(struct spate_options *options, const struct spate_address addresses[])
{
    set_transport_defaults(options, addresses);
    if (options->log_budget_bytes == 0) {
        options->log_budget_bytes = LOG_BUDGET_DEFAULT;
    }
    if (options->election_timeout_ns_min == 0) {
        options->election_timeout_ns_min = 300 * MS;
    }
    if (options->election_timeout_ns_max == 0) {
        options->election_timeout_ns_max = 2 * options->election_timeout_ns_min;
    }
    if (options->heartbeat_ns == 0) {
        options->heartbeat_ns = options->election_timeout_ns_min / 6;
    }
    if (options->spin_ns == 0) {
        options->spin_ns = 50000;
    }
    if (options->store_bytes_max == 0) {
        options->store_bytes_max = STORE_BYTES_DEFAULT;
    }
}

spate_err spate_options_complete(struct spate_options *options,
                                 struct spate_address addresses[SPATE_MEMBERS_MAX],
                                 const struct spate_message_line *line)
{
    spate_err err = check_members(options, addresses, line);

    if (err == SPATE_OK) {
        err = decide_transport(options, addresses, line);
    }
    if (err == SPATE_OK) {
        err = check_security(options, addresses, line);
    }
    if (err == SPATE_OK) {
        set_defaults(options, addresses);
        err = check_rest(options, line);
    }
    return err;
}
