/* spate status: asks each core what it knows. Works without a quorum. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "verbs.h"

void verb_status_help(void)
{
    (void)printf(
        "usage: spate status [--core HOST:PORT[,…]] [-o table|json]\n\n"
        "Asks every core in the list and prints a line for each, and what the first one that\n"
        "answers knows of its peers and its network: levels, and what is not zero.\n\n"
        "  --core HOST:PORT[,…]  the cores to ask [SPATE_CORE or 127.0.0.1:7220]\n"
        "  -o table|json         how to print [table]\n\n"
        "exit codes: 0 all answered, 2 usage, 4 a core did not answer\n");
}

static long long integer(const json_t *json, const char *name)
{
    return (long long)json_integer_value(json_object_get(json, name));
}

static const char *string(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "-";
}

static void print_core(const char *address, const json_t *core)
{
    (void)printf("%-21s %4lld %-13s %6lld %6lld %12lld %12lld %12lld %-7s %s%s\n", address,
                 integer(core, "id"), string(core, "role"), integer(core, "leader"),
                 integer(core, "term"), integer(core, "durable"), integer(core, "committed"),
                 integer(core, "applied"), string(core, "transport"), string(core, "durability"),
                 json_is_true(json_object_get(core, "disk_low")) ? " (disk low)" : "");
}

static void print_peers(const json_t *core)
{
    const json_t *peers = json_object_get(core, "peers");
    size_t i = 0;
    const json_t *item = NULL;

    (void)printf("\npeers of core %lld\n%-4s %-21s %-9s %10s\n", integer(core, "id"), "id",
                 "address", "link", "rtt us");
    json_array_foreach(peers, i, item)
    {
        const bool is_refused = json_object_get(item, "refused") != NULL;
        const bool is_connected = json_is_true(json_object_get(item, "connected"));
        (void)printf("%-4lld %-21s %-9s %10.1f%s%s\n", integer(item, "id"), string(item, "address"),
                     is_refused     ? "refused"
                     : is_connected ? "up"
                                    : "down",
                     json_number_value(json_object_get(item, "rtt_us")), is_refused ? "  " : "",
                     is_refused ? string(item, "refused") : "");
    }
}

static void print_net(const json_t *core)
{
    const json_t *net = json_object_get(core, "net");
    const char *device = string(net, "device");
    const char *name = NULL;
    json_t *item = NULL;
    size_t i = 0;

    (void)printf("\nnetwork of core %lld: %s%s%s, poll %s, %.1f %% of turns idle\n",
                 integer(core, "id"), string(net, "transport"), device[0] != '\0' ? " on " : "",
                 device, string(net, "poll"),
                 100 * json_number_value(json_object_get(net, "idle_ratio")));
    (void)printf("%-9s %14s %16s %12s\n", "", "frames", "bytes", "dropped");
    (void)printf("%-9s %14lld %16lld %12lld\n", "received", integer(net, "rx_frames"),
                 integer(net, "rx_bytes"), integer(net, "rx_dropped"));
    (void)printf("%-9s %14lld %16lld %12lld\n", "sent", integer(net, "tx_frames"),
                 integer(net, "tx_bytes"), integer(net, "tx_dropped"));
    json_object_foreach(json_object_get(net, "counters"), name, item)
    {
        (void)printf("%-40s %14lld\n", name, (long long)json_integer_value(item));
    }
    json_array_foreach(json_object_get(net, "drops"), i, item)
    {
        (void)printf("dropped %14lld  %s: %s\n", integer(item, "count"), string(item, "device"),
                     string(item, "reason"));
    }
}

static void print_warnings(const json_t *core)
{
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(json_object_get(core, "warnings"), i, item)
    {
        (void)printf("warning: %s\n", json_string_value(item));
    }
}

static json_t *ask(struct cores *cores, uint32_t core)
{
    struct cores_answer answer;
    cores_ask_one(cores, core, "/v1/status", &answer);
    json_t *json = answer.status == 200 ? json_loads(answer.body, 0, NULL) : NULL;
    free(answer.body);
    return json;
}

static int print_table(struct cores *cores)
{
    json_t *first = NULL;
    int code = EXIT_DONE;

    (void)printf("%-21s %4s %-13s %6s %6s %12s %12s %12s %-7s %s\n", "core", "id", "role", "leader",
                 "term", "durable", "committed", "applied", "net", "durability");
    for (uint32_t c = 0; c < cores_count(cores); c++) {
        json_t *core = ask(cores, c);
        if (core == NULL) {
            (void)printf("%-21s    - no answer\n", cores_address(cores, c));
            code = EXIT_NOT_READY;
            continue;
        }
        print_core(cores_address(cores, c), core);
        if (first == NULL) {
            first = json_incref(core);
        }
        json_decref(core);
    }
    if (first != NULL) {
        print_peers(first);
        print_net(first);
        print_warnings(first);
        json_decref(first);
    }
    return code;
}

static int print_json(struct cores *cores)
{
    json_t *all = json_array();
    int code = EXIT_DONE;

    for (uint32_t c = 0; c < cores_count(cores); c++) {
        json_t *core = ask(cores, c);
        if (core == NULL) {
            core = json_pack("{s:s}", "error", "no answer");
            code = EXIT_NOT_READY;
        }
        (void)json_object_set_new(core, "core", json_string(cores_address(cores, c)));
        (void)json_array_append_new(all, core);
    }
    (void)json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    (void)fputc('\n', stdout);
    json_decref(all);
    return code;
}

int verb_status(int argument_count, char **arguments)
{
    struct cores_flags flags;
    char message[512];

    if (!cores_read_flags(&argument_count, arguments, &flags, message, sizeof message)) {
        return verb_fail("status", EXIT_USAGE, "%s", message);
    }
    if (argument_count != 0) {
        return verb_fail("status", EXIT_USAGE, "unexpected argument '%s'; see 'spate help status'",
                         arguments[0]);
    }
    struct cores *cores = cores_open(&flags, message, sizeof message);
    if (cores == NULL) {
        return verb_fail("status", EXIT_USAGE, "%s", message);
    }
    const int code = flags.is_json ? print_json(cores) : print_table(cores);
    cores_close(cores);
    return code;
}
