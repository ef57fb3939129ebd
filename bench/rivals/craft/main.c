/*
 * spate-rival-craft: one member of a cluster of Canonical's C raft, with the library's own TCP and
 * disk (raft_uv), a state machine that counts, and a closed loop of entries in the leader's
 * process.
 *
 *   spate-rival-craft ID DIRECTORY CPU PORT...     (one port on 127.0.0.1 for each member)
 *
 * Member 1 is made to lead by its shorter election timeout and says `leading`. It is told what to
 * do by lines on standard input, and answers by lines on standard output:
 *
 *   closed IN_FLIGHT PAYLOAD WARM_NS RUN_NS batched|single
 *       -> result counted=N cpu_ns=N histogram VALUE:COUNT ...
 *
 * Batched: all that may be proposed is one call of the library; single: a call for each entry.
 *
 * The end of standard input ends it at once: what is on disk is removed by who started it.
 */
#include <raft.h>
#include <raft/uv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/histogram.h"
#include "bench/children.h"
#include "bench/pairs.h"
#include "bench/process.h"

#define MEMBERS_MAX   7
#define IN_FLIGHT_MAX 65536u

/* Far apart, so that member 1 leads; long once it does, so that a slow disk dethrones nobody. */
#define FIRST_ELECTION_MS 300u
#define OTHER_ELECTION_MS 5000u
#define CONNECT_RETRY_MS  50u

/* More entries than a measurement makes: neither side takes snapshots while it is measured. */
#define SNAPSHOT_ENTRIES (1u << 28)

struct member {
    uv_loop_t loop;
    uv_poll_t control;
    uv_timer_t watch; /* For becoming leader. */
    uv_check_t check; /* After what has arrived was handled: propose anew. */
    struct raft_uv_transport transport;
    struct raft_io io;
    struct raft_fsm machine;
    struct raft raft;
    bool is_first;
    bool is_leading;
    bool is_loading;
    bool is_batched;
    uint32_t in_flight_max;
    uint32_t in_flight;
    uint32_t payload_bytes;
    uint64_t began_ns; /* Warm-up is over. */
    uint64_t end_ns;
    uint64_t cpu_ns; /* When it was over; 0: it is not. */
    uint64_t counted;
    struct spate_histogram *latency;
    struct raft_buffer batch[IN_FLIGHT_MAX];
    char line[256];
    uint32_t line_bytes;
};

_Noreturn static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "spate-rival-craft: %s: %s\n", what, why);
    _exit(1);
}

static void must(struct member *member, const char *what, int error)
{
    if (error != 0) {
        fail(what, member->raft.errmsg[0] != '\0' ? member->raft.errmsg : raft_strerror(error));
    }
}

static void say_result(struct member *member)
{
    (void)printf("result counted=%llu cpu_ns=%llu histogram", (unsigned long long)member->counted,
                 (unsigned long long)(process_cpu_ns() - member->cpu_ns));
    bench_pairs_print(member->latency, stdout);
    (void)putchar('\n');
    (void)fflush(stdout);
}

/* Called for each committed entry, in order; an entry begins with when it was made. */
static int apply(struct raft_fsm *machine, const struct raft_buffer *entry, void **ret_result)
{
    struct member *member = machine->data;
    uint64_t made_ns = 0;

    *ret_result = NULL;
    if (!member->is_leading || entry->len < sizeof made_ns) {
        return 0;
    }
    memcpy(&made_ns, entry->base, sizeof made_ns);
    member->in_flight--;
    const uint64_t now = uv_hrtime();
    if (!member->is_loading || now < member->began_ns) {
        return 0;
    }
    if (member->cpu_ns == 0) {
        member->cpu_ns = process_cpu_ns();
    }
    if (now < member->end_ns) {
        spate_histogram_record(member->latency, now - made_ns, 1);
        member->counted++;
        return 0;
    }
    member->is_loading = false;
    say_result(member);
    return 0;
}

static int take_snapshot(struct raft_fsm *machine, struct raft_buffer *buffers[],
                         unsigned *ret_count)
{
    (void)machine;
    *ret_count = 1;
    *buffers = raft_malloc(sizeof **buffers);
    if (*buffers == NULL) {
        return RAFT_NOMEM;
    }
    (*buffers)[0] = (struct raft_buffer){.base = raft_calloc(1, 8), .len = 8};
    return (*buffers)[0].base == NULL ? RAFT_NOMEM : 0;
}

static int restore(struct raft_fsm *machine, struct raft_buffer *buffer)
{
    (void)machine;
    raft_free(buffer->base);
    return 0;
}

static void accepted(struct raft_apply *request, int status, void *result)
{
    (void)result;
    if (status != 0) {
        fail("an entry was not committed", raft_strerror(status));
    }
    free(request);
}

static void propose_batch(struct member *member, uint32_t count)
{
    struct raft_apply *request = calloc(1, sizeof *request);
    if (request == NULL) {
        fail("proposing", "out of memory");
    }
    const uint64_t now = uv_hrtime();
    for (uint32_t e = 0; e < count; e++) {
        void *entry = raft_calloc(1, member->payload_bytes);
        if (entry == NULL) {
            fail("proposing", "out of memory");
        }
        memcpy(entry, &now, sizeof now);
        member->batch[e] = (struct raft_buffer){.base = entry, .len = member->payload_bytes};
    }
    member->in_flight += count;
    must(member, "proposing", raft_apply(&member->raft, request, member->batch, count, accepted));
}

/* All that may be in flight and is not. */
static void propose(struct member *member)
{
    while (member->is_loading && member->in_flight < member->in_flight_max) {
        propose_batch(member, member->is_batched ? member->in_flight_max - member->in_flight : 1);
    }
}

static void checked(uv_check_t *check)
{
    propose(check->data);
}

static void obey(struct member *member, const char *line)
{
    unsigned in_flight = 0;
    unsigned payload = 0;
    unsigned long long warm = 0;
    unsigned long long run = 0;
    char calls[16] = "";

    if (sscanf(line, "closed %u %u %llu %llu %15s", &in_flight, &payload, &warm, &run, calls) !=
            5 ||
        in_flight == 0 || in_flight > IN_FLIGHT_MAX || payload < 8 || !member->is_leading) {
        fail("cannot do", line);
    }
    spate_histogram_reset(member->latency);
    member->counted = 0;
    member->cpu_ns = 0;
    member->is_batched = strcmp(calls, "batched") == 0;
    member->in_flight_max = in_flight;
    member->payload_bytes = payload;
    member->began_ns = uv_hrtime() + warm;
    member->end_ns = member->began_ns + run;
    member->is_loading = true;
    propose(member);
}

static void hear(uv_poll_t *control, int status, int events)
{
    struct member *member = control->data;
    const ssize_t got = status != 0 ? 0
                                    : read(STDIN_FILENO, member->line + member->line_bytes,
                                           sizeof member->line - 1 - member->line_bytes);
    char *end = NULL;

    (void)events;
    if (got <= 0) {
        _exit(0); /* Nobody is left to talk to. */
    }
    member->line_bytes += (uint32_t)got;
    member->line[member->line_bytes] = '\0';
    while ((end = strchr(member->line, '\n')) != NULL) {
        *end = '\0';
        obey(member, member->line);
        member->line_bytes -= (uint32_t)(end + 1 - member->line);
        memmove(member->line, end + 1, member->line_bytes + 1);
    }
}

static void watch(uv_timer_t *timer)
{
    struct member *member = timer->data;
    const bool is_leading = raft_state(&member->raft) == RAFT_LEADER;

    if (is_leading == member->is_leading) {
        return;
    }
    if (!is_leading || !member->is_first) {
        fail("leadership", "it changed hands while it was measured");
    }
    member->is_leading = true;
    raft_set_election_timeout(&member->raft, OTHER_ELECTION_MS);
    (void)printf("leading\n");
    (void)fflush(stdout);
}

static void start(struct member *member, unsigned id, const char *directory, int members,
                  char **ports)
{
    struct raft_configuration configuration;
    char address[MEMBERS_MAX][32];

    raft_configuration_init(&configuration);
    for (int m = 0; m < members; m++) {
        (void)snprintf(address[m], sizeof address[m], "127.0.0.1:%s", ports[m]);
        must(member, "configuration",
             raft_configuration_add(&configuration, (raft_id)m + 1, address[m], RAFT_VOTER));
    }
    must(member, "TCP", raft_uv_tcp_init(&member->transport, &member->loop));
    must(member, directory,
         raft_uv_init(&member->io, &member->loop, directory, &member->transport));
    raft_uv_set_connect_retry_delay(&member->io, CONNECT_RETRY_MS);
    must(member, "starting",
         raft_init(&member->raft, &member->io, &member->machine, id, address[id - 1]));
    raft_set_election_timeout(&member->raft,
                              member->is_first ? FIRST_ELECTION_MS : OTHER_ELECTION_MS);
    raft_set_snapshot_threshold(&member->raft, SNAPSHOT_ENTRIES);
    must(member, "first configuration", raft_bootstrap(&member->raft, &configuration));
    raft_configuration_close(&configuration);
    must(member, "starting", raft_start(&member->raft));
}

int main(int argument_count, char **arguments)
{
    static struct member member;
    const int members = argument_count - 4;
    const long id = argument_count > 1 ? strtol(arguments[1], NULL, 10) : 0;

    if (members < 1 || members > MEMBERS_MAX || id < 1 || id > members) {
        (void)fprintf(stderr, "usage: spate-rival-craft ID DIRECTORY CPU PORT...\n");
        return 2;
    }
    if (!bench_pin((int)strtol(arguments[3], NULL, 10))) { /* Before the disk's threads. */
        fail("processor", arguments[3]);
    }
    if (spate_histogram_create(&member.latency) != SPATE_OK) {
        fail("starting", "out of memory");
    }
    member.is_first = id == 1;
    member.machine = (struct raft_fsm){.version = 1,
                                       .data = &member,
                                       .apply = apply,
                                       .snapshot = take_snapshot,
                                       .restore = restore};
    must(&member, "libuv", uv_loop_init(&member.loop));
    start(&member, (unsigned)id, arguments[2], members, arguments + 4);
    member.control.data = member.watch.data = member.check.data = &member;
    must(&member, "libuv", uv_poll_init(&member.loop, &member.control, STDIN_FILENO));
    must(&member, "libuv", uv_poll_start(&member.control, UV_READABLE | UV_DISCONNECT, hear));
    must(&member, "libuv", uv_timer_init(&member.loop, &member.watch));
    must(&member, "libuv", uv_timer_start(&member.watch, watch, 5, 5));
    must(&member, "libuv", uv_check_init(&member.loop, &member.check));
    must(&member, "libuv", uv_check_start(&member.check, checked));
    return uv_run(&member.loop, UV_RUN_DEFAULT);
}
