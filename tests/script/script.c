/*
 * Runs a scenario: a text file of commands, each with what the cluster did written below it. The
 * run must write the same file again. SPATE_TEST_REWRITE=1 writes it anew: read the difference
 * before committing it.
 *
 *   # a comment                        kept
 *   > nodes 3 manual-store             first command; also learners N, joiners N, lease, new,
 *                                      no-pre-vote, no-check-quorum, count-max N, window N,
 *                                      bytes-max N
 *   > campaign 1                       its election timeout passes
 *   > deliver [from to [count]]        0 stands for any node; likewise drop
 *   > duplicate 1 2, delay 1 2         one message
 *   > cut 1 0, heal 1 0                the links of node 1, to all
 *   > store 1 [count], auto-store 1    completes batches
 *   > add 1 4 [votes | replaces 2]     changes of the membership, told to node 1; likewise
 *                                      promote 1 4 5, remove 1 2 3 [override], replace 1 2 4
 *   > transfer 1 [to]                  node 1 is to hand over
 *   > read 1                           asks for a read index
 *   > propose 1 count [size]           likewise elapse 1|all ms, flush 1, restart 1, stabilize
 *   > forget 1 [last]                  restarts without what lies behind `last`, and knows it;
 *                                      lose 1 [last]: and does not know it
 *   > set-log 1 term vote 1 1 2        what is on its disk
 *   > snapshot 1 first                 stands for all before `first`, on disk too
 *   > install 1 index                  a snapshot of what is committed up to `index`
 *   > compact 1 first                  likewise fetched 1 [fail], rtt 1 member us
 *   > log 1, status 1, pending         show
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/types.h"
#include "support/cluster.h"

#define WORDS_MAX 32u
#define TEXT_MAX  (1u << 20)

struct script {
    struct cluster *cluster;
    char *text;
    size_t text_bytes;
    const char *words[WORDS_MAX];
    uint32_t word_count;
};

static void append_text(struct script *script, const char *text)
{
    const size_t bytes = strlen(text);
    spate_assert(script->text_bytes + bytes < TEXT_MAX);
    memcpy(script->text + script->text_bytes, text, bytes + 1);
    script->text_bytes += bytes;
}

static uint32_t number(const struct script *script, uint32_t word, uint32_t otherwise)
{
    if (word >= script->word_count) {
        return otherwise;
    }
    return (uint32_t)strtoul(script->words[word], NULL, 10);
}

static bool word_is(const struct script *script, uint32_t word, const char *text)
{
    return word < script->word_count && strcmp(script->words[word], text) == 0;
}

static void make_cluster(struct script *script)
{
    struct cluster_options options = {.nodes = number(script, 1, 3)};
    for (uint32_t w = 2; w < script->word_count; w++) {
        options.store_is_manual |= word_is(script, w, "manual-store");
        options.pre_vote_disabled |= word_is(script, w, "no-pre-vote");
        options.check_quorum_disabled |= word_is(script, w, "no-check-quorum");
        options.lease_enabled |= word_is(script, w, "lease");
        options.new_is_known |= word_is(script, w, "new");
        if (word_is(script, w, "joiners")) {
            options.joiners = number(script, w + 1, 0);
        } else if (word_is(script, w, "learners")) {
            options.learners = number(script, w + 1, 0);
        } else if (word_is(script, w, "count-max")) {
            options.append_count_max = number(script, w + 1, 0);
        } else if (word_is(script, w, "window")) {
            options.window_messages = number(script, w + 1, 0);
        } else if (word_is(script, w, "bytes-max")) {
            options.append_bytes_max = number(script, w + 1, 0);
        } else if (word_is(script, w, "large-max")) {
            options.append_large_bytes_max = number(script, w + 1, 0);
        }
    }
    cluster_destroy(script->cluster);
    script->cluster = cluster_create(&options);
}

static void show_status(struct script *script, spate_node_id id)
{
    char line[256];
    const struct spate_raft_status s = cluster_status(script->cluster, id);
    (void)snprintf(line, sizeof line,
                   "  term %llu vote %u leader %u commit %llu durable %llu received %llu\n",
                   (unsigned long long)s.term, s.vote, s.leader, (unsigned long long)s.commit,
                   (unsigned long long)s.durable, (unsigned long long)s.received);
    append_text(script, line);
    for (uint32_t i = 0; s.role == SPATE_ROLE_LEADER && i < s.peer_count; i++) {
        const struct spate_raft_peer_status *p = &s.peers[i];
        (void)snprintf(line, sizeof line, "  %u: %s match %llu next %llu in flight %u\n", p->id,
                       p->is_replicating ? "replicating" : "probing", (unsigned long long)p->match,
                       (unsigned long long)p->next, p->inflight_messages);
        append_text(script, line);
    }
}

/* Commands that move messages. */
static bool run_network(struct script *script)
{
    struct cluster *cluster = script->cluster;
    const uint32_t first = number(script, 1, 0);
    const uint32_t second = number(script, 2, 0);
    const uint32_t count = number(script, 3, UINT32_MAX);

    if (word_is(script, 0, "deliver")) {
        (void)cluster_deliver(cluster, first, second, count);
    } else if (word_is(script, 0, "drop")) {
        (void)cluster_drop(cluster, first, second, count);
    } else if (word_is(script, 0, "duplicate")) {
        cluster_duplicate(cluster, first, second);
    } else if (word_is(script, 0, "delay")) {
        cluster_delay(cluster, first, second);
    } else if (word_is(script, 0, "cut")) {
        cluster_cut(cluster, first, second, true);
    } else if (word_is(script, 0, "heal")) {
        cluster_cut(cluster, first, second, false);
    } else if (word_is(script, 0, "stabilize")) {
        (void)cluster_stabilize(cluster);
    } else {
        return false;
    }
    return true;
}

/* Changes of the membership. */
static bool run_change(struct script *script)
{
    static const char *const verbs[] = {"add", "promote", "remove", "replace"};
    struct spate_change change = {.count = 0};
    uint32_t kind = 0;

    while (kind < SPATE_ARRAY_COUNT(verbs) && !word_is(script, 0, verbs[kind])) {
        kind++;
    }
    if (kind == SPATE_ARRAY_COUNT(verbs)) {
        return false;
    }
    change.kind = (enum spate_change_kind)kind;
    for (uint32_t w = 2; w < script->word_count && change.count < SPATE_CHANGE_MEMBERS_MAX; w++) {
        if (word_is(script, w, "override")) {
            change.is_override = true;
        } else if (word_is(script, w, "votes")) {
            change.members[0].is_promotable = true;
        } else if (word_is(script, w, "replaces")) {
            change.members[0].replaces = number(script, ++w, 0);
        } else {
            change.members[change.count++].id = number(script, w, 0);
        }
    }
    (void)cluster_change(script->cluster, number(script, 1, 0), &change);
    return true;
}

/* Commands to one node. */
static bool run_node(struct script *script)
{
    struct cluster *cluster = script->cluster;
    const uint32_t id = number(script, 1, 0);

    if (word_is(script, 0, "campaign")) {
        cluster_campaign(cluster, id);
    } else if (word_is(script, 0, "store")) {
        (void)cluster_store(cluster, id, number(script, 2, UINT32_MAX));
    } else if (word_is(script, 0, "auto-store")) {
        cluster_store_automatic(cluster, id, true);
        cluster_flush(cluster, id);
    } else if (word_is(script, 0, "propose")) {
        (void)cluster_propose(cluster, id, number(script, 2, 1), number(script, 3, 8));
    } else if (word_is(script, 0, "transfer")) {
        (void)cluster_transfer(cluster, id, number(script, 2, 0));
    } else if (word_is(script, 0, "read")) {
        (void)cluster_read(cluster, id);
    } else if (word_is(script, 0, "elapse") && word_is(script, 1, "all")) {
        cluster_elapse_all(cluster, number(script, 2, 0) * 1000000ull);
    } else if (word_is(script, 0, "elapse")) {
        cluster_elapse(cluster, id, number(script, 2, 0) * 1000000ull);
    } else if (word_is(script, 0, "flush")) {
        cluster_flush(cluster, id);
    } else if (word_is(script, 0, "restart")) {
        cluster_restart(cluster, id);
    } else if (word_is(script, 0, "forget") || word_is(script, 0, "lose")) {
        cluster_forget(cluster, id, number(script, 2, 0), word_is(script, 0, "forget"));
    } else if (word_is(script, 0, "snapshot")) {
        cluster_snapshot(cluster, id, number(script, 2, 1));
    } else if (word_is(script, 0, "install")) {
        (void)cluster_install(cluster, id, number(script, 2, 0));
    } else if (word_is(script, 0, "compact")) {
        cluster_compact(cluster, id, number(script, 2, 1));
    } else if (word_is(script, 0, "fetched")) {
        (void)cluster_fetched(cluster, id, word_is(script, 2, "fail") ? SPATE_ERR_IO : SPATE_OK);
    } else if (word_is(script, 0, "rtt")) {
        cluster_measure(cluster, id, number(script, 2, 0), number(script, 3, 0) * 1000ull);
    } else {
        return false;
    }
    return true;
}

/* Commands that set up or show. */
static bool run_other(struct script *script)
{
    char line[64];

    if (word_is(script, 0, "nodes")) {
        make_cluster(script);
    } else if (word_is(script, 0, "set-log")) {
        spate_term terms[WORDS_MAX];
        uint32_t count = 0;
        for (uint32_t w = 4; w < script->word_count; w++) {
            terms[count++] = number(script, w, 0);
        }
        cluster_set_log(script->cluster, number(script, 1, 0), number(script, 2, 0),
                        number(script, 3, 0), terms, count);
    } else if (word_is(script, 0, "log")) {
        append_text(script, "  ");
        append_text(script, cluster_log_terms(script->cluster, number(script, 1, 0)));
        append_text(script, "\n");
    } else if (word_is(script, 0, "status")) {
        show_status(script, number(script, 1, 0));
    } else if (word_is(script, 0, "pending")) {
        (void)snprintf(line, sizeof line, "  %u\n", cluster_pending(script->cluster, 0, 0));
        append_text(script, line);
    } else {
        return false;
    }
    return true;
}

static bool run_command(struct script *script, const char *line)
{
    char words[1024];
    (void)snprintf(words, sizeof words, "%s", line);
    script->word_count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word != NULL && script->word_count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest)) {
        script->words[script->word_count++] = word;
    }
    if (!run_other(script) && !run_network(script) && !run_change(script) && !run_node(script)) {
        (void)fprintf(stderr, "no such command: %s\n", line);
        return false;
    }
    append_text(script, cluster_transcript(script->cluster));
    return true;
}

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, TEXT_MAX);
    spate_assert(text != NULL);
    if (file == NULL) {
        perror(path);
        free(text);
        return NULL;
    }
    const size_t bytes = fread(text, 1, TEXT_MAX - 1, file);
    text[bytes] = '\0';
    (void)fclose(file);
    return text;
}

static bool run_all(struct script *script, const char *text)
{
    char *copy = strdup(text);
    char *rest = NULL;
    bool is_good = copy != NULL;
    bool was_comment = false;
    for (char *line = strtok_r(copy, "\n", &rest); is_good && line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != '#' && line[0] != '>') {
            continue; /* What the cluster did the last time. */
        }
        if (line[0] == '#' && !was_comment && script->text_bytes > 0) {
            append_text(script, "\n");
        }
        was_comment = line[0] == '#';
        append_text(script, line);
        append_text(script, "\n");
        if (line[0] == '>') {
            is_good = run_command(script, line + 1);
        }
    }
    free(copy);
    return is_good;
}

static bool compare(const char *expected, const char *written)
{
    uint32_t line = 1;
    const char *start = written;
    while (*expected != '\0' && *expected == *written) {
        line += *written == '\n' ? 1u : 0u;
        start = *written == '\n' ? written + 1 : start;
        expected++;
        written++;
    }
    if (*expected == *written) {
        return true;
    }
    (void)fprintf(stderr, "line %u is now: %.*s\n", line, (int)strcspn(start, "\n"), start);
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: script_runner SCENARIO\n");
        return 2;
    }
    char *text = read_all(argv[1]);
    if (text == NULL) {
        return 2;
    }
    struct script script = {.cluster = cluster_create(&(struct cluster_options){.nodes = 3}),
                            .text = calloc(1, TEXT_MAX)};
    spate_assert(script.text != NULL);
    bool is_good = run_all(&script, text);
    cluster_check(script.cluster);
    if (is_good && getenv("SPATE_TEST_REWRITE") != NULL) {
        FILE *file = fopen(argv[1], "w");
        is_good = file != NULL && fputs(script.text, file) >= 0;
        is_good = file != NULL && fclose(file) == 0 && is_good;
    } else {
        is_good = is_good && compare(text, script.text);
    }
    cluster_destroy(script.cluster);
    free(script.text);
    free(text);
    return is_good ? 0 : 1;
}
