/*
 * The members over HTTP: GET /v1/members shows them; POST /v1/members?op=… asks for a change, POST
 * /v1/transfer-leader[?to=ID] for another leader. The request waits, suspended, for its answer.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "internal.h"

/* Nobody wakes this thread when an answer is there. */
#define ORDER_LOOK_NS 5000000u

static const char *role_text(const struct spate_member_status *member, bool is_joint)
{
    if (!is_joint) {
        return member->is_voter ? "voter" : "learner";
    }
    if (member->is_voter) {
        return member->is_voter_next ? "voter" : "leaving";
    }
    return member->is_voter_next ? "joining" : "learner";
}

/* Why a member does not vote that is to. NULL: it does, is not to, or nobody here knows. */
static const char *why_waiting(const struct spate_member_status *member, bool is_leader)
{
    if (member->is_mute) {
        return "mute: it is brought up to date before it counts again";
    }
    if (member->is_voter || member->is_voter_next ||
        (!member->is_promotable && member->replaces == 0)) {
        return NULL;
    }
    if (!is_leader) {
        return "the leader knows";
    }
    if (!member->is_caught_up) {
        return "has not caught up yet";
    }
    return member->replaces != 0 ? "takes its place next"
                                 : "waits for a second learner: voters become two at a time";
}

json_t *members_json(struct http_server *server)
{
    struct spate_members members;
    struct spate_status status;
    json_t *list = json_array();

    spate_get_members(server->options.spate, &members);
    spate_get_status(server->options.spate, &status);
    for (uint32_t i = 0; i < members.count; i++) {
        const struct spate_member_status *member = &members.members[i];
        const char *why = why_waiting(member, status.role == SPATE_ROLE_LEADER);
        json_t *json =
            json_pack("{s:i, s:s, s:s, s:I, s:i}", "id", (int)member->id, "address",
                      member->address, "role", role_text(member, members.is_joint), "incarnation",
                      (json_int_t)member->incarnation, "priority", (int)member->priority);
        if (member->replaces != 0) {
            (void)json_object_set_new(json, "replaces", json_integer(member->replaces));
        }
        if (status.role == SPATE_ROLE_LEADER) {
            (void)json_object_set_new(json, "caught_up", json_boolean(member->is_caught_up));
        }
        if (why != NULL) {
            (void)json_object_set_new(json, "waits", json_string(why));
        }
        (void)json_array_append_new(list, json);
    }
    json_t *all = json_pack("{s:I, s:b, s:b, s:b, s:o}", "index", (json_int_t)members.index,
                            "joint", members.is_joint, "override", members.is_overridden, "member",
                            members.is_member, "members", list);
    if (members.transfer_to != 0) {
        (void)json_object_set_new(all, "transfer_to", json_integer(members.transfer_to));
    }
    return all;
}

static const char *argument(struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static bool has_argument(struct request *request, const char *name)
{
    const char *text = argument(request, name);
    return text != NULL && strcmp(text, "1") == 0;
}

/* A number of at most `max`; absent: `standard`. False: something else. */
static bool number(struct request *request, const char *name, uint64_t standard, uint64_t max,
                   uint64_t *ret_number)
{
    const char *text = argument(request, name);
    char *rest = NULL;

    *ret_number = standard;
    if (text == NULL) {
        return true;
    }
    *ret_number = strtoull(text, &rest, 10);
    return isdigit((unsigned char)*text) && *rest == '\0' && *ret_number <= max;
}

static bool read_ids(struct request *request, struct spate_members_change *change)
{
    const char *text = argument(request, "id");

    while (text != NULL && isdigit((unsigned char)*text) &&
           change->count < SPATE_MEMBERS_CHANGED_MAX) {
        char *rest = NULL;
        const unsigned long id = strtoul(text, &rest, 10);
        if (id == 0 || id > UINT32_MAX || (*rest != ',' && *rest != '\0')) {
            return false;
        }
        change->ids[change->count++] = (spate_node_id)id;
        text = *rest == ',' ? rest + 1 : NULL;
    }
    return change->count > 0 && text == NULL;
}

static bool read_change(struct request *request, struct spate_members_change *change)
{
    static const char *const names[] = {"", "add", "promote", "remove", "replace", "update"};
    const char *op = argument(request, "op");
    uint64_t priority = 0;
    uint64_t replaces = 0;

    *change = (struct spate_members_change){.address = argument(request, "address")};
    for (uint32_t i = 1; op != NULL && i < SPATE_ARRAY_COUNT(names); i++) {
        if (strcmp(op, names[i]) == 0) {
            change->op = (enum spate_members_op)i;
        }
    }
    if (change->op == 0 || !read_ids(request, change) ||
        !number(request, "priority", 0, UINT8_MAX, &priority) ||
        !number(request, "replaces", 0, UINT32_MAX, &replaces) ||
        !number(request, "incarnation", 0, UINT64_MAX, &change->incarnation)) {
        return false;
    }
    change->priority = (uint8_t)priority;
    change->has_priority = argument(request, "priority") != NULL;
    change->replaces = (spate_node_id)replaces;
    change->is_promotable = has_argument(request, "promotable");
    change->is_override = has_argument(request, "override");
    return true;
}

static enum MHD_Result refuse(struct http_server *server, struct request *request, spate_err err)
{
    switch ((int)err) {
    case SPATE_ERR_BUSY:
        return answer_error(server, request->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
                            "other changes are being asked for: try again");
    case SPATE_ERR_PERMISSION:
        return answer_error(server, request->connection, MHD_HTTP_FORBIDDEN, "insecure_peers",
                            "frames are not sealed yet: an address that is not on loopback needs "
                            "cores with insecure-peers any, one on loopback local");
    case SPATE_ERR_NOT_FOUND:
        return answer_error(server, request->connection, MHD_HTTP_CONFLICT, "unknown",
                            "no member has this id: see the list of members");
    default:
        return answer_error(server, request->connection, MHD_HTTP_BAD_REQUEST, "invalid",
                            "give op (add, promote, remove, replace, update), id and, to add, an "
                            "address like 10.0.0.4:7209");
    }
}

static spate_err ask(struct http_server *server, struct request *request, bool is_transfer)
{
    struct spate_members_change change;
    uint64_t to = 0;

    if (is_transfer) {
        return number(request, "to", 0, UINT32_MAX, &to)
                   ? spate_transfer(server->options.spate, (spate_node_id)to, &request->ticket)
                   : SPATE_ERR_INVALID;
    }
    return read_change(request, &change)
               ? spate_change_members(server->options.spate, &change, &request->ticket)
               : SPATE_ERR_INVALID;
}

static enum MHD_Result begin(struct http_server *server, struct request *request, bool is_transfer)
{
    uint32_t slot = 0;

    while (slot < HTTP_ORDERS_MAX && server->orders[slot] != NULL) {
        slot++;
    }
    const spate_err err =
        slot == HTTP_ORDERS_MAX ? SPATE_ERR_BUSY : ask(server, request, is_transfer);
    if (err != SPATE_OK) {
        return refuse(server, request, err);
    }
    server->orders[slot] = request;
    server->order_count++;
    request->slot = slot;
    request->state = REQUEST_WAITING;
    request->deadline = spate_clock_now(server->options.clock) + HTTP_OUTCOME_TIMEOUT_NS;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

static enum MHD_Result answer(struct http_server *server, struct request *request)
{
    const struct spate_members_answer *said = &request->answer;
    char name[32];

    (void)snprintf(name, sizeof name, "%s", said->name);
    for (char *c = name; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    switch ((int)said->err) {
    case SPATE_OK: {
        json_t *json = members_json(server);
        (void)json_object_set_new(json, "entry", json_integer((json_int_t)said->index));
        return answer_json(server, request->connection, MHD_HTTP_OK, json);
    }
    case SPATE_ERR_NOT_READY:
        return said->leader == 0
                   ? answer_error(server, request->connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                  "cluster_not_ready", spate_err_text(SPATE_ERR_NOT_READY))
                   : answer_error(server, request->connection, MHD_HTTP_MISDIRECTED_REQUEST,
                                  "not_leader", said->text);
    case SPATE_ERR_INVALID:
        return answer_error(server, request->connection, MHD_HTTP_CONFLICT, name, said->text);
    default:
        return answer_error(server, request->connection, MHD_HTTP_GATEWAY_TIMEOUT, "unknown",
                            "no answer in time: it may or may not take effect; look at the list of "
                            "members");
    }
}

enum MHD_Result members_handle(struct http_server *server, struct MHD_Connection *connection,
                               const char *path, const char *method, size_t *upload_size,
                               struct request **request_of)
{
    const bool is_transfer = strcmp(path, "/v1/transfer-leader") == 0;
    struct request *request = *request_of;

    if (*upload_size != 0) {
        *upload_size = 0; /* All is in the path. */
        return MHD_YES;
    }
    if (!is_transfer && strcmp(method, MHD_HTTP_METHOD_GET) == 0) {
        return answer_json(server, connection, MHD_HTTP_OK, members_json(server));
    }
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0) {
        return answer_error(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
                            is_transfer ? "only POST is possible here"
                                        : "members take GET and POST");
    }
    if (request == NULL) {
        request = calloc(1, sizeof *request);
        *request_of = request;
        if (request != NULL) {
            request->connection = connection;
            request->is_order = true;
        }
        return request == NULL ? MHD_NO : MHD_YES;
    }
    switch (request->state) {
    case REQUEST_READING:
        return begin(server, request, is_transfer);
    case REQUEST_WAITING:
        return MHD_YES; /* Suspended. */
    case REQUEST_DECIDED:
        break;
    }
    return answer(server, request);
}

static void release(struct http_server *server, struct request *request)
{
    spate_assert(server->orders[request->slot] == request);
    spate_assert(server->order_count > 0);
    server->orders[request->slot] = NULL;
    server->order_count--;
}

void members_forget(struct http_server *server, struct request *request)
{
    if (request->state == REQUEST_WAITING) {
        spate_forget_answer(server->options.spate, request->ticket);
        release(server, request);
    }
    free(request);
}

spate_time_ns members_look(struct http_server *server, spate_time_ns now)
{
    for (uint32_t i = 0; i < HTTP_ORDERS_MAX && server->order_count > 0; i++) {
        struct request *request = server->orders[i];
        if (request == NULL) {
            continue;
        }
        bool is_answered =
            spate_take_answer(server->options.spate, request->ticket, &request->answer);
        if (!is_answered && request->deadline <= now) {
            spate_forget_answer(server->options.spate, request->ticket);
            request->answer = (struct spate_members_answer){.err = SPATE_ERR_UNKNOWN, .name = ""};
            is_answered = true;
        }
        if (is_answered) {
            release(server, request);
            request->state = REQUEST_DECIDED;
            MHD_resume_connection(request->connection);
        }
    }
    if (server->order_count == 0) {
        return SPATE_TIME_NEVER;
    }
    return now > SPATE_TIME_NEVER - ORDER_LOOK_NS ? SPATE_TIME_NEVER : now + ORDER_LOOK_NS;
}
