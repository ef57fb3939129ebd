/* spate snapshot: a running core's state as a file, what a file is, and a new cluster from one. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cores.h"
#include "kv/kv.h"
#include "verbs.h"
#include "words.h"

#define PATH_BYTES 4096u

void verb_snapshot_help(void)
{
    (void)printf(
        "usage: spate snapshot save FILE [--core HOST:PORT[,…]]\n"
        "       spate snapshot inspect FILE [-o table|json]\n"
        "       spate snapshot restore FILE --data DIRECTORY --id ID\n"
        "                              --members ID@ADDRESS:PORT[,…] [--cluster.id UUID]\n"
        "                              [--disk wal|lmdb]\n\n"
        "save     copies the state of a running core to a file: of the leader, if it is among the\n"
        "         cores asked, which has every write that was acknowledged before; otherwise of "
        "the\n"
        "         core that has most. The file is checked before it takes its name.\n"
        "inspect  says what a file holds, after checking all of it.\n"
        "restore  makes the data directory of one core of a NEW cluster that begins with this "
        "state.\n"
        "         One member is best: it grows with 'spate members add'. Several members must all "
        "be\n"
        "         restored from the same file, each with its --id and the same --cluster.id.\n\n"
        "  --data DIRECTORY      must not exist, or be empty\n"
        "  --cluster.id UUID     of the new cluster; one member: a new one is drawn and printed\n"
        "  --disk wal|lmdb       how the log is to lie in it [wal]\n"
        "  --core HOST:PORT[,…]  the cores to ask [SPATE_CORE or 127.0.0.1:7220]\n"
        "  -o table|json         how to print [table]\n\n"
        "exit codes: 0 done, 2 usage or no snapshot at all, 3 no such file, 4 no core answers, "
        "6 the\ndirectory is not empty, 7 another format, 8 damaged or not whole, 9 the disk "
        "failed, 10 not allowed\n");
}

static int print_json(json_t *json)
{
    (void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    (void)fputc('\n', stdout);
    json_decref(json);
    return EXIT_DONE;
}

static json_t *info_json(const struct spate_snapshot_info *info)
{
    struct spate_kv_status kv;
    char uuid[WORDS_UUID_BYTES];
    char hash[20];
    uint32_t version = 0;
    json_t *members = json_array();

    words_write_uuid(info->cluster_id, uuid);
    (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)info->state_hash);
    for (uint32_t i = 0; i < info->member_count; i++) {
        const struct spate_member_status *member = &info->members[i];
        (void)json_array_append_new(
            members, json_pack("{s:I, s:s, s:b, s:I}", "id", (json_int_t)member->id, "address",
                               member->address, "voter", (int)member->is_voter, "incarnation",
                               (json_int_t)member->incarnation));
    }
    json_t *json = json_pack(
        "{s:i, s:s, s:I, s:I, s:I, s:s, s:I, s:o}", "format", (int)info->format, "cluster_id", uuid,
        "index", (json_int_t)info->last.index, "term", (json_int_t)info->last.term, "state_bytes",
        (json_int_t)info->state_bytes, "state_hash", hash, "membership_index",
        (json_int_t)info->membership_index, "members", members);
    if (spate_kv_describe(info->state_head, info->state_head_bytes, &version, &kv)) {
        (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)kv.digest);
        (void)json_object_set_new(json, "state_machine",
                                  json_pack("{s:s, s:i, s:I, s:I, s:s, s:i}", "name", "kv",
                                            "format", (int)version, "keys", (json_int_t)kv.keys,
                                            "bytes", (json_int_t)kv.bytes, "digest", hash,
                                            "sessions", (int)kv.sessions));
    }
    return json;
}

static void print_info(const struct spate_snapshot_info *info)
{
    struct spate_kv_status kv;
    char uuid[WORDS_UUID_BYTES];
    uint32_t version = 0;

    words_write_uuid(info->cluster_id, uuid);
    (void)printf("cluster        %s\n"
                 "last entry     index %llu, term %llu\n"
                 "state          %llu bytes, hash %016llx\n"
                 "format         %u\n",
                 uuid, (unsigned long long)info->last.index, (unsigned long long)info->last.term,
                 (unsigned long long)info->state_bytes, (unsigned long long)info->state_hash,
                 info->format);
    if (spate_kv_describe(info->state_head, info->state_head_bytes, &version, &kv)) {
        (void)printf("state machine  kv, format %u: %llu keys, %llu bytes, digest %016llx\n",
                     version, (unsigned long long)kv.keys, (unsigned long long)kv.bytes,
                     (unsigned long long)kv.digest);
    } else {
        (void)printf("state machine  none that this program knows\n");
    }
    for (uint32_t i = 0; i < info->member_count; i++) {
        const struct spate_member_status *member = &info->members[i];
        (void)printf("%s%u@%s, %s, incarnation %llu\n",
                     i == 0 ? "members        " : "               ", member->id, member->address,
                     member->is_voter ? "voter" : "learner",
                     (unsigned long long)member->incarnation);
    }
}

static int inspect(const char *file, bool is_json)
{
    struct spate_snapshot_info info;
    char message[PATH_BYTES + 512];

    const spate_err err = spate_snapshot_inspect(file, &info, message, sizeof message);
    if (err != SPATE_OK) {
        return verb_fail("snapshot", exit_code_of(err), "%s", message);
    }
    if (is_json) {
        return print_json(info_json(&info));
    }
    print_info(&info);
    return EXIT_DONE;
}

/* The leader, or else the core that has applied most. False: no core answers. */
static bool choose(struct cores *cores, uint32_t *ret_core)
{
    json_int_t most = -1;

    for (uint32_t c = 0; c < cores_count(cores); c++) {
        struct cores_answer answer;

        cores_ask_one(cores, c, "/v1/status", &answer);
        json_t *json = answer.status == 200 ? json_loads(answer.body, 0, NULL) : NULL;
        const char *role = json_string_value(json_object_get(json, "role"));
        const json_int_t applied = json_integer_value(json_object_get(json, "applied"));
        const bool is_leader = role != NULL && strcmp(role, "leader") == 0;
        if (json != NULL && (is_leader || applied > most)) {
            *ret_core = c;
            most = applied;
        }
        json_decref(json);
        free(answer.body);
        if (is_leader) {
            break;
        }
    }
    return most >= 0;
}

/* Names last only once their directory is synced. */
static bool sync_directory_of(const char *file)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof path, "%s", file);
    const int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool is_synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_synced;
}

/* Fetches and checks; the file has its working name yet. */
static int fetch(struct cores *cores, uint32_t core, const char *partial,
                 struct spate_snapshot_info *info)
{
    struct cores_answer answer;
    char message[PATH_BYTES + 512];

    const int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        const int error = errno;
        return verb_fail("snapshot", error == EACCES ? EXIT_PERMISSION : EXIT_USAGE,
                         "cannot write %s: %s; give another FILE", partial, strerror(error));
    }
    errno = 0;
    cores_fetch(cores, core, "/v1/snapshot", fd, &answer);
    const int error = errno;
    const bool is_synced = fsync(fd) == 0;
    const int code_of_close = close(fd);
    json_t *json = answer.status == 200 ? NULL : json_loads(answer.body, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "message"));
    int code = EXIT_DONE;

    if (answer.status == 0 && error == ENOSPC) {
        code = verb_fail("snapshot", EXIT_IO, "%s: %s; make room, or give another FILE", partial,
                         strerror(error));
    } else if (answer.status != 200) {
        code = verb_fail("snapshot", EXIT_NOT_READY, "%s: %s", answer.core,
                         text != NULL ? text : "the copy did not come through; try again");
    } else if (!is_synced || code_of_close != 0) {
        code = verb_fail("snapshot", EXIT_IO, "%s: %s; look at the disk", partial, strerror(errno));
    } else {
        const spate_err err = spate_snapshot_inspect(partial, info, message, sizeof message);
        code =
            err == SPATE_OK ? EXIT_DONE : verb_fail("snapshot", exit_code_of(err), "%s", message);
    }
    json_decref(json);
    free(answer.body);
    return code;
}

static int save(struct cores *cores, const struct cores_flags *flags, const char *file)
{
    struct spate_snapshot_info info;
    char partial[PATH_BYTES];
    uint32_t core = 0;

    if (snprintf(partial, sizeof partial, "%s.partial", file) >= (int)sizeof partial) {
        return verb_fail("snapshot", EXIT_USAGE, "%s: too long a path", file);
    }
    if (!choose(cores, &core)) {
        return verb_fail("snapshot", EXIT_NOT_READY, "no core answers: see --core");
    }
    const int code = fetch(cores, core, partial, &info);
    if (code != EXIT_DONE) {
        (void)unlink(partial);
        return code;
    }
    if (rename(partial, file) != 0 || !sync_directory_of(file)) {
        const int error = errno;
        (void)unlink(partial);
        return verb_fail("snapshot", EXIT_IO, "cannot name it %s: %s", file, strerror(error));
    }
    if (flags->is_json) {
        return print_json(info_json(&info));
    }
    (void)printf("%s: state of %s up to index %llu, term %llu: %llu bytes, checked\n", file,
                 cores_address(cores, core), (unsigned long long)info.last.index,
                 (unsigned long long)info.last.term, (unsigned long long)info.state_bytes);
    return EXIT_DONE;
}

/* The words behind `restore FILE`. */
struct wish {
    struct spate_restore_options options;
    struct spate_member_options members[SPATE_MEMBERS_MAX];
    bool has_cluster_id;
};

/* NULL: all is understood; otherwise what is wrong, for people. */
static const char *read_flag(struct wish *wish, const char *flag, char *value)
{
    char *end = NULL;

    if (strcmp(flag, "--data") == 0) {
        wish->options.directory = value;
    } else if (strcmp(flag, "--id") == 0) {
        const unsigned long id = strtoul(value, &end, 10);
        if (end == value || *end != '\0' || id == 0 || id > UINT32_MAX || *value == '-') {
            return "--id: give the id of this core, 1 or more";
        }
        wish->options.id = (spate_node_id)id;
    } else if (strcmp(flag, "--members") == 0) {
        if (words_members(value, wish->members, &wish->options.member_count) != NULL) {
            return "--members: give ID@ADDRESS:PORT[,…], at most 16";
        }
    } else if (strcmp(flag, "--cluster.id") == 0) {
        wish->has_cluster_id = words_uuid(value, wish->options.cluster_id);
        return wish->has_cluster_id ? NULL : "--cluster.id: give a UUID, as uuidgen prints one";
    } else if (strcmp(flag, "--disk") == 0 && strcmp(value, "wal") == 0) {
        wish->options.disk = SPATE_DISK_WAL;
    } else if (strcmp(flag, "--disk") == 0 && strcmp(value, "lmdb") == 0) {
        wish->options.disk = SPATE_DISK_LMDB;
    } else {
        return strcmp(flag, "--disk") == 0 ? "--disk: give wal or lmdb"
                                           : "not understood; see 'spate help snapshot'";
    }
    return NULL;
}

static int restore(int count, char **words)
{
    struct wish wish = {.options = {.file = words[0]}};
    char uuid[WORDS_UUID_BYTES];
    char message[PATH_BYTES + 512];

    for (int i = 1; i < count; i += 2) {
        const char *wrong =
            i + 1 < count ? read_flag(&wish, words[i], words[i + 1]) : "needs a value";
        if (wrong != NULL) {
            return verb_fail("snapshot", EXIT_USAGE, "'%s': %s", words[i], wrong);
        }
    }
    wish.options.members = wish.members;
    if (wish.options.directory == NULL || wish.options.id == 0 || wish.options.member_count == 0) {
        return verb_fail("snapshot", EXIT_USAGE,
                         "restore needs --data, --id and --members; see 'spate help snapshot'");
    }
    if (!wish.has_cluster_id && wish.options.member_count > 1) {
        return verb_fail("snapshot", EXIT_USAGE,
                         "several members need the same --cluster.id: draw one with uuidgen");
    }
    if (!wish.has_cluster_id) {
        words_draw_uuid(wish.options.cluster_id);
    }
    const spate_err err = spate_restore(&wish.options, message, sizeof message);
    if (err != SPATE_OK) {
        return verb_fail("snapshot", exit_code_of(err), "%s", message);
    }
    words_write_uuid(wish.options.cluster_id, uuid);
    (void)printf("%s: data of core %u, %u member%s; start it with\n"
                 "  --id %u --cluster.id %s --data %s\n",
                 wish.options.directory, wish.options.id, wish.options.member_count,
                 wish.options.member_count == 1 ? "" : "s", wish.options.id, uuid,
                 wish.options.directory);
    return EXIT_DONE;
}

int verb_snapshot(int argument_count, char **arguments)
{
    struct cores_flags flags;
    char message[512];

    if (!cores_read_flags(&argument_count, arguments, &flags, message, sizeof message)) {
        return verb_fail("snapshot", EXIT_USAGE, "%s", message);
    }
    const char *op = argument_count >= 1 ? arguments[0] : "";
    if (strcmp(op, "inspect") == 0 && argument_count == 2) {
        return inspect(arguments[1], flags.is_json);
    }
    if (strcmp(op, "restore") == 0 && argument_count >= 2) {
        return restore(argument_count - 1, arguments + 1);
    }
    if (strcmp(op, "save") != 0 || argument_count != 2) {
        return verb_fail("snapshot", EXIT_USAGE,
                         "give save FILE, inspect FILE or restore FILE …; see 'spate help "
                         "snapshot'");
    }
    struct cores *cores = cores_open(&flags, message, sizeof message);
    if (cores == NULL) {
        return verb_fail("snapshot", EXIT_USAGE, "%s", message);
    }
    const int code = save(cores, &flags, arguments[1]);
    cores_close(cores);
    return code;
}
