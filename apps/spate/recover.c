/* spate recover: one survivor becomes a new cluster when the quorum is gone for good. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verbs.h"
#include "words.h"

#define MESSAGE_BYTES 4608u

void verb_recover_help(void)
{
    (void)printf(
        "usage: spate recover --data DIRECTORY [--cluster.id UUID] [--address ADDRESS:PORT] "
        "[--apply]\n"
        "       spate recover --data DIRECTORY --finish\n\n"
        "When a majority of the voters is gone for good, makes the data of ONE survivor that of a\n"
        "new cluster with a new id and this core as its only member. Without --apply it only says\n"
        "what it would do: run it on every survivor, and take the one with the highest term of "
        "its\n"
        "last entry, then the highest index. Its core must not run; the others must never start\n"
        "again on their old data.\n\n"
        "  --data DIRECTORY        the survivor's; it stays as DIRECTORY.before-…, the backup\n"
        "  --cluster.id UUID       of the new cluster [a new one is drawn]\n"
        "  --address ADDRESS:PORT  of this core, when its data does not say it\n"
        "  --apply                 do it; again after a crash completes it\n"
        "  --finish                you have looked at the contents: the core, which listened on\n"
        "                          loopback addresses only, listens where it is told from now on\n"
        "  -o table|json           how to print [table]\n\n"
        "exit codes: 0 done, 2 usage, 3 no core's data, or nothing to finish, 6 a core runs on it, "
        "or the\nbackup's name is taken, 7 another format, 8 damaged, 9 the disk failed, 10 not "
        "allowed\n");
}

struct wish {
    struct spate_recover_options options;
    bool has_cluster_id;
    bool is_finish;
    bool is_json;
};

/* How many words it took; 0: not understood. */
static int read_word(struct wish *wish, int count, char **words)
{
    const char *value = count >= 2 ? words[1] : NULL;

    if (strcmp(words[0], "--apply") == 0) {
        wish->options.is_dry_run = false;
        return 1;
    }
    if (strcmp(words[0], "--finish") == 0) {
        wish->is_finish = true;
        return 1;
    }
    if (value == NULL) {
        return 0;
    }
    if (strcmp(words[0], "--data") == 0) {
        wish->options.directory = value;
    } else if (strcmp(words[0], "--address") == 0) {
        wish->options.address = value;
    } else if (strcmp(words[0], "--cluster.id") == 0) {
        wish->has_cluster_id = words_uuid(value, wish->options.cluster_id);
        return wish->has_cluster_id ? 2 : 0;
    } else if (strcmp(words[0], "-o") == 0) {
        wish->is_json = strcmp(value, "json") == 0;
        return wish->is_json || strcmp(value, "table") == 0 ? 2 : 0;
    } else {
        return 0;
    }
    return 2;
}

static const char *role_of(const struct spate_members *members, uint32_t place)
{
    const struct spate_member_status *member = &members->members[place];

    return member->is_voter || member->is_voter_next ? "voter" : "learner";
}

static void print_members(const struct spate_recovery *recovery)
{
    const struct spate_members *before = &recovery->before;

    if (before->count == 0) {
        (void)printf("members before  the founders, as raft.members has them\n");
    }
    for (uint32_t i = 0; i < before->count; i++) {
        (void)printf("%-15s %u@%s, %s%s\n", i == 0 ? "members before" : "", before->members[i].id,
                     before->members[i].address, role_of(before, i),
                     before->members[i].id == recovery->id ? " (this one)" : "");
    }
    (void)printf("members after   %u@%s, the only voter\n", recovery->after.id,
                 recovery->after.address);
}

static void print_facts(const struct spate_recovery *recovery, const char *uuid)
{
    const unsigned long long behind = recovery->last.index - recovery->commit;
    char old[WORDS_UUID_BYTES];

    words_write_uuid(recovery->cluster_id, old);
    (void)printf("core            %u, incarnation %llu, %s\n"
                 "last entry      term %llu, index %llu: compare this between survivors\n"
                 "committed       up to %llu as far as this core knows, term %llu\n",
                 recovery->id, (unsigned long long)recovery->incarnation,
                 recovery->disk == SPATE_DISK_LMDB ? "lmdb" : "wal",
                 (unsigned long long)recovery->last.term, (unsigned long long)recovery->last.index,
                 (unsigned long long)recovery->commit, (unsigned long long)recovery->term);
    if (recovery->snapshot_index != 0) {
        (void)printf("snapshot        up to %llu, and the log behind it from %llu on\n",
                     (unsigned long long)recovery->snapshot_index,
                     (unsigned long long)recovery->first);
    }
    if (behind > 0) {
        (void)printf(
            "kept            %llu entries behind that: they may have been acknowledged, or "
            "not\n",
            behind);
    }
    if (recovery->is_mute) {
        (void)printf(
            "warning         this core had lost data that it acknowledged: another survivor "
            "is better\n");
    }
    (void)printf("lost            what only the others had: this core cannot know it\n");
    print_members(recovery);
    (void)printf("cluster before  %s\ncluster after   %s\nbackup          %s\n", old, uuid,
                 recovery->backup);
}

static void print_json(const struct spate_recovery *recovery, const char *uuid)
{
    char old[WORDS_UUID_BYTES];
    json_t *members = json_array();

    words_write_uuid(recovery->cluster_id, old);
    for (uint32_t i = 0; i < recovery->before.count; i++) {
        (void)json_array_append_new(
            members, json_pack("{s:I, s:s, s:s}", "id", (json_int_t)recovery->before.members[i].id,
                               "address", recovery->before.members[i].address, "role",
                               role_of(&recovery->before, i)));
    }
    json_t *json = json_pack(
        "{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:o}", "done",
        (int)recovery->is_done, "mute", (int)recovery->is_mute, "id", (json_int_t)recovery->id,
        "term", (json_int_t)recovery->term, "last_index", (json_int_t)recovery->last.index,
        "last_term", (json_int_t)recovery->last.term, "commit", (json_int_t)recovery->commit,
        "snapshot_index", (json_int_t)recovery->snapshot_index, "address", recovery->after.address,
        "cluster_id_before", old, "cluster_id", uuid, "backup", recovery->backup, "members_before",
        members);
    (void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    (void)fputc('\n', stdout);
    json_decref(json);
}

static void print(const struct wish *wish, const struct spate_recovery *recovery)
{
    char uuid[WORDS_UUID_BYTES];

    words_write_uuid(wish->options.cluster_id, uuid);
    if (wish->is_json) {
        print_json(recovery, uuid);
        return;
    }
    if (recovery->last.index != 0) {
        print_facts(recovery, uuid);
    }
    if (!recovery->is_done) {
        (void)printf("\nNothing was changed. If this is the survivor to take:\n"
                     "  spate recover --data %s --cluster.id %s%s%s --apply\n",
                     wish->options.directory, uuid,
                     wish->options.address != NULL ? " --address " : "",
                     wish->options.address != NULL ? wish->options.address : "");
        return;
    }
    (void)printf("\n%s is recovered. Next: start this core alone with --cluster.id %s;\n"
                 "it listens on loopback only. Look at the contents, stop it, then\n"
                 "  spate recover --data %s --finish\n",
                 wish->options.directory, uuid, wish->options.directory);
}

static int finish(const struct wish *wish)
{
    char message[MESSAGE_BYTES];

    const spate_err err = spate_recover_finish(wish->options.directory, message, sizeof message);
    if (err != SPATE_OK) {
        return verb_fail("recover", exit_code_of(err), "%s", message);
    }
    (void)printf("%s: finished. Start the core; it grows with 'spate members add', each new core\n"
                 "with empty data, join on and the new cluster id.\n",
                 wish->options.directory);
    return EXIT_DONE;
}

int verb_recover(int argument_count, char **arguments)
{
    struct wish wish = {.options = {.is_dry_run = true}};
    struct spate_recovery recovery = {.id = 0};
    char message[MESSAGE_BYTES];

    for (int i = 0; i < argument_count;) {
        const int taken = read_word(&wish, argument_count - i, arguments + i);
        if (taken == 0) {
            return verb_fail(
                "recover", EXIT_USAGE,
                "'%s' is not understood, or its value is not; see 'spate help recover'",
                arguments[i]);
        }
        i += taken;
    }
    if (wish.options.directory == NULL) {
        return verb_fail("recover", EXIT_USAGE, "give --data DIRECTORY; see 'spate help recover'");
    }
    if (wish.is_finish && (!wish.options.is_dry_run || wish.has_cluster_id)) {
        return verb_fail("recover", EXIT_USAGE, "--finish stands alone beside --data");
    }
    if (wish.is_finish) {
        return finish(&wish);
    }
    if (!wish.has_cluster_id) {
        words_draw_uuid(wish.options.cluster_id);
    }
    const spate_err err = spate_recover(&wish.options, &recovery, message, sizeof message);
    if (err != SPATE_OK) {
        return verb_fail("recover", exit_code_of(err), "%s", message);
    }
    print(&wish, &recovery);
    return EXIT_DONE;
}
