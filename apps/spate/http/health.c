#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A leader whose majority has been silent for so long does not call itself ready. */
#define READY_QUORUM_AGE_NS_MAX 2000000000ull

const char *health_role_text(enum spate_role role)
{
    switch (role) {
    case SPATE_ROLE_LEARNER:
        return "learner";
    case SPATE_ROLE_FOLLOWER:
        return "follower";
    case SPATE_ROLE_PRE_CANDIDATE:
    case SPATE_ROLE_CANDIDATE:
        return "candidate";
    case SPATE_ROLE_LEADER:
        return "leader";
    }
    return "unknown";
}

static json_t *peers_json(const struct spate_status *status)
{
    json_t *peers = json_array();
    for (uint32_t p = 0; p < status->peer_count; p++) {
        const struct spate_peer_status *peer = &status->peers[p];
        json_t *json =
            json_pack("{s:i, s:s, s:b, s:f}", "id", (int)peer->id, "address", peer->address,
                      "connected", peer->is_connected, "rtt_us", (double)peer->rtt_ns / 1000);
        if (status->role == SPATE_ROLE_LEADER) {
            (void)json_object_set_new(json, "active", json_boolean(peer->is_active));
            (void)json_object_set_new(json, "match", json_integer((json_int_t)peer->match));
        }
        if (peer->is_refused) {
            (void)json_object_set_new(json, "refused", json_string(peer->refusal));
        }
        (void)json_array_append_new(peers, json);
    }
    return peers;
}

static void add_member_warnings(const struct spate *spate, json_t *warnings)
{
    struct spate_members members;

    spate_get_members(spate, &members);
    if (members.count == 0) {
        (void)json_array_append_new(
            warnings,
            json_string("this core is no member yet: on the leader, spate members add it"));
    } else if (!members.is_member) {
        (void)json_array_append_new(
            warnings, json_string("this core is no member (any more): stop it, or add it anew with "
                                  "empty data and a larger incarnation"));
    }
    if (members.is_overridden) {
        (void)json_array_append_new(
            warnings, json_string("the number of voters is even, because somebody insisted: it "
                                  "survives no more failures than one less"));
    }
    if (members.unreachable != 0) {
        (void)json_array_append_new(
            warnings, json_string("a member's address cannot be reached from here: check it, the "
                                  "transport and insecure-peers"));
    }
}

static json_t *warnings_json(const struct spate *spate, const struct spate_status *status)
{
    json_t *warnings = json_array();
    add_member_warnings(spate, warnings);
    if (status->is_mute) {
        (void)json_array_append_new(
            warnings, json_string("this core is mute: it came back without what it had promised, "
                                  "and votes again once a leader that the others elected has "
                                  "brought it up to date"));
    }
    if (status->is_insecure) {
        (void)json_array_append_new(
            warnings, json_string("frames between cores are not sealed (insecure-peers)"));
    }
    if (status->is_loopback_only) {
        (void)json_array_append_new(
            warnings, json_string("the data was recovered: loopback addresses only, until 'spate "
                                  "recover --finish'"));
    }
    if (status->leader == 0) {
        (void)json_array_append_new(warnings, json_string("no leader is known"));
    }
    return warnings;
}

/*
 * What is not zero of the transport's counters, and of the drops of transport and link. Levels are
 * there at zero too: no buffer left, a link that is down.
 */
static void add_counters(json_t *net, const struct spate *spate)
{
    json_t *counters = json_object();
    json_t *drops = json_array();
    struct spate_counter counter;
    const char *reason = NULL;
    uint64_t count = 0;

    for (uint32_t r = 0; spate_get_drop(spate, r, &reason, &count); r++) {
        if (count != 0) {
            (void)json_array_append_new(drops,
                                        json_pack("{s:s, s:s, s:I}", "device", "link", "reason",
                                                  reason, "count", (json_int_t)count));
        }
    }
    for (uint32_t c = 0; spate_get_counter(spate, c, &counter); c++) {
        if (counter.value == 0 && !counter.is_level) {
            continue;
        }
        if (!counter.is_drop) {
            (void)json_object_set_new(counters, counter.name,
                                      json_integer((json_int_t)counter.value));
            continue;
        }
        const struct metrics_name name = metrics_split(&counter);
        (void)json_array_append_new(drops, json_pack("{s:s%, s:s, s:I}", "device", name.device,
                                                     (size_t)name.device_bytes, "reason", name.what,
                                                     "count", (json_int_t)counter.value));
    }
    (void)json_object_set_new(net, "drops", drops);
    (void)json_object_set_new(net, "counters", counters);
}

static json_t *net_json(const struct spate *spate, const struct spate_status *s)
{
    json_t *net = json_pack("{s:s, s:s, s:s, s:f}", "transport", s->transport, "device", s->device,
                            "poll", s->poll == SPATE_POLL_BUSY ? "busy" : "adaptive", "idle_ratio",
                            s->turns == 0 ? 0.0 : (double)s->turns_idle / (double)s->turns);
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"rx_frames", s->rx_frames}, {"rx_bytes", s->rx_bytes}, {"rx_dropped", s->rx_dropped},
        {"tx_frames", s->tx_frames}, {"tx_bytes", s->tx_bytes}, {"tx_dropped", s->tx_dropped},
    };
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        (void)json_object_set_new(net, all[i].name, json_integer((json_int_t)all[i].value));
    }
    add_counters(net, spate);
    return net;
}

struct json_t *health_status(struct http_server *server)
{
    struct spate_status s;
    spate_get_status(server->options.spate, &s);
    json_t *json = json_pack(
        "{s:s, s:i, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "version", spate_version(), "id",
        (int)s.id, "role", health_role_text(s.role), "leader", (int)s.leader, "term",
        (json_int_t)s.term, "received", (json_int_t)s.received, "durable", (json_int_t)s.durable,
        "committed", (json_int_t)s.committed, "applied", (json_int_t)s.applied, "transport",
        s.transport, "durability", s.durability == SPATE_DURABILITY_DISK ? "disk" : "memory");
    (void)json_object_set_new(json, "log",
                              json_pack("{s:I, s:I, s:I}", "first", (json_int_t)s.first,
                                        "used_bytes", (json_int_t)s.log_used_bytes, "budget_bytes",
                                        (json_int_t)s.log_budget_bytes));
    (void)json_object_set_new(
        json, "snapshot",
        json_pack("{s:I, s:I, s:I, s:I}", "index", (json_int_t)s.snapshot_index, "taken",
                  (json_int_t)s.snapshots_taken, "sent", (json_int_t)s.snapshots_sent, "installed",
                  (json_int_t)s.snapshots_installed));
    (void)json_object_set_new(json, "disk_low", json_boolean(s.is_disk_low));
    (void)json_object_set_new(json, "mute", json_boolean(s.is_mute));
    if (s.role == SPATE_ROLE_LEADER) {
        (void)json_object_set_new(json, "quorum_age_ms", json_real((double)s.quorum_age_ns / 1e6));
    }
    if (server->options.kv != NULL) {
        struct spate_kv_status kv;
        char digest[20];
        spate_kv_status(server->options.kv, &kv);
        (void)snprintf(digest, sizeof digest, "%016llx", (unsigned long long)kv.digest);
        (void)json_object_set_new(
            json, "kv",
            json_pack("{s:I, s:I, s:I, s:i, s:s, s:I}", "keys", (json_int_t)kv.keys, "bytes",
                      (json_int_t)kv.bytes, "quota_bytes", (json_int_t)kv.quota_bytes, "sessions",
                      (int)kv.sessions, "digest", digest, "applied", (json_int_t)kv.applied));
    }
    (void)json_object_set_new(json, "peers", peers_json(&s));
    (void)json_object_set_new(json, "membership", members_json(server));
    (void)json_object_set_new(json, "net", net_json(server->options.spate, &s));
    (void)json_object_set_new(json, "warnings", warnings_json(server->options.spate, &s));
    return json;
}

static enum MHD_Result answer_metrics(struct http_server *server, struct MHD_Connection *connection)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL) {
        return MHD_NO;
    }
    metrics_write(server->options.spate, out);
    if (fclose(out) != 0) {
        free(text);
        return MHD_NO;
    }
    const enum MHD_Result result = answer_text(connection, MHD_HTTP_OK, text);
    free(text);
    return result;
}

/* Ready: a leader whose majority answers, or a follower that hears a leader. */
static bool is_ready(struct http_server *server, const char **ret_why)
{
    struct spate_status s;
    spate_get_status(server->options.spate, &s);

    if (atomic_load_explicit(&server->is_draining, memory_order_relaxed)) {
        *ret_why = "draining\n";
    } else if (spate_health(server->options.spate) != SPATE_OK) {
        *ret_why = "failed\n";
    } else if (s.leader == 0) {
        *ret_why = "no leader\n";
    } else if (s.role == SPATE_ROLE_LEADER && s.quorum_age_ns > READY_QUORUM_AGE_NS_MAX) {
        *ret_why = "no quorum\n";
    } else {
        return true;
    }
    return false;
}

enum MHD_Result health_handle(struct http_server *server, struct MHD_Connection *connection,
                              const char *path)
{
    const char *why = NULL;

    if (strcmp(path, "/livez") == 0) {
        const bool is_alive = spate_health(server->options.spate) == SPATE_OK;
        return is_alive ? answer_text(connection, MHD_HTTP_OK, "ok\n")
                        : answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "failed\n");
    }
    if (strcmp(path, "/readyz") == 0) {
        return is_ready(server, &why) ? answer_text(connection, MHD_HTTP_OK, "ok\n")
                                      : answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, why);
    }
    if (strcmp(path, "/leaderz") == 0) {
        struct spate_status s;
        spate_get_status(server->options.spate, &s);
        return s.role == SPATE_ROLE_LEADER && is_ready(server, &why)
                   ? answer_text(connection, MHD_HTTP_OK, "ok\n")
                   : answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "not the leader\n");
    }
    if (strcmp(path, "/metrics") == 0) {
        return answer_metrics(server, connection);
    }
    if (strcmp(path, "/status") == 0 || strcmp(path, "/v1/status") == 0) {
        return answer_json(server, connection, MHD_HTTP_OK, health_status(server));
    }
    return answer_error(server, connection, MHD_HTTP_NOT_FOUND, "not_found", "no such page");
}
