/* spate core: runs one core in the foreground until it is told to stop. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "apps/spate/http/server.h"
#include "base/rcu.h"
#include "clock/monotonic.h"
#include "kv/counting.h"
#include "kv/kv.h"
#include "log.h"
#include "net/net.h"
#include "settings.h"
#include "spate/spate.h"
#include "verbs.h"
#include "words.h"

#define MESSAGE_BYTES 512u

/* How often the core looks at itself for what should be in the log. */
#define WATCH_INTERVAL_MS 100

/* How long a leader that stops waits for somebody to take over. */
#define HAND_OVER_NS_MAX 2000000000ull

/* Everything that `spate core` owns, in the order in which it is made. */
struct core {
    struct settings settings;
    struct spate_options options;
    struct spate_member_options members[SPATE_MEMBERS_MAX];
    char member_text[SETTING_TEXT_BYTES];
    struct spate_clock *clock;
    struct spate_kv *kv;
    struct spate_counting counting;
    struct spate *spate;
    struct spate_port *port;
    struct http_server *http;
    bool follower_redirects;
    char message[MESSAGE_BYTES];
};

void verb_core_help(void)
{
    (void)printf("usage: spate core [FLAGS]\n\nRuns a core in the foreground; SIGTERM or Ctrl-C "
                 "stops it cleanly. Each flag is also an\nenvironment variable (raft.members: "
                 "SPATE_RAFT_MEMBERS) and a line of an INI file ([raft] members = …).\n\n");
    settings_print_help(stdout);
    (void)printf("\nexample: three cores on this machine, here the first\n"
                 "  spate core --id 1 --raft.members "
                 "1@127.0.0.1:7301,2@127.0.0.1:7302,3@127.0.0.1:7303 \\\n"
                 "    --insecure-peers local --data /var/lib/spate/1\n");
}

static bool refuse(struct core *core, const char *text)
{
    (void)snprintf(core->message, sizeof core->message, "%s", text);
    return false;
}

static bool read_members(struct core *core)
{
    (void)snprintf(core->member_text, sizeof core->member_text, "%s",
                   core->settings.text[SETTING_MEMBERS]);
    const char *wrong =
        words_members(core->member_text, core->members, &core->options.member_count);
    if (wrong != NULL && *wrong == '\0' && core->options.member_count == SPATE_MEMBERS_MAX) {
        return refuse(core, "raft.members: at most 16 members");
    }
    if (wrong != NULL) {
        (void)snprintf(core->message, sizeof core->message,
                       "raft.members: '%s' is not ID@ADDRESS:PORT; give all founders, like "
                       "1@127.0.0.1:7301,2@127.0.0.1:7302,3@127.0.0.1:7303",
                       wrong);
        return false;
    }
    core->options.members = core->members;
    return true;
}

static bool read_cpu(struct core *core)
{
    uint64_t cpu = 0;
    if (core->settings.text[SETTING_CPU][0] == '\0') {
        return true;
    }
    if (!settings_number(&core->settings, SETTING_CPU, 0, 4095, &cpu, core->message,
                         MESSAGE_BYTES)) {
        return false;
    }
    core->options.cpu = (int)cpu + 1;
    return true;
}

static bool read_words(struct core *core)
{
    static const char *const transports[] = {"auto", "socket", "dpdk", NULL};
    static const char *const polls[] = {"auto", "busy", "adaptive", NULL};
    static const char *const insecure[] = {"refused", "local", "any", NULL};
    static const char *const durabilities[] = {"disk", "memory", NULL};
    static const char *const applies[] = {"inline", "thread", NULL};
    static const char *const joins[] = {"off", "on", NULL};
    static const char *const reads[] = {"quorum", "lease", NULL};
    static const char *const disks[] = {"auto", "wal", "lmdb", NULL};
    const struct {
        enum setting setting;
        const char *const *words;
    } all[] = {{SETTING_TRANSPORT, transports},
               {SETTING_POLL, polls},
               {SETTING_INSECURE_PEERS, insecure},
               {SETTING_DURABILITY, durabilities},
               {SETTING_APPLY, applies},
               {SETTING_READS, reads},
               {SETTING_DISK, disks},
               {SETTING_JOIN, joins}};
    uint32_t words[SPATE_ARRAY_COUNT(all)] = {0};

    for (unsigned i = 0; i < SPATE_ARRAY_COUNT(all); i++) {
        if (!settings_word(&core->settings, all[i].setting, all[i].words, &words[i], core->message,
                           MESSAGE_BYTES)) {
            return false;
        }
    }
    core->options.transport = (enum spate_transport)words[0];
    core->options.poll = (enum spate_poll_mode)words[1];
    core->options.insecure_peers = (enum spate_insecure)words[2];
    core->options.durability = (enum spate_durability)words[3];
    core->options.apply_is_threaded = words[4] == 1;
    core->options.lease_enabled = words[5] == 1;
    core->options.disk = (enum spate_disk)words[6];
    core->options.is_joining = words[7] == 1;
    return true;
}

static bool read_sizes_and_times(struct core *core)
{
    const struct settings *s = &core->settings;
    struct spate_options *o = &core->options;
    uint64_t frame_bytes = 0;
    const bool is_good =
        settings_bytes(s, SETTING_FRAME_BYTES, 0, 65000, &frame_bytes, core->message,
                       MESSAGE_BYTES) &&
        settings_bytes(s, SETTING_LOG_BUDGET, 16u << 20, 1ull << 40, &o->log_budget_bytes,
                       core->message, MESSAGE_BYTES) &&
        settings_bytes(s, SETTING_SNAPSHOT_ENTRIES, 0, 1ull << 50, &o->snapshot_entries,
                       core->message, MESSAGE_BYTES) &&
        settings_bytes(s, SETTING_SNAPSHOT_BYTES, 0, 1ull << 50, &o->snapshot_bytes, core->message,
                       MESSAGE_BYTES) &&
        settings_bytes(s, SETTING_SNAPSHOT_KEEP, 0, 1ull << 50, &o->snapshot_keep_entries,
                       core->message, MESSAGE_BYTES) &&
        settings_bytes(s, SETTING_DISK_LOW, 1, 1ull << 50, &o->disk_low_bytes, core->message,
                       MESSAGE_BYTES) &&
        settings_duration(s, SETTING_ELECTION_MIN, 1000000, 3600000000000ull,
                          &o->election_timeout_ns_min, core->message, MESSAGE_BYTES) &&
        settings_duration(s, SETTING_ELECTION_MAX, o->election_timeout_ns_min + 1, 3600000000000ull,
                          &o->election_timeout_ns_max, core->message, MESSAGE_BYTES) &&
        settings_duration(s, SETTING_HEARTBEAT, 100000, o->election_timeout_ns_min / 2,
                          &o->heartbeat_ns, core->message, MESSAGE_BYTES) &&
        settings_duration(s, SETTING_SPIN, 0, 1000000000, &o->spin_ns, core->message,
                          MESSAGE_BYTES);
    if (is_good && frame_bytes != 0 && frame_bytes < SPATE_FRAME_BYTES_MIN) {
        return refuse(core, "raft.frame-bytes: give 0 or 1472 to 65000");
    }
    o->frame_bytes_max = (uint32_t)frame_bytes;
    return is_good;
}

/* Texts stay in the settings; the library refuses what does not fit together. */
static bool read_dpdk(struct core *core)
{
    const struct settings *s = &core->settings;
    uint64_t vlan = 0;
    uint64_t mtu = 0;
    uint64_t memory_mib = 0;
    static const char *const switches[] = {"off", "on", NULL};
    uint32_t flow = 0;

    if (!settings_word(s, SETTING_DPDK_FLOW, switches, &flow, core->message, MESSAGE_BYTES) ||
        !settings_number(s, SETTING_DPDK_VLAN, 0, 4094, &vlan, core->message, MESSAGE_BYTES) ||
        !settings_number(s, SETTING_DPDK_MTU, 0, 9000, &mtu, core->message, MESSAGE_BYTES) ||
        !settings_number(s, SETTING_DPDK_MEMORY, 0, 1u << 20, &memory_mib, core->message,
                         MESSAGE_BYTES)) {
        return false;
    }
    core->options.dpdk = (struct spate_dpdk_options){
        .device = s->text[SETTING_DPDK_DEVICE],
        .address = s->text[SETTING_DPDK_ADDRESS],
        .gateway = s->text[SETTING_DPDK_GATEWAY],
        .vlan = (uint16_t)vlan,
        .mtu = (uint16_t)mtu,
        .memory_mib = (uint32_t)memory_mib,
        .is_steered = flow == 1,
        .eal_extra = s->text[SETTING_DPDK_EAL_EXTRA],
    };
    return true;
}

/* Before anything is opened, so that a refused core writes nothing. */
static bool read_listen(struct core *core, enum setting setting, struct spate_address *ret_address)
{
    const char *text = core->settings.text[setting];

    if (text[0] == '\0' || spate_address_parse(text, ret_address) == SPATE_OK) {
        return true;
    }
    (void)snprintf(core->message, sizeof core->message,
                   "%s = '%.300s': give an address and a port, like 127.0.0.1:7220",
                   setting_name(setting), text);
    return false;
}

static bool check_front_end(struct core *core)
{
    static const char *const ways[] = {"forward", "redirect", NULL};
    struct spate_address health;
    struct spate_address api;
    uint32_t way = 0;

    if (!read_listen(core, SETTING_HEALTH_LISTEN, &health) ||
        !read_listen(core, SETTING_API_LISTEN, &api) ||
        !settings_word(&core->settings, SETTING_API_FOLLOWER, ways, &way, core->message,
                       MESSAGE_BYTES)) {
        return false;
    }
    core->follower_redirects = way == 1;
    if (core->follower_redirects && core->settings.text[SETTING_API_MEMBERS][0] == '\0') {
        return refuse(core, "api.follower = redirect needs api.members");
    }
    /* Plain HTTP must not leave the machine. */
    if (core->settings.text[SETTING_API_LISTEN][0] != '\0' && !spate_address_is_loopback(&api)) {
        return refuse(core, "api.listen: the API is plain HTTP and listens on loopback addresses "
                            "only; give 127.0.0.1:PORT and put a TLS proxy in front");
    }
    return true;
}

static bool read_settings(struct core *core, int argument_count, char **arguments)
{
    uint64_t id = 0;

    if (!settings_read(&core->settings, argument_count, arguments, core->message, MESSAGE_BYTES)) {
        return false;
    }
    if (core->settings.text[SETTING_ID][0] == '\0' ||
        core->settings.text[SETTING_MEMBERS][0] == '\0') {
        return refuse(core, "give --id and --raft.members; 'spate help core' shows an example");
    }
    if (!settings_number(&core->settings, SETTING_ID, 1, UINT32_MAX, &id, core->message,
                         MESSAGE_BYTES) ||
        !settings_number(&core->settings, SETTING_INCARNATION, 1, UINT64_MAX,
                         &core->options.incarnation, core->message, MESSAGE_BYTES) ||
        !settings_uuid(&core->settings, SETTING_CLUSTER_ID, core->options.cluster_id, core->message,
                       MESSAGE_BYTES) ||
        !read_members(core) || !read_words(core) || !read_sizes_and_times(core) ||
        !read_cpu(core) || !read_dpdk(core) || !check_front_end(core)) {
        return false;
    }
    core->options.id = (spate_node_id)id;
    if (core->settings.text[SETTING_LISTEN][0] != '\0') {
        core->options.listen = core->settings.text[SETTING_LISTEN];
    }
    if (core->options.durability == SPATE_DURABILITY_DISK &&
        core->settings.text[SETTING_DATA][0] == '\0') {
        return refuse(core, "durability disk needs --data DIRECTORY (or --durability memory)");
    }
    core->options.directory = core->settings.text[SETTING_DATA];
    return true;
}

static uint64_t draw_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        abort(); /* Cannot happen for so few bytes once the system is up. */
    }
    return seed;
}

static spate_err make_state_machine(struct core *core)
{
    static const char *const kinds[] = {"kv", "counting", NULL};
    uint32_t kind = 0;
    uint64_t quota = 0;

    if (!settings_word(&core->settings, SETTING_STATE_MACHINE, kinds, &kind, core->message,
                       MESSAGE_BYTES) ||
        !settings_bytes(&core->settings, SETTING_QUOTA, 1, 1ull << 44, &quota, core->message,
                        MESSAGE_BYTES)) {
        return SPATE_ERR_INVALID;
    }
    if (kind == 1) {
        spate_counting_init(&core->counting);
        core->options.fsm = &core->counting.fsm;
        return SPATE_OK;
    }
    const struct spate_kv_options options = {
        .reclaim = spate_rcu_reclaim(), .quota_bytes = quota, .seed = draw_seed()};
    const spate_err err = spate_kv_create(&options, &core->kv);
    core->options.fsm = err == SPATE_OK ? spate_kv_fsm(core->kv) : NULL;
    return err;
}

/* Data that was recovered is for the operator's eyes only until that is finished. */
static void keep_on_loopback(struct core *core)
{
    char *health = core->settings.text[SETTING_HEALTH_LISTEN];
    struct spate_address address;

    if (core->options.durability != SPATE_DURABILITY_DISK ||
        !spate_recover_is_unfinished(core->options.directory)) {
        return;
    }
    log_line(LOG_LEVEL_WARNING,
             "the data was recovered: this core listens on loopback addresses only; look at the "
             "contents, stop it, and use 'spate recover --data %s --finish'",
             core->options.directory);
    if (health[0] != '\0' && spate_address_parse(health, &address) == SPATE_OK &&
        !spate_address_is_loopback(&address)) {
        (void)snprintf(health, SETTING_TEXT_BYTES, "127.0.0.1:%u", address.port);
    }
}

static spate_err make_front_end(struct core *core)
{
    keep_on_loopback(core);
    const spate_err err = spate_open_port(core->spate, 0, &core->port);
    if (err != SPATE_OK) {
        return err;
    }
    const struct http_options options = {
        .spate = core->spate,
        .kv = core->kv,
        .port = core->port,
        .clock = core->clock,
        .health_listen = core->settings.text[SETTING_HEALTH_LISTEN],
        .api_listen = core->settings.text[SETTING_API_LISTEN],
        .follower_redirects = core->follower_redirects,
        .api_members = core->settings.text[SETTING_API_MEMBERS],
        .seed = draw_seed(),
    };
    return http_server_open(&options, &core->http, core->message, MESSAGE_BYTES);
}

static spate_err start(struct core *core)
{
    spate_err err = make_state_machine(core);
    if (err == SPATE_OK) {
        err = spate_open(&core->options, &core->spate, core->message, MESSAGE_BYTES);
    }
    if (err == SPATE_OK && core->message[0] != '\0') {
        log_line(LOG_LEVEL_WARNING, "%s", core->message);
    }
    if (err == SPATE_OK) {
        err = make_front_end(core);
    }
    if (err == SPATE_OK) {
        err = spate_start(core->spate);
    }
    return err == SPATE_OK ? http_server_start(core->http) : err;
}

/* The same peer as it was before, or one of whom nothing was known. */
static const struct spate_peer_status *find_peer(const struct spate_status *status,
                                                 spate_node_id id)
{
    static const struct spate_peer_status nobody = {.id = 0};

    for (uint32_t p = 0; p < status->peer_count; p++) {
        if (status->peers[p].id == id) {
            return &status->peers[p];
        }
    }
    return &nobody;
}

static void report_change(const struct spate_status *before, const struct spate_status *now)
{
    static const char *const roles[] = {"learner", "follower", "pre-candidate", "candidate",
                                        "leader"};
    if (now->role != before->role || now->term != before->term || now->leader != before->leader) {
        log_line(LOG_LEVEL_INFO, "%s in term %llu, leader %u, committed %llu", roles[now->role],
                 (unsigned long long)now->term, now->leader, (unsigned long long)now->committed);
    }
    if (now->is_mute && !before->is_mute) {
        log_line(LOG_LEVEL_WARNING, "mute: this core came without the data of what it may have "
                                    "promised; it votes once the leader has brought it up to date");
    } else if (before->is_mute && !now->is_mute) {
        log_line(LOG_LEVEL_INFO, "brought up to date: this core votes");
    }
    if (now->is_disk_low && !before->is_disk_low) {
        log_line(LOG_LEVEL_WARNING, "little free space left (disk.low): while this core leads it "
                                    "takes no more writes; make space, nothing needs a restart");
    } else if (before->is_disk_low && !now->is_disk_low) {
        log_line(LOG_LEVEL_INFO, "there is free space again: writes are taken");
    }
    for (uint32_t p = 0; p < now->peer_count; p++) {
        const struct spate_peer_status *peer = &now->peers[p];
        const struct spate_peer_status *was = find_peer(before, peer->id);
        if (peer->is_connected != was->is_connected) {
            log_line(LOG_LEVEL_INFO, "peer %u (%s) %s", peer->id, peer->address,
                     peer->is_connected ? "connected" : "lost");
        }
        if (peer->is_refused && !was->is_refused) {
            log_line(LOG_LEVEL_ERROR,
                     "peer %u (%s) refused: %s; check cluster.id, raft.members and the versions",
                     peer->id, peer->address, peer->refusal);
        }
    }
}

/* Who votes, and who does not, whenever that changes. */
static void report_members(struct core *core, struct spate_members *before)
{
    struct spate_members now;
    char list[SPATE_MEMBERS_MAX * 24] = "";

    spate_get_members(core->spate, &now);
    if (now.index == before->index && now.count == before->count) {
        return;
    }
    for (uint32_t i = 0; i < now.count; i++) {
        const struct spate_member_status *member = &now.members[i];
        const size_t used = strlen(list);
        const bool stays = now.is_joint ? member->is_voter_next : member->is_voter;
        (void)snprintf(list + used, sizeof list - used, "%s%u%s", used == 0 ? "" : ", ", member->id,
                       stays              ? ""
                       : member->is_voter ? " (leaving)"
                                          : " (learner)");
    }
    log_line(LOG_LEVEL_INFO, "members by entry %llu: %s%s", (unsigned long long)now.index, list,
             now.is_joint ? "; a change of voters is under way" : "");
    if (now.is_overridden && !before->is_overridden) {
        log_line(LOG_LEVEL_WARNING, "the number of voters is even, because somebody insisted");
    }
    if (!now.is_member && before->is_member) {
        log_line(LOG_LEVEL_WARNING,
                 "this core is no member any more: it only answers; stop it, or add it anew with "
                 "empty data and a larger raft.incarnation");
    }
    *before = now;
}

/* What the transport wants people to read: EAL's arguments, links, addresses used twice. */
static void report_notices(struct core *core)
{
    struct spate_notice notice;

    while (spate_next_notice(core->spate, &notice)) {
        log_line(notice.is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s", notice.text);
    }
}

/* Waits for a signal, watching the core meanwhile. Returns why it ended. */
static spate_err watch(struct core *core, const sigset_t *signals)
{
    struct spate_status before = {0};
    struct spate_status now = {0};
    struct spate_members members = {0};
    const struct timespec interval = {.tv_nsec = WATCH_INTERVAL_MS * 1000000L};

    for (;;) {
        report_notices(core);
        report_members(core, &members);
        spate_get_status(core->spate, &now);
        report_change(&before, &now);
        before = now;
        const int number = sigtimedwait(signals, NULL, &interval);
        if (number > 0) {
            log_line(LOG_LEVEL_INFO, "stopping: %s", strsignal(number));
            return SPATE_OK;
        }
        const spate_err err = spate_health(core->spate);
        if (err != SPATE_OK) {
            return err;
        }
    }
}

static void report_end(spate_err err)
{
    if (err == SPATE_ERR_FORGOTTEN) {
        log_line(LOG_LEVEL_ERROR,
                 "stopped: %s: an emptied or unmounted disk, or a restored backup? Look at it; "
                 "started again, this core gets everything from the others before it votes",
                 spate_err_text(err));
        return;
    }
    log_line(LOG_LEVEL_ERROR, "stopped: %s; look at the disk before starting it again",
             spate_err_text(err));
}

/* A leader that stops hands over first, so that nobody has to wait for a timeout. */
static void hand_over(struct core *core)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    struct spate_members_answer answer;
    struct spate_status status;
    uint64_t ticket = 0;

    spate_get_status(core->spate, &status);
    if (status.role != SPATE_ROLE_LEADER || status.peer_count == 0 ||
        spate_transfer(core->spate, 0, &ticket) != SPATE_OK) {
        return;
    }
    const uint64_t until = spate_clock_now(core->clock) + HAND_OVER_NS_MAX;
    while (spate_health(core->spate) == SPATE_OK && spate_clock_now(core->clock) < until) {
        if (spate_take_answer(core->spate, ticket, &answer)) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    spate_forget_answer(core->spate, ticket);
}

static void stop(struct core *core)
{
    if (core->http != NULL) {
        http_server_drain(core->http);
        hand_over(core);
    }
    http_server_close(core->http);
    spate_close(core->spate);
    spate_kv_destroy(core->kv);
}

int verb_core(int argument_count, char **arguments)
{
    static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
    struct core *core = calloc(1, sizeof *core);
    uint32_t level = LOG_LEVEL_INFO;
    sigset_t signals;

    if (core == NULL) {
        return verb_fail("core", EXIT_FAILED, "out of memory");
    }
    core->clock = spate_clock_system();
    if (!read_settings(core, argument_count, arguments) ||
        !settings_word(&core->settings, SETTING_LOG_LEVEL, levels, &level, core->message,
                       MESSAGE_BYTES)) {
        const int code = verb_fail("core", EXIT_USAGE, "%s", core->message);
        free(core);
        return code;
    }
    log_set_level((enum log_level)level);
    /* Blocked before the first thread starts, so that all of them inherit it. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    spate_err err = start(core);
    int code = EXIT_DONE;
    if (err != SPATE_OK) {
        code = verb_fail("core", exit_code_of(err), "%s",
                         core->message[0] != '\0' ? core->message : spate_err_text(err));
    } else {
        if (core->options.insecure_peers == SPATE_INSECURE_ANY) {
            log_line(LOG_LEVEL_WARNING, "frames between cores are not sealed and may leave this "
                                        "machine (insecure-peers any): for measuring only");
        }
        if (core->options.durability == SPATE_DURABILITY_MEMORY && core->options.member_count > 1 &&
            core->settings.text[SETTING_DATA][0] == '\0') {
            log_line(LOG_LEVEL_WARNING, "durability memory without data: after a restart this core "
                                        "will not know that it forgot; give it a directory");
        }
        struct spate_status status;
        spate_get_status(core->spate, &status);
        log_line(LOG_LEVEL_INFO, "core %u up on %s%s%s, API on %s", core->options.id,
                 status.transport, status.device[0] != '\0' ? " " : "", status.device,
                 core->settings.text[SETTING_API_LISTEN]);
        err = watch(core, &signals);
        if (err != SPATE_OK) {
            report_end(err);
            code = (int)exit_code_of(err);
        }
    }
    stop(core);
    free(core);
    return code;
}
