/* Writes the corpora anew, with our own encoders: make_corpus tests/fuzz/corpus */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "kv/kv.h"
#include "log/log.h"
#include "store/wal/format.h"
#include "support/ether.h"
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
    case SPATE_MESSAGE_SNAPSHOT:
        message.snapshot =
            (struct spate_message_snapshot){{8, 90}, 5000, 7, 4096, 5, (const uint8_t *)"state"};
        break;
    case SPATE_MESSAGE_SNAPSHOT_RESULT:
        message.snapshot_result =
            (struct spate_message_snapshot_result){SPATE_SNAPSHOT_WANTED, {8, 90}, 7, 4101};
        break;
    case SPATE_MESSAGE_TIMEOUT_NOW:
    case SPATE_MESSAGE_REINSTATE:
        break;
    case SPATE_MESSAGE_FORGOTTEN:
        message.forgotten.index = 90;
        break;
    case SPATE_MESSAGE_READ:
        message.read.id = 7;
        break;
    case SPATE_MESSAGE_READ_RESULT:
        message.read_result = (struct spate_message_read_result){7, 104};
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
    static const enum spate_message_kind kinds[] = {
        SPATE_MESSAGE_VOTE,        SPATE_MESSAGE_VOTE_RESULT,
        SPATE_MESSAGE_APPEND,      SPATE_MESSAGE_APPEND_RESULT,
        SPATE_MESSAGE_FORWARD,     SPATE_MESSAGE_FORWARD_RESULT,
        SPATE_MESSAGE_READ,        SPATE_MESSAGE_READ_RESULT,
        SPATE_MESSAGE_SNAPSHOT,    SPATE_MESSAGE_SNAPSHOT_RESULT,
        SPATE_MESSAGE_TIMEOUT_NOW, SPATE_MESSAGE_REINSTATE,
        SPATE_MESSAGE_FORGOTTEN};
    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(kinds); i++) {
        const struct spate_message message = sample(kinds[i], entries, entries_bytes);
        char name[64];
        uint32_t bytes;

        if (spate_wire_encode(&message, NULL, payload + used, (uint32_t)sizeof payload - used,
                              &bytes) != SPATE_OK) {
            return 1;
        }
        (void)snprintf(name, sizeof name, "wire/message_%u", (unsigned)kinds[i]);
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

/* One input of stack_rx.c with one frame, whose checksums stay right when it is changed. */
static int stack_file(const char *root, const char *name, uint8_t options, const uint8_t *frame,
                      uint32_t size)
{
    uint8_t input[5 + ETHER_BYTES_MAX] = {options, 4, 20};

    spate_put_u16(input + 3, (uint16_t)size);
    memcpy(input + 5, frame, size);
    return write_file(root, name, input, 5 + size);
}

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};

#define OUR_ADDRESS  0x0a4d0001u
#define PEER_ADDRESS 0x0a4d0002u

static int stack_ip_files(const char *root)
{
    static uint8_t body[8972] = {8, 0, 0xf7, 0xff, 0, 0, 0, 0};
    static uint8_t frame[ETHER_BYTES_MAX];
    struct ether_packet packet = {.target_mac = our_mac,
                                  .source_mac = peer_mac,
                                  .tag = ETHER_UNTAGGED,
                                  .source = PEER_ADDRESS,
                                  .target = OUR_ADDRESS,
                                  .body = body,
                                  .body_bytes = 24};
    int bad = stack_file(root, "stack/udp", 0, frame, ether_write_udp(frame, &packet, 7210, 7209));

    packet.option_bytes = 8;
    bad |= stack_file(root, "stack/options", 0, frame, ether_write_udp(frame, &packet, 7210, 7209));
    packet.tag = 5;
    bad |= stack_file(root, "stack/tagged", 1, frame, ether_write_udp(frame, &packet, 7210, 7209));
    packet.tag = ETHER_UNTAGGED;
    packet.option_bytes = 0;
    packet.protocol = 1;
    bad |= stack_file(root, "stack/echo", 0, frame, ether_write_ip(frame, &packet));
    packet.body_bytes = sizeof body;
    bad |= stack_file(root, "stack/jumbo", 2, frame, ether_write_udp(frame, &packet, 7210, 7209));
    return bad;
}

static int stack_arp_files(const char *root)
{
    static const uint8_t all_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const struct {
        const char *name;
        uint16_t op;
        uint32_t spa, tpa;
    } samples[] = {
        {"stack/arp_request", 1, PEER_ADDRESS, OUR_ADDRESS},
        {"stack/arp_reply", 2, PEER_ADDRESS, OUR_ADDRESS},
        {"stack/arp_probe", 1, 0, OUR_ADDRESS},
        {"stack/arp_announcement", 1, PEER_ADDRESS, PEER_ADDRESS},
        {"stack/arp_conflict", 1, OUR_ADDRESS, OUR_ADDRESS},
    };
    uint8_t frame[64];
    int bad = 0;

    for (uint32_t i = 0; i < SPATE_ARRAY_COUNT(samples); i++) {
        const struct ether_arp arp = {.target_mac = samples[i].op == 1 ? all_mac : our_mac,
                                      .source_mac = peer_mac,
                                      .tag = ETHER_UNTAGGED,
                                      .op = samples[i].op,
                                      .sha = peer_mac,
                                      .tha = our_mac,
                                      .spa = samples[i].spa,
                                      .tpa = samples[i].tpa};
        bad |= stack_file(root, samples[i].name, 0, frame, ether_write_arp(frame, &arp));
    }
    return bad;
}

/* A state with some keys and sessions, saved. */
static int kv_files(const char *root)
{
    const struct spate_kv_options options = {
        .reclaim = spate_reclaim_immediate(), .bucket_count = 16, .session_count = 16};
    struct spate_kv *kv = NULL;
    uint8_t bytes[1024];

    if (spate_kv_create(&options, &kv) != SPATE_OK) {
        return 1;
    }
    struct spate_fsm *fsm = spate_kv_fsm(kv);
    for (spate_index index = 1; index <= 6; index++) {
        const struct spate_kv_command put = {.op = SPATE_KV_PUT,
                                             .session = index % 4,
                                             .sequence = index,
                                             .key = (const uint8_t *)"abcdef",
                                             .key_size = (uint32_t)index,
                                             .value = (const uint8_t *)"value",
                                             .value_size = 5};
        uint64_t answer;
        const uint32_t size = spate_kv_command_bytes(&put);
        const struct spate_command command = {.index = index, .size = size, .data = bytes};
        if (spate_kv_command_encode(&put, bytes) != SPATE_OK) {
            return 1;
        }
        fsm->apply(fsm, &command, 1, &answer);
    }
    if (fsm->save_begin(fsm) != SPATE_OK) {
        return 1;
    }
    const uint32_t size = fsm->save_read(fsm, bytes, sizeof bytes);
    fsm->save_end(fsm);
    spate_kv_destroy(kv);
    return write_file(root, "kv/state", bytes, size);
}

/* Groups as wal_scan.c wants them: append, truncation, a reset, the end of the segment. */
static int wal_files(const char *root)
{
    static uint8_t bytes[1 + 4 * SPATE_WAL_BLOCK_BYTES] = {1};
    static const uint32_t flags[] = {0, WAL_GROUP_TRUNCATES, WAL_GROUP_RESETS, WAL_GROUP_ENDS};
    struct wal_group group = {.segment = 3, .number = 16, .chain = 99};

    for (uint32_t g = 0; g < SPATE_ARRAY_COUNT(flags); g++) {
        uint8_t *to = bytes + 1 + (size_t)g * SPATE_WAL_BLOCK_BYTES;
        uint8_t entry[32];
        struct spate_log_span span = {.data = entry, .count = 1, .term = g + 1};

        group.number++;
        group.flags = flags[g];
        group.chain_prev = group.chain;
        group.bytes = group.record_count = 0;
        if ((flags[g] & WAL_GROUP_TRUNCATES) != 0) {
            group.truncate_after = --group.state.last.index;
        }
        if ((flags[g] & WAL_GROUP_RESETS) != 0) {
            group.state.base = group.state.last = (struct spate_entry_id){g, 500};
        }
        if ((flags[g] & WAL_GROUP_ENDS) == 0) {
            span.bytes = spate_entry_encode(entry, SPATE_ENTRY_COMMAND, "abcdefghijk", 11);
            span.first = group.state.last.index + 1;
            group.state.last = (struct spate_entry_id){span.term, span.first};
            group.chain = spate_record_encode(to + SPATE_WAL_HEADER_BYTES, &span, group.chain);
            group.bytes = SPATE_RECORD_HEADER_BYTES + span.bytes;
            group.record_count = 1;
        }
        group.zero_sectors = SPATE_WAL_BLOCK_BYTES / SPATE_WAL_SECTOR_BYTES - 1;
        spate_wal_group_encode(to, &group, 0x5a17u);
    }
    return write_file(root, "wal/one", bytes, 1 + SPATE_WAL_BLOCK_BYTES) |
           write_file(root, "wal/all", bytes, sizeof bytes);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    return wire_files(argv[1]) != 0 || link_files(argv[1]) != 0 || stack_ip_files(argv[1]) != 0 ||
                   stack_arp_files(argv[1]) != 0 || kv_files(argv[1]) != 0 ||
                   wal_files(argv[1]) != 0
               ? 1
               : 0;
}
