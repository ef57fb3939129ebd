#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "internal.h"

static void release_slot(struct http_server *server, struct request *request)
{
    struct waiting_slot *slot = &server->waiting[request->slot];
    if (slot->request == request) {
        slot->request = NULL;
        slot->generation++;
        server->waiting_count--;
    }
}

void keys_forget(struct http_server *server, struct request *request)
{
    if (request != NULL && request->is_order) {
        members_forget(server, request);
    } else if (request != NULL && request->is_copy) {
        copy_forget(server, request);
    } else if (request != NULL) {
        release_slot(server, request);
        free(request->body);
        free(request);
    }
}

static struct request *begin(struct MHD_Connection *connection, const char *method)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    request->connection = connection;
    request->is_read = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
    request->op = strcmp(method, MHD_HTTP_METHOD_PUT) == 0 ? SPATE_KV_PUT : SPATE_KV_DELETE;
    return request;
}

static void take_body(struct request *request, const char *upload, size_t upload_size)
{
    const uint64_t wanted = (uint64_t)request->body_bytes + upload_size;

    if (request->is_too_large || wanted > SPATE_KV_VALUE_BYTES_MAX) {
        request->is_too_large = true;
        return;
    }
    if (wanted > request->body_capacity) {
        const uint64_t capacity = wanted * 2 < 4096 ? 4096 : wanted * 2;
        uint8_t *body = realloc(request->body, capacity);
        if (body == NULL) {
            request->is_too_large = true;
            return;
        }
        request->body = body;
        request->body_capacity = (uint32_t)capacity;
    }
    memcpy(request->body + request->body_bytes, upload, upload_size);
    request->body_bytes = (uint32_t)wanted;
}

static bool header_u64(struct MHD_Connection *connection, const char *name, uint64_t *ret_value)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    char *rest = NULL;

    if (text == NULL || *text < '0' || *text > '9') {
        return false;
    }
    const unsigned long long value = strtoull(text, &rest, 10);
    if (*rest != '\0') {
        return false;
    }
    *ret_value = value;
    return true;
}

static spate_err propose(struct http_server *server, struct request *request, const char *key,
                         uint64_t cookie)
{
    /* A request without a session of its own gets a fresh one, so that what a follower repeats on
     * the way to the leader is applied once. */
    struct spate_kv_command command = {
        .op = request->op,
        .session = spate_prng_next(&server->prng) | 1,
        .sequence = 1,
        .key = (const uint8_t *)key,
        .key_size = (uint32_t)strlen(key),
    };
    uint64_t session = 0;
    uint64_t sequence = 0;

    if (header_u64(request->connection, "Spate-Session", &session) && session != 0 &&
        header_u64(request->connection, "Spate-Sequence", &sequence)) {
        command.session = session;
        command.sequence = sequence;
    }
    if (request->op == SPATE_KV_PUT) {
        command.value = request->body;
        command.value_size = request->body_bytes;
    }
    uint8_t *bytes = malloc(spate_kv_command_bytes(&command));
    if (bytes == NULL) {
        return SPATE_ERR_BUSY;
    }
    spate_err err = spate_kv_command_encode(&command, bytes);
    if (err == SPATE_OK) {
        err = spate_propose(server->options.port, cookie, bytes, spate_kv_command_bytes(&command));
    }
    free(bytes);
    return err;
}

/* Proposes a write, asks for a read. SPATE_ERR_BUSY: too many wait already. */
static spate_err begin_waiting(struct http_server *server, struct request *request, const char *key)
{
    if (server->waiting_count == HTTP_WAITING_MAX) {
        return SPATE_ERR_BUSY;
    }
    while (server->waiting[server->slot_hint].request != NULL) {
        server->slot_hint = (server->slot_hint + 1) % HTTP_WAITING_MAX;
    }
    struct waiting_slot *slot = &server->waiting[server->slot_hint];
    const uint64_t cookie = (uint64_t)slot->generation << 32 | server->slot_hint;
    const spate_err err = request->is_read ? spate_read(server->options.port, cookie)
                                           : propose(server, request, key, cookie);
    if (err == SPATE_OK) {
        slot->request = request;
        server->waiting_count++;
        request->slot = server->slot_hint;
        request->state = REQUEST_WAITING;
        request->deadline = spate_clock_now(server->options.clock) + HTTP_OUTCOME_TIMEOUT_NS;
        MHD_suspend_connection(request->connection);
    }
    return err;
}

static enum MHD_Result answer_failure(struct http_server *server, struct request *request,
                                      spate_err err)
{
    switch ((int)err) {
    case SPATE_ERR_NOT_READY:
        return answer_error(server, request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                            "cluster_not_ready", spate_err_text(err));
    case SPATE_ERR_BUSY:
        return answer_error(server, request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
                            spate_err_text(err));
    case SPATE_ERR_NO_SPACE:
        return answer_error(server, request->connection, MHD_HTTP_INSUFFICIENT_STORAGE, "no_space",
                            spate_err_text(err));
    case SPATE_ERR_INVALID:
        return answer_error(server, request->connection, MHD_HTTP_BAD_REQUEST, "invalid",
                            "a key has 1 to 1024 bytes");
    default:
        return answer_error(server, request->connection, MHD_HTTP_GATEWAY_TIMEOUT, "unknown",
                            spate_err_text(SPATE_ERR_UNKNOWN));
    }
}

static enum MHD_Result answer_read(struct http_server *server, struct MHD_Connection *connection,
                                   const char *key)
{
    uint8_t *value = malloc(SPATE_KV_VALUE_BYTES_MAX);
    uint32_t size = 0;
    spate_index revision = 0;

    if (value == NULL) {
        return MHD_NO;
    }
    if (spate_kv_get(server->options.kv, (const uint8_t *)key, (uint32_t)strlen(key), value,
                     SPATE_KV_VALUE_BYTES_MAX, &size, &revision) != SPATE_OK) {
        free(value);
        return answer_error(server, connection, MHD_HTTP_NOT_FOUND, "not_found", "no such key");
    }
    return answer_value(server, connection, value, size, revision);
}

static enum MHD_Result answer_write(struct http_server *server, struct request *request)
{
    const uint64_t answer = request->result.value;

    switch (SPATE_KV_ANSWER_OUTCOME(answer)) {
    case SPATE_KV_OK:
        return answer_json(
            server, request->connection, MHD_HTTP_OK,
            json_pack("{s:I}", "revision", (json_int_t)SPATE_KV_ANSWER_REVISION(answer)));
    case SPATE_KV_NOT_FOUND:
        return answer_error(server, request->connection, MHD_HTTP_NOT_FOUND, "not_found",
                            "no such key");
    case SPATE_KV_FULL:
        return answer_error(server, request->connection, MHD_HTTP_INSUFFICIENT_STORAGE, "full",
                            "the quota of keys and values is spent: delete some or raise kv.quota");
    case SPATE_KV_STALE:
        return answer_error(server, request->connection, MHD_HTTP_CONFLICT, "stale_sequence",
                            "the session has gone on past this sequence number");
    case SPATE_KV_MALFORMED:
        break;
    }
    return answer_error(server, request->connection, MHD_HTTP_BAD_REQUEST, "invalid",
                        "not a command");
}

static bool is_follower(const struct http_server *server)
{
    struct spate_status status;
    spate_get_status(server->options.spate, &status);
    return status.role != SPATE_ROLE_LEADER;
}

/* All of the request is here: decide how to serve it. */
static enum MHD_Result serve_request(struct http_server *server, struct request *request,
                                     const char *path, const char *key)
{
    /* Both "?stale" and "?stale=1": the former has no value to look up. */
    const bool is_stale_read =
        request->is_read &&
        MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, "stale",
                                      strlen("stale"), NULL, NULL) == MHD_YES;

    if (is_stale_read) {
        return answer_read(server, request->connection, key);
    }
    if (request->is_too_large) {
        return answer_error(server, request->connection, MHD_HTTP_CONTENT_TOO_LARGE, "too_large",
                            "a value has at most 1,047,528 bytes");
    }
    if (atomic_load_explicit(&server->is_draining, memory_order_relaxed)) {
        return answer_failure(server, request, SPATE_ERR_NOT_READY);
    }
    if (!request->is_read && server->options.follower_redirects && is_follower(server)) {
        return answer_redirect(server, request->connection, path);
    }
    const spate_err err = begin_waiting(server, request, key);
    return err == SPATE_OK ? MHD_YES : answer_failure(server, request, err);
}

/* NOLINTNEXTLINE(readability-function-size): most parameters are MHD's. */
enum MHD_Result keys_handle(struct http_server *server, struct MHD_Connection *connection,
                            const char *path, const char *method, const char *upload,
                            size_t *upload_size, void **request_of)
{
    const char *key = path + strlen("/v1/kv/");
    struct request *request = *request_of;

    if (server->options.kv == NULL) {
        *upload_size = 0;
        return answer_error(server, connection, MHD_HTTP_NOT_FOUND, "not_found",
                            "this core does not run the key-value state machine");
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_PUT) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_DELETE) != 0) {
        *upload_size = 0;
        return answer_error(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
                            "a key takes GET, PUT and DELETE");
    }
    if (request == NULL) {
        request = begin(connection, method);
        *request_of = request;
        return request == NULL ? MHD_NO : MHD_YES;
    }
    if (*upload_size != 0) {
        take_body(request, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (request->state == REQUEST_READING) {
        return serve_request(server, request, path, key);
    }
    if (request->state != REQUEST_DECIDED) {
        return MHD_YES; /* Suspended. */
    }
    if (request->result.status != SPATE_OK) {
        return answer_failure(server, request, request->result.status);
    }
    return request->is_read ? answer_read(server, connection, key) : answer_write(server, request);
}

static void decide(struct http_server *server, struct request *request,
                   const struct spate_result *result)
{
    spate_assert(request->state == REQUEST_WAITING);
    release_slot(server, request);
    request->result = *result;
    request->state = REQUEST_DECIDED;
    MHD_resume_connection(request->connection);
}

void keys_take_results(struct http_server *server)
{
    struct spate_result results[64];
    uint32_t count = 0;

    do {
        count = spate_results(server->options.port, results, 64);
        for (uint32_t i = 0; i < count; i++) {
            const struct waiting_slot *slot =
                &server->waiting[(uint32_t)results[i].cookie % HTTP_WAITING_MAX];
            if (slot->request != NULL && slot->generation == results[i].cookie >> 32) {
                decide(server, slot->request, &results[i]);
            }
        }
    } while (count > 0);
}

spate_time_ns keys_expire(struct http_server *server, spate_time_ns now)
{
    spate_time_ns next = SPATE_TIME_NEVER;

    if (server->waiting_count == 0) {
        return next;
    }
    for (uint32_t s = 0; s < HTTP_WAITING_MAX; s++) {
        struct request *request = server->waiting[s].request;
        if (request != NULL && request->deadline <= now) {
            const struct spate_result unknown = {.status = SPATE_ERR_UNKNOWN};
            decide(server, request, &unknown);
        } else if (request != NULL && request->deadline < next) {
            next = request->deadline;
        }
    }
    return next;
}
