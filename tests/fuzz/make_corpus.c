/* Writes the corpora anew, with our own encoders: make_corpus tests/fuzz/corpus */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "log/log.h"
#include "wire/wire.h"

static int write_file(const char *root, const char *name, const uint8_t *data, uint32_t size)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "wb");

    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        return 1;
    }
    return 0;
}

static struct spate_message sample(enum spate_message_kind kind, const uint8_t *entries,
                                   uint32_t entries_bytes)
{
    struct spate_message message = {.kind = kind, .term = 9, .session = 5, .peer_session = 6};

    switch (kind) {
    case SPATE_MESSAGE_VOTE:
        message.vote = (struct spate_message_vote){.is_pre_vote = true, .last = {8, 100}};
        break;
    case SPATE_MESSAGE_VOTE_RESULT:
        message.vote_result.asked_term = 9;
        break;
    case SPATE_MESSAGE_APPEND:
        message.append = (struct spate_message_append){.prev = {8, 100},
                                                       .commit = 90,
                                                       .round = 3,
                                                       .entries_term = 9,
                                                       .count = 3,
                                                       .bytes = entries_bytes,
                                                       .entries = entries};
        break;
    case SPATE_MESSAGE_APPEND_RESULT:
        message.append_result =
            (struct spate_message_append_result){.is_accepted = true, .round = 3, .match = 103};
        break;
    case SPATE_MESSAGE_FORWARD:
        message.forward = (struct spate_message_forward){4, (const uint8_t *)"command", 7};
        break;
    case SPATE_MESSAGE_FORWARD_RESULT:
        message.forward_result = (struct spate_message_forward_result){4, SPATE_OK, 104, 1};
        break;
    }
    return message;
}

static int wire_files(const char *root)
{
    uint8_t entries[256];
    uint8_t payload[1024];
    uint32_t entries_bytes = 0;
    uint32_t used = 0;

    for (uint32_t i = 0; i < 3; i++) {
        entries_bytes += spate_entry_encode(entries + entries_bytes, SPATE_ENTRY_COMMAND,
                                            "abcdefghijklmnop", 5 + i * 4);
    }
    for (uint32_t kind = 1; kind <= 6; kind++) {
        const struct spate_message message =
            sample((enum spate_message_kind)kind, entries, entries_bytes);
        char name[64];
        uint32_t bytes;

        if (spate_wire_encode(&message, NULL, payload + used, (uint32_t)sizeof payload - used,
                              &bytes) != SPATE_OK) {
            return 1;
        }
        (void)snprintf(name, sizeof name, "wire/message_%u", kind);
        if (write_file(root, name, payload + used, bytes) != 0) {
            return 1;
        }
        used += bytes;
    }
    return write_file(root, "wire/payload", payload, used);
}

/* Puts one item of link_rx.c's input. */
static uint32_t put_item(uint8_t *to, uint8_t how, uint8_t type, const uint32_t words[],
                         uint32_t word_count, uint32_t padded)
{
    to[0] = how;
    to[1] = type;
    spate_put_u16(to + 2, (uint16_t)padded);
    memset(to + 4, 0, padded);
    for (uint32_t i = 0; i < word_count; i++) {
        spate_put_u32(to + 4 + i * 4, words[i]);
    }
    return 4 + padded;
}

static int link_files(const char *root)
{
    static const uint32_t hello[] = {0, 0, 0, 0, 0x10001, 1472, 7, 0, 1, 0};
    static const uint32_t refuse[] = {2, 0, 7, 0};
    static const uint32_t ping[] = {5000, 0};
    static const uint32_t piece[] = {1, 0, 3000, 0, 1024, 0};
    static const uint32_t last[] = {1, 0, 3000, 2048, 1024, 0};
    static const uint32_t report[] = {1, 0, 5880, 1960, 1, 0, 1960, 1960};
    static uint8_t items[16384];
    uint32_t used = 0;
    static const struct {
        const char *name;
        const uint32_t *words;
        uint32_t count, padded;
        uint8_t type;
    } samples[] = {
        {"link/hello", hello, 10, 1408, 1},     {"link/hello_ack", hello, 10, 1408, 2},
        {"link/refuse", refuse, 4, 16, 3},      {"link/ping", ping, 2, 8, 4},
        {"link/pong", ping, 2, 8, 5},           {"link/data", ping, 2, 64, 6},
        {"link/piece", piece, 6, 24 + 1024, 7}, {"link/piece_last", last, 6, 24 + 952, 7},
        {"link/pieces", report, 8, 32, 8},
    };

    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(samples); i++) {
        const uint32_t bytes = put_item(items + used, 1, samples[i].type, samples[i].words,
                                        samples[i].count, samples[i].padded);
        if (write_file(root, samples[i].name, items + used, bytes) != 0) {
            return 1;
        }
        used += bytes;
    }
    used += put_item(items + used, 0, 0, hello, 10, 100);
    return write_file(root, "link/all", items, used);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    return wire_files(argv[1]) != 0 || link_files(argv[1]) != 0 ? 1 : 0;
}
