#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A leader whose majority has been silent for so long does not call itself ready. */
#define READY_QUORUM_AGE_NS_MAX 2000000000ull

static const char *role_text(enum spate_role role)
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

static json_t *warnings_json(const struct spate_status *status)
{
    json_t *warnings = json_array();
    if (status->is_insecure) {
        (void)json_array_append_new(
            warnings, json_string("frames between cores are not sealed (insecure-peers)"));
    }
    if (status->leader == 0) {
        (void)json_array_append_new(warnings, json_string("no leader is known"));
    }
    return warnings;
}

struct json_t *health_status(struct http_server *server)
{
    struct spate_status s;
    spate_get_status(server->options.spate, &s);
    json_t *json = json_pack(
        "{s:s, s:i, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "version", spate_version(), "id",
        (int)s.id, "role", role_text(s.role), "leader", (int)s.leader, "term", (json_int_t)s.term,
        "received", (json_int_t)s.received, "durable", (json_int_t)s.durable, "committed",
        (json_int_t)s.committed, "applied", (json_int_t)s.applied, "transport", s.transport,
        "durability", s.durability == SPATE_DURABILITY_DISK ? "disk" : "memory");
    (void)json_object_set_new(json, "log",
                              json_pack("{s:I, s:I, s:I}", "first", (json_int_t)s.first,
                                        "used_bytes", (json_int_t)s.log_used_bytes, "budget_bytes",
                                        (json_int_t)s.log_budget_bytes));
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
    (void)json_object_set_new(json, "warnings", warnings_json(&s));
    return json;
}

/* Prometheus text format, version 0.0.4. */
static void write_metrics(struct http_server *server, FILE *out)
{
    struct spate_status s;
    spate_get_status(server->options.spate, &s);
    const struct {
        const char *name;
        const char *type;
        uint64_t value;
    } metrics[] = {
        {"term", "gauge", s.term},
        {"leader", "gauge", s.leader},
        {"is_leader", "gauge", s.role == SPATE_ROLE_LEADER},
        {"is_insecure", "gauge", s.is_insecure},
        {"log_received_index", "gauge", s.received},
        {"log_durable_index", "gauge", s.durable},
        {"log_committed_index", "gauge", s.committed},
        {"log_applied_index", "gauge", s.applied},
        {"log_used_bytes", "gauge", s.log_used_bytes},
        {"log_budget_bytes", "gauge", s.log_budget_bytes},
        {"elections_started_total", "counter", s.elections_started},
        {"proposals_total", "counter", s.proposals},
        {"proposals_forwarded_total", "counter", s.proposals_forwarded},
        {"proposals_refused_total", "counter", s.proposals_refused},
        {"entries_applied_total", "counter", s.entries_applied},
        {"rx_frames_total", "counter", s.rx_frames},
        {"rx_bytes_total", "counter", s.rx_bytes},
        {"tx_frames_total", "counter", s.tx_frames},
        {"tx_bytes_total", "counter", s.tx_bytes},
        {"tx_dropped_total", "counter", s.tx_dropped},
        {"turns_total", "counter", s.turns},
        {"turns_idle_total", "counter", s.turns_idle},
    };
    for (unsigned m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        (void)fprintf(out, "# TYPE spate_%s %s\nspate_%s %llu\n", metrics[m].name, metrics[m].type,
                      metrics[m].name, (unsigned long long)metrics[m].value);
    }
    (void)fprintf(out, "# TYPE spate_role gauge\nspate_role{role=\"%s\"} 1\n", role_text(s.role));
    (void)fprintf(out, "# TYPE spate_rx_dropped_total counter\n");
    const char *reason = NULL;
    uint64_t count = 0;
    for (uint32_t r = 0; spate_get_drop(server->options.spate, r, &reason, &count); r++) {
        (void)fprintf(out, "spate_rx_dropped_total{reason=\"%s\"} %llu\n", reason,
                      (unsigned long long)count);
    }
}

static enum MHD_Result answer_metrics(struct http_server *server, struct MHD_Connection *connection)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL) {
        return MHD_NO;
    }
    write_metrics(server, out);
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
