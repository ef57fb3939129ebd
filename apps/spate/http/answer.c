#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Who led when this was answered: for clients that want to go there directly. */
static void name_leader(struct http_server *server, struct MHD_Response *response)
{
    struct spate_status status;
    char leader[16];

    spate_get_status(server->options.spate, &status);
    (void)snprintf(leader, sizeof leader, "%u", status.leader);
    (void)MHD_add_response_header(response, "Spate-Leader", leader);
}

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     struct MHD_Response *response, const char *type)
{
    if (response == NULL) {
        return MHD_NO; /* Out of memory: MHD closes the connection. */
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    }
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(strlen(text), strdup(text), free);
    return send_response(connection, status, response, "text/plain; charset=utf-8");
}

/* Takes the JSON over. NULL: out of memory. */
static struct MHD_Response *json_response(struct http_server *server, json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(json);
    if (text == NULL) {
        return NULL;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(strlen(text), text, free);
    if (response != NULL) {
        name_leader(server, response);
    }
    return response;
}

enum MHD_Result answer_json(struct http_server *server, struct MHD_Connection *connection,
                            unsigned status, struct json_t *json)
{
    return send_response(connection, status, json_response(server, json), "application/json");
}

enum MHD_Result answer_error(struct http_server *server, struct MHD_Connection *connection,
                             unsigned status, const char *code, const char *text)
{
    struct spate_status core;
    spate_get_status(server->options.spate, &core);
    return answer_json(
        server, connection, status,
        json_pack("{s:s, s:s, s:i}", "error", code, "message", text, "leader", (int)core.leader));
}

enum MHD_Result answer_value(struct http_server *server, struct MHD_Connection *connection,
                             uint8_t *value, uint32_t size, spate_index revision)
{
    char text[24];
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(size, value, free);
    if (response == NULL) {
        free(value);
        return MHD_NO;
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)revision);
    (void)MHD_add_response_header(response, "Spate-Revision", text);
    name_leader(server, response);
    return send_response(connection, MHD_HTTP_OK, response, "application/octet-stream");
}

/* Finds "ID@HOST:PORT" of the leader in api.members. */
static bool find_leader(const struct http_server *server, spate_node_id leader, char *to,
                        size_t to_bytes)
{
    const char *at = server->options.api_members;
    char prefix[16];
    const int prefix_bytes = snprintf(prefix, sizeof prefix, "%u@", leader);

    while (at != NULL && *at != '\0') {
        const char *comma = strchr(at, ',');
        const size_t bytes = comma != NULL ? (size_t)(comma - at) : strlen(at);
        if (strncmp(at, prefix, (size_t)prefix_bytes) == 0) {
            (void)snprintf(to, to_bytes, "%.*s", (int)(bytes - (size_t)prefix_bytes),
                           at + prefix_bytes);
            return true;
        }
        at = comma != NULL ? comma + 1 : NULL;
    }
    return false;
}

/* The URL of `path` at `host`, the path escaped again as it was before it was parsed. */
static void write_location(const char *host, const char *path, char *to, size_t to_bytes)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    const size_t prefix = strlen("/v1/kv/"); /* Behind it, a slash belongs to the key. */
    size_t at = (size_t)snprintf(to, to_bytes, "http://%s%.*s", host, (int)prefix, path);

    for (const char *c = path + prefix; *c != '\0' && at + 4 <= to_bytes; c++) {
        const bool is_plain = strchr(plain, *c) != NULL;
        at +=
            (size_t)snprintf(to + at, to_bytes - at, is_plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
}

enum MHD_Result answer_redirect(struct http_server *server, struct MHD_Connection *connection,
                                const char *path)
{
    struct spate_status core;
    char host[256];
    char location[4096];

    spate_get_status(server->options.spate, &core);
    if (!find_leader(server, core.leader, host, sizeof host)) {
        return answer_error(server, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "cluster_not_ready",
                            spate_err_text(SPATE_ERR_NOT_READY));
    }
    write_location(host, path, location, sizeof location);
    struct MHD_Response *response = json_response(
        server, json_pack("{s:i, s:s}", "leader", (int)core.leader, "location", location));
    if (response != NULL) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, location);
    }
    return send_response(connection, MHD_HTTP_TEMPORARY_REDIRECT, response, "application/json");
}
