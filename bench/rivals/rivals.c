#include "rivals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/rivals/rivals_internal.h"

/* A key and a value at least; no more than one frame of HTTP/2 carries by default. */
#define PAYLOAD_MIN      16u
#define ETCD_PAYLOAD_MAX 16000u

static const struct {
    const char *name;
    const char *label;
    const char *program; /* Looked up in PATH; NULL: ours, which is built where libraft is. */
    const char *is_absent;
    bool has_client;
} rivals[RIVAL_KINDS] = {
    [RIVAL_CRAFT] = {"craft", "raft", NULL, "libraft-dev was not there at the build", false},
    [RIVAL_CRAFT_SINGLE] = {"craft-single", "raft-single", NULL,
                            "libraft-dev was not there at the build", false},
    [RIVAL_ETCD] = {"etcd", "etcd", "etcd", "etcd-server is not installed", true},
    [RIVAL_REDIS] = {"redis", "redis", "redis-server", "redis-server is not installed", true},
};

const char *rival_name(enum rival_kind kind)
{
    return rivals[kind].name;
}

const char *rival_label(enum rival_kind kind)
{
    return rivals[kind].label;
}

bool rival_has_client(enum rival_kind kind)
{
    return rivals[kind].has_client;
}

bool rival_parse(const char *name, enum rival_kind *ret_kind)
{
    for (unsigned k = 0; k < RIVAL_KINDS; k++) {
        if (strcmp(name, rivals[k].name) == 0) {
            *ret_kind = (enum rival_kind)k;
            return true;
        }
    }
    return false;
}

/* As execvp() looks for it. */
static bool is_in_path(const char *program)
{
    const char *at = getenv("PATH");

    while (at != NULL && *at != '\0') {
        char path[4096];
        const size_t bytes = strcspn(at, ":");
        (void)snprintf(path, sizeof path, "%.*s/%s", (int)bytes, at, program);
        if (access(path, X_OK) == 0) {
            return true;
        }
        at += bytes + (at[bytes] == ':');
    }
    return false;
}

const char *rival_obstacle(enum rival_kind kind, const struct rival_options *options)
{
    const char *program = rivals[kind].program;

    if (program != NULL ? !is_in_path(program) : access(options->craft, X_OK) != 0) {
        return rivals[kind].is_absent;
    }
    if (!options->is_durable && kind != RIVAL_REDIS) {
        return "it always writes to disk";
    }
    if (options->payload_bytes < PAYLOAD_MIN) {
        return "its entries have 16 bytes or more";
    }
    if (kind == RIVAL_ETCD && options->payload_bytes > ETCD_PAYLOAD_MAX) {
        return "its entries are measured to 16 KB";
    }
    return NULL;
}

bool rival_run(enum rival_kind kind, const struct rival_options *options,
               struct spate_histogram *latency, struct rival_result *ret_result,
               char message[RIVAL_TEXT_BYTES])
{
    bool is_done = false;

    message[0] = '\0';
    switch (kind) {
    case RIVAL_CRAFT:
    case RIVAL_CRAFT_SINGLE:
        is_done = rival_craft(options, kind == RIVAL_CRAFT, latency, ret_result, message);
        break;
    case RIVAL_ETCD:
        is_done = rival_etcd(options, latency, ret_result, message);
        break;
    case RIVAL_REDIS:
        is_done = rival_redis(options, latency, ret_result, message);
        break;
    case RIVAL_KINDS:
        break;
    }
    servers_stop();
    if (!is_done && message[0] == '\0') {
        (void)snprintf(message, RIVAL_TEXT_BYTES, "its leader changed while it was measured");
    }
    return is_done;
}
