/*
 * Members that are killed, hang and come back, under load: three processes flood each other with
 * frames of 8,000 bytes over memif. One is killed with -9 again and again (or stopped for a while);
 * the two others must go on, must not lose each other, and must meet the new one.
 *
 *   survive member ID FOLDER      a process of the flood; says "met" when it has heard both others
 *   survive KILLS                 the test (TAP)
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock/monotonic.h"
#include "net/dpdk/dpdk.h"

#define MEMBERS 3u
#define VICTIM                                                                        \
    1u /* Its address is between the others': a client of one, a server of the other. \
        */
#define FRAME_BYTES 8000u
#define BURST       16u
#define MEET_MS     30000

extern const struct spate_net_dpdk_module spate_net_dpdk_module;

/* SIGUSR1: say what was seen, and go on. SIGTERM: end. */
static _Atomic bool is_asked, is_over;

static void note_signal(int signal_number)
{
    atomic_store(signal_number == SIGTERM ? &is_over : &is_asked, true);
}

/* --- a member --- */

static void flood(struct spate_net *net, uint32_t self)
{
    struct spate_frame frames[BURST];

    for (uint32_t peer = 0; peer < MEMBERS; peer++) {
        if (peer == self || net->ops->reserve(net, peer, frames, BURST) != SPATE_OK) {
            continue;
        }
        for (uint32_t f = 0; f < BURST; f++) {
            memset(frames[f].data, (int)(self * 64 + f), FRAME_BYTES);
            frames[f].size = FRAME_BYTES;
        }
        net->ops->tx(net, frames, BURST);
    }
}

/* Every frame is whole, and from whom its bytes say. */
static bool is_whole(const struct spate_frame *frame)
{
    return frame->size == FRAME_BYTES && frame->peer < MEMBERS &&
           frame->data[0] / 64 == frame->peer &&
           memcmp(frame->data, frame->data + 1, FRAME_BYTES - 1) == 0;
}

static uint64_t losses_of(struct spate_net *net)
{
    struct spate_net_counter counter;
    uint64_t lost = 0;

    for (uint32_t i = 0; spate_net_counter(net, i, &counter); i++) {
        /* The other survivor is the one that is not the victim. */
        if (strstr(counter.name, ".links_lost") != NULL && strstr(counter.name, "77.0.2") == NULL) {
            lost += counter.value;
        }
    }
    return lost;
}

static int run_flood(struct spate_net *net, uint32_t self)
{
    uint64_t heard[MEMBERS] = {0};
    uint64_t broken = 0;
    bool has_met = false;

    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        struct spate_frame frames[SPATE_BURST_MAX];
        flood(net, self);
        const uint32_t got = net->ops->rx(net, frames, SPATE_BURST_MAX);
        for (uint32_t f = 0; f < got; f++) {
            broken += !is_whole(&frames[f]);
            heard[frames[f].peer % MEMBERS]++;
        }
        net->ops->release(net, frames, got);
        heard[self] = 1;
        if (!has_met && heard[0] > 0 && heard[1] > 0 && heard[2] > 0) {
            has_met = true;
            (void)puts("met");
            (void)fflush(stdout);
        }
        if (atomic_exchange(&is_asked, false)) {
            (void)printf("seen broken=%llu lost=%llu\n", (unsigned long long)broken,
                         (unsigned long long)losses_of(net));
            (void)fflush(stdout);
        }
        (void)sched_yield();
    }
    return broken == 0 ? 0 : 1;
}

static int run_member(uint32_t self, const char *folder)
{
    struct spate_address addresses[MEMBERS];
    struct spate_net *net = NULL;
    char device[128], message[256] = "";

    (void)signal(SIGTERM, note_signal);
    (void)signal(SIGUSR1, note_signal);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint32_t m = 0; m < MEMBERS; m++) {
        char text[32];
        (void)snprintf(text, sizeof text, "10.77.0.%u:7209", m + 1);
        if (spate_address_parse(text, &addresses[m]) != SPATE_OK) {
            return 2;
        }
    }
    (void)snprintf(device, sizeof device, "memif:%s", folder);
    const struct spate_net_dpdk_options options = {
        .device = device, .address = addresses[self], .clock = spate_clock_system()};
    if (spate_net_dpdk_module.create(&options, &net, message, sizeof message) != SPATE_OK) {
        (void)fprintf(stderr, "%s\n", message);
        return 2;
    }
    for (uint32_t m = 0; m < MEMBERS; m++) {
        if (m != self && net->ops->set_peer(net, m, &addresses[m]) != SPATE_OK) {
            return 2;
        }
    }
    const int code = run_flood(net, self);
    net->ops->close(net);
    return code;
}

/* --- the test --- */

struct member {
    pid_t pid;
    int out; /* What it says. */
};

static char program[4096];
static char folder[64];

static bool start(struct member *member, uint32_t id)
{
    char text[16];
    int ends[2];

    (void)snprintf(text, sizeof text, "%u", id);
    if (pipe(ends) != 0) {
        return false;
    }
    member->pid = fork();
    if (member->pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execl(program, program, "member", text, folder, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    member->out = ends[0];
    return member->pid > 0;
}

/* Reads one line; false: none came in time, or it ended. */
static bool hear(const struct member *member, char *line, size_t bytes)
{
    size_t used = 0;

    while (used + 1 < bytes) {
        struct pollfd wanted = {.fd = member->out, .events = POLLIN};
        if (poll(&wanted, 1, MEET_MS) != 1 || read(member->out, line + used, 1) != 1) {
            return false;
        }
        if (line[used] == '\n') {
            line[used] = '\0';
            return true;
        }
        used++;
    }
    return false;
}

static bool is_alive(const struct member *member)
{
    return waitpid(member->pid, NULL, WNOHANG) == 0;
}

static void kill_member(struct member *member)
{
    (void)kill(member->pid, SIGKILL);
    (void)waitpid(member->pid, NULL, 0);
    (void)close(member->out);
}

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
}

static uint64_t now_ms(void)
{
    return spate_clock_now(spate_clock_system()) / 1000000;
}

static void check(bool is_good, uint32_t number, const char *what)
{
    (void)printf("%s %u - %s\n", is_good ? "ok" : "not ok", number, what);
    (void)fflush(stdout);
}

/* Kills the victim `kills` times; tells how long meeting took. */
static bool outlive(struct member members[MEMBERS], uint32_t kills)
{
    uint64_t slow = 0, longest = 0;

    for (uint32_t k = 0; k < kills; k++) {
        char line[64];
        /* Also in the middle of a handshake. */
        pause_ms((long)(k * 37 % 300));
        kill_member(&members[VICTIM]);
        if (!is_alive(&members[0]) || !is_alive(&members[2])) {
            (void)printf("# a survivor is gone after kill %u\n", k + 1);
            return false;
        }
        const uint64_t began = now_ms();
        if (!start(&members[VICTIM], VICTIM)) {
            return false;
        }
        if (k % 4 != 0) { /* Every fourth is killed before it may have met anybody. */
            if (!hear(&members[VICTIM], line, sizeof line) || strcmp(line, "met") != 0) {
                (void)printf("# after kill %u the new one met nobody\n", k + 1);
                return false;
            }
            const uint64_t took = now_ms() - began;
            longest = took > longest ? took : longest;
            slow += took > 1000;
        }
    }
    (void)printf("# %u kills; the longest from start to both peers heard %llu ms, "
                 "%llu above a second\n",
                 kills, (unsigned long long)longest, (unsigned long long)slow);
    return true;
}

static bool outlive_a_hang(struct member members[MEMBERS])
{
    (void)kill(members[VICTIM].pid, SIGSTOP);
    pause_ms(1500);
    const bool is_good = is_alive(&members[0]) && is_alive(&members[2]);
    (void)kill(members[VICTIM].pid, SIGCONT);
    pause_ms(200);
    return is_good && is_alive(&members[VICTIM]);
}

/* Survivors say that they never lost each other and saw whole frames only. */
static bool ask_all(struct member members[MEMBERS])
{
    bool is_good = true;

    for (uint32_t m = 0; m < MEMBERS; m++) {
        char line[128] = "";
        unsigned long long broken = 1, lost = 1;
        (void)kill(members[m].pid, SIGUSR1);
        while (hear(&members[m], line, sizeof line) && strcmp(line, "met") == 0) {
        }
        const bool is_read = sscanf(line, "seen broken=%llu lost=%llu", &broken, &lost) == 2;
        if (!is_read || broken != 0 || (m != VICTIM && lost != 0)) {
            (void)printf("# member %u: '%s'\n", m + 1, line);
            is_good = false;
        }
    }
    return is_good;
}

static bool end_all(struct member members[MEMBERS])
{
    bool is_good = true;

    for (uint32_t m = 0; m < MEMBERS; m++) {
        int status = -1;
        (void)kill(members[m].pid, SIGTERM);
        (void)waitpid(members[m].pid, &status, 0);
        (void)close(members[m].out);
        is_good = is_good && status == 0;
    }
    return is_good;
}

/* Locks stay, sockets do not. */
static bool is_swept(void)
{
    DIR *at = opendir(folder);
    const struct dirent *entry;
    bool is_good = at != NULL;

    while (at != NULL && (entry = readdir(at)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (end == NULL || strcmp(end, ".lock") != 0) {
            (void)printf("# left behind: %s\n", entry->d_name);
            is_good = false;
        }
        (void)unlinkat(dirfd(at), entry->d_name, 0);
    }
    if (at != NULL) {
        (void)closedir(at);
    }
    return rmdir(folder) == 0 && is_good;
}

int main(int argc, char **argv)
{
    struct member members[MEMBERS];
    char line[64];

    if (argc == 4 && strcmp(argv[1], "member") == 0) {
        return run_member((uint32_t)strtoul(argv[2], NULL, 10), argv[3]);
    }
    const char *tier = getenv("SPATE_TIER");
    const uint32_t kills = tier != NULL && strcmp(tier, "short") != 0 ? 100 : 12;
    (void)snprintf(folder, sizeof folder, "/tmp/spate-survive-XXXXXX");
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0 || mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)puts("1..6");
    bool is_good = true;
    for (uint32_t m = 0; m < MEMBERS; m++) {
        is_good = start(&members[m], m) && is_good;
    }
    for (uint32_t m = 0; m < MEMBERS; m++) {
        is_good = is_good && hear(&members[m], line, sizeof line);
    }
    check(is_good, 1, "three members meet, whoever starts first");
    check(is_good && outlive(members, kills), 2, "two of them outlive every kill of the third");
    check(outlive_a_hang(members), 3, "and a hang of the third");
    check(ask_all(members), 4, "without losing each other or a byte");
    check(end_all(members), 5, "all end in order");
    check(is_swept(), 6, "and leave no socket");
    return 0;
}
