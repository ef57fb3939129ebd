/* The command line of `spate bench PROFILE`. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"

static const char usage[] =
    "usage: spate bench [PROFILE] [OPTIONS]\n"
    "       spate bench compare BEFORE AFTER [--force]   what changed between two results\n"
    "       spate bench bundle DIR                       one archive of them, to send\n"
    "       spate bench report DIR                       their report.html anew\n\n"
    "profiles\n"
    "  latency     1 in flight, busy and adaptive polling; then open loops (default)\n"
    "  throughput  64 and 4096 in flight\n"
    "  durable     1 and 4096 in flight, on disk\n"
    "  rivals      1, 64, 1024 and 4096 in flight, on disk, beside all rivals\n"
    "  open        arrivals at 10, 50 and 90 % of the peak, or at --rate\n"
    "  stages      where the time of a commit goes, and what sampling it costs\n"
    "  failover    kill -9 of leaders under load\n"
    "  bring-in    an empty core brought up under load; snapshots under load\n"
    "  idle        processor, memory and wake-up of idle cores\n"
    "  scale       4096 in flight with 1, 3, 5 and 7 nodes\n"
    "  parts       parts of the library by themselves, and a log of 100 M entries\n"
    "  full        all of these\n\n"
    "options [defaults]\n"
    "  --nodes N [3]            cores: 1, 3, 5 or 7\n"
    "  --payload BYTES [64]     of each entry, a multiple of 8\n"
    "  --in-flight N,N,…        closed loops (peak), instead of the profile's\n"
    "  --polling busy|adaptive|both\n"
    "  --transport T,T,… [socket]  socket: loopback; memif: DPDK in shared memory; veth (the\n"
    "                           kernel), af_packet, af_xdp, tap (DPDK): namespaces, as root;\n"
    "                           pci:0000:03:00.0,0000:03:00.1,…: a card for each core\n"
    "  --frame BYTES            UDP payload [60000 on loopback, else what the device carries]\n"
    "  --rate N                 open loop: entries a second, instead of shares of the peak\n"
    "  --arrivals poisson|constant [poisson]\n"
    "  --find-max --p99-under TIME   the highest rate whose p99 holds: 50us, 1ms\n"
    "  --rivals R,R,…           closed loops: craft, craft-single (Canonical's C raft, in batches\n"
    "                           or one by one), etcd, redis (replicates nothing), all\n"
    "  --runs N [5]  --seconds S [2]  --warmup S [0.5]  --kills N [30]  --election-timeout MS "
    "[300]\n"
    "  --state BYTES [1073741824]   bring-in: what the cores hold\n"
    "  --leader-cpu N [0]  --follower-cpu N [1]\n"
    "  --dir DIR [.]            where durable runs write\n"
    "  --disk wal|lmdb [wal]    how\n"
    "  --output DIR             report.html, env.json, results.*, *.hgrm, *.hlog\n";

enum option_id {
    NODES = 1,
    PAYLOAD,
    IN_FLIGHT,
    POLLING,
    TRANSPORT,
    FRAME,
    RUNS,
    SECONDS,
    WARMUP,
    RATE,
    ARRIVALS,
    FIND_MAX,
    P99_UNDER,
    KILLS,
    STATE,
    ELECTION_TIMEOUT,
    RIVALS,
    LEADER_CPU,
    FOLLOWER_CPU,
    DIRECTORY,
    DISK,
    OUTPUT,
    HELP
};

static const struct option option_table[] = {
    {"nodes", required_argument, NULL, NODES},
    {"payload", required_argument, NULL, PAYLOAD},
    {"in-flight", required_argument, NULL, IN_FLIGHT},
    {"polling", required_argument, NULL, POLLING},
    {"transport", required_argument, NULL, TRANSPORT},
    {"frame", required_argument, NULL, FRAME},
    {"runs", required_argument, NULL, RUNS},
    {"seconds", required_argument, NULL, SECONDS},
    {"warmup", required_argument, NULL, WARMUP},
    {"rate", required_argument, NULL, RATE},
    {"arrivals", required_argument, NULL, ARRIVALS},
    {"find-max", no_argument, NULL, FIND_MAX},
    {"p99-under", required_argument, NULL, P99_UNDER},
    {"kills", required_argument, NULL, KILLS},
    {"state", required_argument, NULL, STATE},
    {"election-timeout", required_argument, NULL, ELECTION_TIMEOUT},
    {"rivals", required_argument, NULL, RIVALS},
    {"leader-cpu", required_argument, NULL, LEADER_CPU},
    {"follower-cpu", required_argument, NULL, FOLLOWER_CPU},
    {"dir", required_argument, NULL, DIRECTORY},
    {"disk", required_argument, NULL, DISK},
    {"output", required_argument, NULL, OUTPUT},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static bool read_number(const char *text, double min, double max, double *ret_number)
{
    char *rest = NULL;
    const double number = strtod(text, &rest);
    if (rest == text || *rest != '\0' || !(number >= min && number <= max)) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool read_in_flight(struct harness *harness, char *text)
{
    char *item = NULL;
    double number = 0;

    harness->in_flight_count = 0;
    while ((item = strsep(&text, ",")) != NULL) {
        if (harness->in_flight_count == HARNESS_IN_FLIGHT_MAX ||
            !read_number(item, 1, 65536, &number)) {
            return false;
        }
        harness->in_flight[harness->in_flight_count++] = (uint32_t)number;
    }
    return true;
}

static bool read_polling(struct harness *harness, const char *text)
{
    const bool is_both = strcmp(text, "both") == 0;
    harness->polls_busy = is_both || strcmp(text, "busy") == 0;
    harness->polls_adaptive = is_both || strcmp(text, "adaptive") == 0;
    return harness->polls_busy || harness->polls_adaptive;
}

/* Only named here: they are opened when all options are known to be good. */
static bool read_transports(struct harness *harness, char *text)
{
    harness->transport_count = transport_parse(text, harness->transports);
    return harness->transport_count > 0;
}

static bool read_rivals(struct harness *harness, char *text)
{
    char *item = NULL;

    while ((item = strsep(&text, ",")) != NULL) {
        const bool is_all = strcmp(item, "all") == 0;
        enum rival_kind kind = RIVAL_CRAFT;
        if (!is_all && !rival_parse(item, &kind)) {
            return false;
        }
        for (uint32_t k = 0; k < RIVAL_KINDS; k++) {
            harness->rivals[k] = harness->rivals[k] || is_all || k == (uint32_t)kind;
        }
    }
    return true;
}

static bool read_arrivals(struct harness *harness, const char *text)
{
    harness->is_constant = strcmp(text, "constant") == 0;
    return harness->is_constant || strcmp(text, "poisson") == 0;
}

/* A number with ns, us, ms or s behind it. */
static bool read_time_ns(const char *text, double *ret_ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    char *unit = NULL;
    const double number = strtod(text, &unit);

    for (unsigned u = 0; u < sizeof units / sizeof units[0]; u++) {
        if (unit != text && strcmp(unit, units[u].unit) == 0 && number > 0 && number < 1e9) {
            *ret_ns = number * units[u].ns;
            return true;
        }
    }
    return false;
}

static bool read_option(struct harness *harness, int id, char *text)
{
    const struct {
        double min, max;
        uint32_t *to;
    } numbers[] = {
        [NODES] = {1, 7, &harness->nodes},
        [PAYLOAD] = {8, 1 << 20, &harness->payload_bytes},
        [FRAME] = {1472, 65000, &harness->frame_bytes},
        [RUNS] = {1, BENCH_RUNS_MAX, &harness->runs},
        [KILLS] = {1, BENCH_RUNS_MAX, &harness->kills},
        [ELECTION_TIMEOUT] = {5, 60000, &harness->election_timeout_ms},
        [LEADER_CPU] = {0, 4095, (uint32_t *)&harness->leader_cpu},
        [FOLLOWER_CPU] = {0, 4095, (uint32_t *)&harness->follower_cpu},
    };
    double number = 0;

    switch (id) {
    case IN_FLIGHT:
        return read_in_flight(harness, text);
    case POLLING:
        return read_polling(harness, text);
    case SECONDS:
        return read_number(text, 0.05, 3600, &harness->seconds);
    case WARMUP:
        return read_number(text, 0, 3600, &harness->warmup_seconds);
    case RATE:
        return read_number(text, 1, 1e9, &harness->rate);
    case STATE:
        if (!read_number(text, 1 << 20, 1ull << 36, &number)) {
            return false;
        }
        harness->state_bytes = (uint64_t)number;
        return true;
    case TRANSPORT:
        return read_transports(harness, text);
    case RIVALS:
        return read_rivals(harness, text);
    case ARRIVALS:
        return read_arrivals(harness, text);
    case FIND_MAX:
        harness->finds_max = true;
        return true;
    case P99_UNDER:
        return read_time_ns(text, &harness->p99_max_ns);
    case DIRECTORY:
        harness->directory = text;
        return true;
    case DISK:
        harness->disk = strcmp(text, "lmdb") == 0 ? SPATE_DISK_LMDB : SPATE_DISK_WAL;
        return strcmp(text, "lmdb") == 0 || strcmp(text, "wal") == 0;
    case OUTPUT:
        harness->output = text;
        return true;
    default:
        break;
    }
    if (id >= (int)(sizeof numbers / sizeof numbers[0]) || numbers[id].to == NULL ||
        !read_number(text, numbers[id].min, numbers[id].max, &number)) {
        return false;
    }
    *numbers[id].to = (uint32_t)number;
    return true;
}

static bool refuse(const char *text)
{
    (void)fprintf(stderr, "spate bench: %s; see 'spate bench --help'\n", text);
    return false;
}

/* What no single option can say. */
static bool check(const struct harness *harness, int left)
{
    if (harness->nodes % 2 == 0) {
        return refuse("give 1, 3, 5 or 7 --nodes");
    }
    if (harness->payload_bytes % 8 != 0) {
        return refuse("give a --payload that is a multiple of 8");
    }
    for (uint32_t i = 0; i < harness->in_flight_count; i++) {
        if (harness->in_flight[i] > harness_in_flight_max(harness)) {
            return refuse("--in-flight times --payload is at most 256 MiB: give less of either");
        }
    }
    if (harness->finds_max != (harness->p99_max_ns > 0)) {
        return refuse("--find-max wants a bound, and --p99-under a search: give both");
    }
    if (harness->finds_max && harness->rate > 0) {
        return refuse("--find-max looks for the rate; leave out --rate");
    }
    if (left > 1) {
        return refuse("give one profile");
    }
    return true;
}

bool harness_read_options(struct harness *harness, int argument_count, char **arguments,
                          const char **ret_profile, int *ret_code)
{
    int id = 0;
    int which = -1;
    char text[256];

    opterr = 0; /* One line, and ours. */
    *ret_code = 2;
    while ((id = getopt_long(argument_count, arguments, ":", option_table, &which)) != -1) {
        if (id == HELP) {
            (void)fputs(usage, stdout);
            *ret_code = 0;
            return false;
        }
        if (id == '?' || id == ':') {
            (void)snprintf(text, sizeof text, "%s %s", arguments[optind - 1],
                           id == ':' ? "wants a value" : "is no option");
            return refuse(text);
        }
        if (!read_option(harness, id, optarg)) {
            (void)snprintf(text, sizeof text, "--%s cannot be '%s'", option_table[which].name,
                           optarg);
            return refuse(text);
        }
    }
    if (!check(harness, argument_count - optind)) {
        return false;
    }
    *ret_profile = optind < argument_count ? arguments[optind] : NULL;
    return true;
}
