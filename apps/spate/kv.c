/* spate kv: puts, gets and deletes keys through any core. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cores.h"
#include "kv/command.h"
#include "verbs.h"

void verb_kv_help(void)
{
    (void)printf(
        "usage: spate kv put KEY VALUE     VALUE '-': from standard input\n"
        "       spate kv get KEY [--stale] linearizable unless --stale\n"
        "       spate kv delete KEY\n\n"
        "  --core HOST:PORT[,…]  the cores to ask, any of them [SPATE_CORE or 127.0.0.1:7220]\n"
        "  --timeout SECONDS     for all attempts together [10]\n"
        "  -o table|json         how to print [table]\n\n"
        "exit codes: 0 done, 2 usage, 3 no such key, 4 cluster not ready, 5 outcome unknown\n");
}

/* Reads standard input, at most one byte more than a value may have. NULL: an error. */
static char *read_input(size_t *ret_bytes)
{
    char *data = malloc(SPATE_KV_VALUE_BYTES_MAX + 1);
    if (data == NULL) {
        return NULL;
    }
    *ret_bytes = fread(data, 1, SPATE_KV_VALUE_BYTES_MAX + 1, stdin);
    if (ferror(stdin)) {
        free(data);
        return NULL;
    }
    return data;
}

static int report_failure(const struct cores_answer *answer)
{
    json_t *json = json_loads(answer->body, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "message"));
    enum exit_code code = EXIT_FAILED;

    switch (answer->status) {
    case 0:
        text = "no core answers there; check --core and that the core runs";
        code = EXIT_NOT_READY;
        break;
    case 404:
        code = EXIT_NOT_FOUND;
        break;
    case 503:
        code = EXIT_NOT_READY;
        break;
    case 504:
        text = spate_err_text(SPATE_ERR_UNKNOWN);
        code = EXIT_UNKNOWN;
        break;
    case 507:
        code = EXIT_IO;
        break;
    case 400:
    case 413:
        code = EXIT_USAGE;
        break;
    default:
        break;
    }
    (void)verb_fail("kv", code, "%s (%s)", text != NULL ? text : "unexpected answer", answer->core);
    json_decref(json);
    return (int)code;
}

static void print_value(const struct cores_flags *flags, const struct cores_answer *answer)
{
    if (!flags->is_json) {
        (void)fwrite(answer->body, 1, answer->body_bytes, stdout);
        if (isatty(STDOUT_FILENO)) {
            (void)fputc('\n', stdout);
        }
        return;
    }
    json_t *json = json_pack("{s:I}", "revision", (json_int_t)answer->revision);
    json_t *value = json_stringn(answer->body, answer->body_bytes);
    if (value != NULL) { /* Only text can be shown in JSON. */
        (void)json_object_set_new(json, "value", value);
    }
    (void)json_dumpf(json, stdout, JSON_PRESERVE_ORDER);
    (void)fputc('\n', stdout);
    json_decref(json);
}

static void print_write(const struct cores_flags *flags, const struct cores_answer *answer)
{
    json_t *json = json_loads(answer->body, 0, NULL);
    const json_int_t revision = json_integer_value(json_object_get(json, "revision"));
    if (flags->is_json) {
        (void)printf("{\"revision\": %lld}\n", (long long)revision);
    } else {
        (void)printf("revision %lld\n", (long long)revision);
    }
    json_decref(json);
}

static int carry_out(struct cores *cores, const struct cores_flags *flags, const char *method,
                     const char *path, const char *body, size_t body_bytes)
{
    struct cores_answer answer;
    int code = EXIT_DONE;

    cores_ask(cores, method, path, body, body_bytes, &answer);
    if (answer.status != 200) {
        code = report_failure(&answer);
    } else if (strcmp(method, "GET") == 0) {
        print_value(flags, &answer);
    } else {
        print_write(flags, &answer);
    }
    free(answer.body);
    return code;
}

static int put(struct cores *cores, const struct cores_flags *flags, const char *key,
               const char *value)
{
    char *path = cores_key_path(cores, key, "");
    char *input = NULL;
    size_t bytes = strlen(value);
    int code = EXIT_USAGE;

    if (strcmp(value, "-") == 0) {
        input = read_input(&bytes);
        value = input;
    }
    if (value == NULL) {
        (void)verb_fail("kv", EXIT_USAGE, "cannot read standard input");
    } else if (bytes > SPATE_KV_VALUE_BYTES_MAX) {
        (void)verb_fail("kv", EXIT_USAGE, "a value has at most %u bytes", SPATE_KV_VALUE_BYTES_MAX);
    } else {
        code = carry_out(cores, flags, "PUT", path, value, bytes);
    }
    free(input);
    free(path);
    return code;
}

static int run(struct cores *cores, const struct cores_flags *flags, int argument_count,
               char **arguments)
{
    const char *op = argument_count >= 1 ? arguments[0] : "";
    const char *key = argument_count >= 2 ? arguments[1] : "";

    if (argument_count >= 2 && (key[0] == '\0' || strlen(key) > SPATE_KV_KEY_BYTES_MAX)) {
        return verb_fail("kv", EXIT_USAGE, "a key has 1 to %u bytes", SPATE_KV_KEY_BYTES_MAX);
    }
    if (strcmp(op, "put") == 0 && argument_count == 3) {
        return put(cores, flags, key, arguments[2]);
    }
    const bool is_stale = argument_count == 3 && strcmp(arguments[2], "--stale") == 0;
    const bool is_get = strcmp(op, "get") == 0 && (argument_count == 2 || is_stale);
    const bool is_delete = strcmp(op, "delete") == 0 && argument_count == 2;
    if (!is_get && !is_delete) {
        return verb_fail(
            "kv", EXIT_USAGE,
            "give put KEY VALUE, get KEY [--stale] or delete KEY; see 'spate help kv'");
    }
    char *path = cores_key_path(cores, key, is_stale ? "?stale=1" : "");
    const int code = carry_out(cores, flags, is_get ? "GET" : "DELETE", path, NULL, 0);
    free(path);
    return code;
}

int verb_kv(int argument_count, char **arguments)
{
    struct cores_flags flags;
    char message[512];

    if (!cores_read_flags(&argument_count, arguments, &flags, message, sizeof message)) {
        return verb_fail("kv", EXIT_USAGE, "%s", message);
    }
    struct cores *cores = cores_open(&flags, message, sizeof message);
    if (cores == NULL) {
        return verb_fail("kv", EXIT_USAGE, "%s", message);
    }
    const int code = run(cores, &flags, argument_count, arguments);
    cores_close(cores);
    return code;
}
