/*
 * GET /v1/snapshot: a copy of the core's state as a file. The request waits, suspended, until the
 * snapshot is there, and again whenever the core has no next piece yet.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "internal.h"

/* Nobody wakes this thread when a piece is there. */
#define LOOK_NS 1000000u

/* A large state takes a while to be written. */
#define TAKE_TIMEOUT_NS 600000000000ull

#define PIECE_BYTES (64u << 10)

static ssize_t give_piece(void *context, uint64_t position, char *to, size_t capacity)
{
    struct request *request = context;
    uint32_t bytes = request->body_bytes < capacity ? request->body_bytes : (uint32_t)capacity;

    (void)position;
    if (bytes > 0) { /* What told that it is there. */
        memcpy(to, request->body, bytes);
        memmove(request->body, request->body + bytes, request->body_bytes - bytes);
        request->body_bytes -= bytes;
        return (ssize_t)bytes;
    }
    const spate_err err =
        request->copy_err != SPATE_OK
            ? request->copy_err
            : spate_copy_read(request->server->options.spate, to, (uint32_t)capacity, &bytes);
    if (err == SPATE_ERR_BUSY) {
        request->is_resting = true;
        MHD_suspend_connection(request->connection);
        return 0;
    }
    if (err != SPATE_OK) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return bytes == 0 ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)bytes;
}

static enum MHD_Result begin(struct http_server *server, struct request *request)
{
    const bool is_free =
        server->copy == NULL && !atomic_load_explicit(&server->is_draining, memory_order_relaxed);
    const spate_err err = is_free ? spate_copy_begin(server->options.spate) : SPATE_ERR_BUSY;

    if (err == SPATE_ERR_UNSUPPORTED) {
        return answer_error(server, request->connection, MHD_HTTP_NOT_IMPLEMENTED, "unsupported",
                            "the state machine of this core has no snapshots");
    }
    if (err != SPATE_OK) {
        return answer_error(server, request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
                            "another copy is being made, or the core stops: try again");
    }
    server->copy = request;
    request->body = malloc(PIECE_BYTES);
    request->copy_err = request->body == NULL ? SPATE_ERR_NO_MEMORY : SPATE_OK;
    request->state = REQUEST_WAITING;
    request->deadline = spate_clock_now(server->options.clock) + TAKE_TIMEOUT_NS;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

static enum MHD_Result answer(struct http_server *server, struct request *request)
{
    if (request->copy_err != SPATE_OK) {
        return answer_error(server, request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                            "no_snapshot", "the snapshot could not be taken: try again");
    }
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, give_piece, request, NULL);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                  "application/octet-stream");
    const enum MHD_Result result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result copy_handle(struct http_server *server, struct MHD_Connection *connection,
                            const char *method, size_t *upload_size, struct request **request_of)
{
    struct request *request = *request_of;

    if (*upload_size != 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
        return answer_error(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
                            "only GET is possible here");
    }
    if (request == NULL) {
        request = calloc(1, sizeof *request);
        *request_of = request;
        if (request != NULL) {
            request->connection = connection;
            request->server = server;
            request->is_copy = true;
        }
        return request == NULL ? MHD_NO : MHD_YES;
    }
    switch (request->state) {
    case REQUEST_READING:
        return begin(server, request);
    case REQUEST_WAITING:
        return MHD_YES; /* Suspended. */
    case REQUEST_DECIDED:
        break;
    }
    return answer(server, request);
}

void copy_forget(struct http_server *server, struct request *request)
{
    spate_assert(request->is_copy);
    if (server->copy == request) {
        spate_copy_end(server->options.spate);
        server->copy = NULL;
    }
    free(request->body);
    free(request);
}

spate_time_ns copy_look(struct http_server *server, spate_time_ns now)
{
    struct request *request = server->copy;

    if (request == NULL) {
        return SPATE_TIME_NEVER;
    }
    if (now >= request->deadline && request->copy_err == SPATE_OK) {
        request->copy_err = SPATE_ERR_NOT_READY; /* Too slow, or this thread ends. */
    }
    if (request->state == REQUEST_WAITING) {
        spate_err err = request->copy_err;
        if (err == SPATE_OK) {
            err = spate_copy_read(server->options.spate, request->body, PIECE_BYTES,
                                  &request->body_bytes);
        }
        if (err != SPATE_ERR_BUSY) {
            request->copy_err = err;
            request->state = REQUEST_DECIDED;
            request->deadline = SPATE_TIME_NEVER;
            MHD_resume_connection(request->connection);
        }
    } else if (request->is_resting) {
        request->is_resting = false;
        MHD_resume_connection(request->connection);
    }
    return now > SPATE_TIME_NEVER - LOOK_NS ? SPATE_TIME_NEVER : now + LOOK_NS;
}
