/* spate members, spate transfer-leader: who the members are, and changing that on running cores. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "verbs.h"

void verb_members_help(void)
{
    (void)printf(
        "usage: spate members list\n"
        "       spate members add ID@ADDRESS:PORT [--learner] [--replaces ID] [--priority N]\n"
        "                         [--incarnation N]\n"
        "       spate members promote ID [ID …] [--override]\n"
        "       spate members remove ID [ID …] [--override]\n"
        "       spate members replace OLD NEW[@ADDRESS:PORT] [--incarnation N]\n"
        "       spate members update ID [--address ADDRESS:PORT] [--priority N]\n\n"
        "Shows or changes the members of a running cluster. A change goes to the leader, and is\n"
        "done when this returns. Voters stay odd: cores that were added become voters two at a\n"
        "time, by themselves, once they have caught up; two are removed at a time; one is "
        "replaced\n"
        "by another. ADDRESS:PORT is where the other members reach it (raft.members).\n\n"
        "  --learner             it only receives the log, until it is promoted\n"
        "  --replaces ID         it takes the place of this voter once it has caught up\n"
        "  --priority N          0 to 255: a caught-up voter with a higher one is made leader [0]\n"
        "  --incarnation N       the raft.incarnation that the core was started with [1]\n"
        "  --override            insist on an even number of voters\n"
        "  --core HOST:PORT[,…]  the cores to ask [SPATE_CORE or 127.0.0.1:7220]\n"
        "  --timeout T           seconds until giving up [10]\n"
        "  -o table|json         how to print [table]\n\n"
        "exit codes: 0 done, 2 usage, 4 no leader among the cores asked, 5 not known whether it\n"
        "takes effect (look at the list), 11 refused: the line says why and what would do\n");
}

void verb_transfer_help(void)
{
    (void)printf("usage: spate transfer-leader [ID]\n\n"
                 "Makes the voter ID the leader, or whichever voter is best. Nothing is lost or "
                 "refused on the\nway; writes wait a moment.\n\n"
                 "  --core HOST:PORT[,…]  the cores to ask [SPATE_CORE or 127.0.0.1:7220]\n"
                 "  --timeout T           seconds until giving up [10]\n"
                 "  -o table|json         how to print [table]\n\n"
                 "exit codes: 0 done, 2 usage, 4 no leader among the cores asked, 5 nobody else "
                 "leads yet, 11 refused\n");
}

static void print_table(const json_t *membership)
{
    size_t i = 0;
    const json_t *member = NULL;

    (void)printf("%-4s %-8s %-21s %11s %8s  %s\n", "id", "role", "address", "incarnation",
                 "priority", "");
    json_array_foreach(json_object_get(membership, "members"), i, member)
    {
        const char *waits = json_string_value(json_object_get(member, "waits"));
        const json_t *replaces = json_object_get(member, "replaces");
        char note[160] = "";

        if (replaces != NULL) {
            (void)snprintf(note, sizeof note,
                           "replaces %lld: ", (long long)json_integer_value(replaces));
        }
        (void)printf("%-4lld %-8s %-21s %11lld %8lld  %s%s\n",
                     (long long)json_integer_value(json_object_get(member, "id")),
                     json_string_value(json_object_get(member, "role")),
                     json_string_value(json_object_get(member, "address")),
                     (long long)json_integer_value(json_object_get(member, "incarnation")),
                     (long long)json_integer_value(json_object_get(member, "priority")), note,
                     waits != NULL ? waits : "");
    }
    if (json_is_true(json_object_get(membership, "joint"))) {
        (void)printf("a change of voters is under way\n");
    }
    if (json_is_true(json_object_get(membership, "override"))) {
        (void)printf("warning: the number of voters is even, because somebody insisted\n");
    }
}

static int print(const struct cores_flags *flags, const struct cores_answer *answer)
{
    json_t *json = json_loads(answer->body, 0, NULL);

    if (json == NULL) {
        return EXIT_FAILED;
    }
    if (flags->is_json) {
        (void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        (void)fputc('\n', stdout);
    } else {
        print_table(json);
    }
    json_decref(json);
    return EXIT_DONE;
}

static int report(const char *verb, const struct cores_answer *answer)
{
    json_t *json = json_loads(answer->body, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "message"));
    const long long leader = (long long)json_integer_value(json_object_get(json, "leader"));
    int code = EXIT_DONE;

    switch (answer->status) {
    case 0:
        code = verb_fail(verb, EXIT_NOT_READY, "%s: no core answers", answer->core);
        break;
    case 400:
        code = verb_fail(verb, EXIT_USAGE, "%s", text != NULL ? text : "not understood");
        break;
    case 403:
    case 409:
        code = verb_fail(verb, EXIT_REFUSED, "%s", text != NULL ? text : "refused");
        break;
    case 421:
        code = verb_fail(verb, EXIT_NOT_READY,
                         "core %lld leads, and none of the cores asked: add its address to --core",
                         leader);
        break;
    case 503:
        code = verb_fail(verb, EXIT_NOT_READY, "%s: %s", answer->core,
                         text != NULL ? text : "not ready");
        break;
    case 504:
        code = verb_fail(verb, EXIT_UNKNOWN, "%s",
                         text != NULL ? text : "no answer in time: look at the list of members");
        break;
    default:
        code = verb_fail(verb, EXIT_FAILED, "%s: HTTP status %ld", answer->core, answer->status);
        break;
    }
    json_decref(json);
    return code;
}

static int list(struct cores *cores, const struct cores_flags *flags)
{
    struct cores_answer answer = {.status = 0};
    int code = EXIT_DONE;

    for (uint32_t c = 0; c < cores_count(cores); c++) {
        free(answer.body);
        cores_ask_one(cores, c, "/v1/members", &answer);
        if (answer.status == 200) {
            break;
        }
    }
    code = answer.status == 200 ? print(flags, &answer) : report("members", &answer);
    free(answer.body);
    return code;
}

/* To the leader, whichever of the cores that is. */
static int order(const char *verb, struct cores *cores, const struct cores_flags *flags,
                 const char *path)
{
    struct cores_answer answer;

    cores_ask_leader(cores, path, &answer);
    const int code = answer.status == 200 ? print(flags, &answer) : report(verb, &answer);
    free(answer.body);
    return code;
}

/* What the words behind the operation become: a path with everything in it. */
struct wish {
    char path[1024];
    size_t bytes;
    char ids[256];
    uint32_t id_count;
    bool has_address;
};

__attribute__((format(printf, 2, 3))) static void append(struct wish *wish, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    const int bytes =
        vsnprintf(wish->path + wish->bytes, sizeof wish->path - wish->bytes, format, arguments);
    va_end(arguments);
    wish->bytes += bytes > 0 ? (size_t)bytes : 0;
    wish->bytes = wish->bytes < sizeof wish->path ? wish->bytes : sizeof wish->path - 1;
}

/* Digits only: nothing has to be escaped. */
static bool is_number(const char *text, size_t bytes)
{
    return bytes > 0 && strspn(text, "0123456789") >= bytes;
}

/* ADDRESS:PORT, as far as it matters here: the core checks the rest. */
static bool is_address(const char *text)
{
    return *text != '\0' && strspn(text, "0123456789abcdefABCDEF.:[]") == strlen(text);
}

/* ID, or ID@ADDRESS:PORT. */
static bool take_member(struct wish *wish, const char *word)
{
    const size_t digits = strcspn(word, "@");
    const size_t used = strlen(wish->ids);

    if (!is_number(word, digits) || used + digits + 2 > sizeof wish->ids ||
        (word[digits] == '@' && (wish->has_address || !is_address(word + digits + 1)))) {
        return false;
    }
    (void)snprintf(wish->ids + used, sizeof wish->ids - used, "%s%.*s", used == 0 ? "" : ",",
                   (int)digits, word);
    wish->id_count++;
    if (word[digits] == '@') {
        append(wish, "&address=%s", word + digits + 1);
        wish->has_address = true;
    }
    return true;
}

static bool take_flag(struct wish *wish, const char *op, const char *flag, const char *value,
                      bool *ret_has_value)
{
    const bool is_add = strcmp(op, "add") == 0;
    const bool is_update = strcmp(op, "update") == 0;
    const bool is_number_value = value != NULL && is_number(value, strlen(value));

    *ret_has_value = true;
    if (strcmp(flag, "--priority") == 0 && (is_add || is_update) && is_number_value) {
        append(wish, "&priority=%s", value);
    } else if (strcmp(flag, "--incarnation") == 0 && !is_update && is_number_value) {
        append(wish, "&incarnation=%s", value);
    } else if (strcmp(flag, "--replaces") == 0 && is_add && is_number_value) {
        append(wish, "&replaces=%s", value);
    } else if (strcmp(flag, "--address") == 0 && is_update && value != NULL && is_address(value)) {
        append(wish, "&address=%s", value);
        wish->has_address = true;
    } else {
        *ret_has_value = false;
        if (strcmp(flag, "--override") == 0 && !is_add && !is_update) {
            append(wish, "&override=1");
        } else {
            return false;
        }
    }
    return true;
}

/* Reads what follows the operation. NULL, or the word that is wrong. */
static const char *read_words(struct wish *wish, const char *op, int count, char **words,
                              bool *ret_is_learner)
{
    for (int i = 0; i < count; i++) {
        bool has_value = false;

        if (strcmp(words[i], "--learner") == 0 && strcmp(op, "add") == 0) {
            *ret_is_learner = true;
        } else if (words[i][0] == '-') {
            const char *value = i + 1 < count ? words[i + 1] : NULL;
            if (!take_flag(wish, op, words[i], value, &has_value)) {
                return words[i];
            }
            i += has_value ? 1 : 0;
        } else if (!take_member(wish, words[i])) {
            return words[i];
        }
    }
    return NULL;
}

/* Whether so many ids, with or without an address, make sense. */
static bool is_complete(const struct wish *wish, const char *op)
{
    if (strcmp(op, "add") == 0) {
        return wish->id_count == 1 && wish->has_address;
    }
    if (strcmp(op, "replace") == 0) {
        return wish->id_count == 2;
    }
    if (strcmp(op, "update") == 0) {
        return wish->id_count == 1 && wish->bytes > 0;
    }
    return (strcmp(op, "promote") == 0 || strcmp(op, "remove") == 0) && wish->id_count >= 1 &&
           wish->id_count <= 8 && !wish->has_address;
}

/* A replacement by a core that is no member yet is an addition that says whose place it takes. */
static void finish(const struct wish *wish, const char *op, bool is_learner, char *path,
                   size_t path_bytes)
{
    const char *comma = strchr(wish->ids, ',');

    if (strcmp(op, "replace") == 0 && wish->has_address && comma != NULL) {
        (void)snprintf(path, path_bytes, "/v1/members?op=add&id=%s&replaces=%.*s%s", comma + 1,
                       (int)(comma - wish->ids), wish->ids, wish->path);
        return;
    }
    const bool is_promotable = strcmp(op, "add") == 0 && !is_learner;
    (void)snprintf(path, path_bytes, "/v1/members?op=%s&id=%s%s%s", op, wish->ids,
                   is_promotable ? "&promotable=1" : "", wish->path);
}

static int run(struct cores *cores, const struct cores_flags *flags, int count, char **words)
{
    const char *op = count >= 1 ? words[0] : "";
    struct wish wish = {.bytes = 0};
    char path[1536];
    bool is_learner = false;

    if (strcmp(op, "list") == 0 && count == 1) {
        return list(cores, flags);
    }
    const char *wrong = count >= 1 ? read_words(&wish, op, count - 1, words + 1, &is_learner) : "";
    if (wrong != NULL && *wrong != '\0') {
        return verb_fail("members", EXIT_USAGE, "'%s' is not understood; see 'spate help members'",
                         wrong);
    }
    if (wrong != NULL || !is_complete(&wish, op)) {
        return verb_fail("members", EXIT_USAGE,
                         "give list, add ID@ADDRESS:PORT, promote ID …, remove ID …, replace OLD "
                         "NEW or update ID; see 'spate help members'");
    }
    finish(&wish, op, is_learner, path, sizeof path);
    return order("members", cores, flags, path);
}

int verb_members(int argument_count, char **arguments)
{
    struct cores_flags flags;
    char message[512];

    if (!cores_read_flags(&argument_count, arguments, &flags, message, sizeof message)) {
        return verb_fail("members", EXIT_USAGE, "%s", message);
    }
    struct cores *cores = cores_open(&flags, message, sizeof message);
    if (cores == NULL) {
        return verb_fail("members", EXIT_USAGE, "%s", message);
    }
    const int code = run(cores, &flags, argument_count, arguments);
    cores_close(cores);
    return code;
}

int verb_transfer(int argument_count, char **arguments)
{
    struct cores_flags flags;
    char message[512];
    char path[64] = "/v1/transfer-leader";

    if (!cores_read_flags(&argument_count, arguments, &flags, message, sizeof message)) {
        return verb_fail("transfer-leader", EXIT_USAGE, "%s", message);
    }
    if (argument_count > 1 ||
        (argument_count == 1 &&
         (strlen(arguments[0]) > 10 || !is_number(arguments[0], strlen(arguments[0]))))) {
        return verb_fail("transfer-leader", EXIT_USAGE, "give the id of one voter, or none");
    }
    if (argument_count == 1) {
        (void)snprintf(path, sizeof path, "/v1/transfer-leader?to=%s", arguments[0]);
    }
    struct cores *cores = cores_open(&flags, message, sizeof message);
    if (cores == NULL) {
        return verb_fail("transfer-leader", EXIT_USAGE, "%s", message);
    }
    const int code = order("transfer-leader", cores, &flags, path);
    cores_close(cores);
    return code;
}
