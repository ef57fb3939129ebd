/* One suite for every snapshot driver: what lib/store/snapshots.h promises. */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/files/files.h"
#include "store/mem/snapshots.h"
#include "support/test.h"

#define STATE_BYTES (150000u)

struct subject {
    bool is_files;
    char directory[64];
    struct spate_snapshots_image image;
};

static const uint8_t cluster_id[16] = "a cluster";

static struct spate_snapshots *open_snapshots(struct subject *subject)
{
    struct spate_snapshots *snapshots = NULL;
    char message[512] = "";

    if (subject->is_files) {
        struct spate_snapshots_files_options options = {.directory = subject->directory};
        memcpy(options.cluster_id, cluster_id, sizeof cluster_id);
        const spate_err err =
            spate_snapshots_files_create(&options, &snapshots, message, sizeof message);
        if (err != SPATE_OK) {
            print_error("%s\n", message);
        }
        assert_int_equal(err, SPATE_OK);
        return snapshots;
    }
    struct spate_snapshots_mem_options options = {
        .image = &subject->image, .seed = 3, .busy_ppm = 100000};
    memcpy(options.cluster_id, cluster_id, sizeof cluster_id);
    assert_int_equal(spate_snapshots_mem_create(&options, &snapshots), SPATE_OK);
    return snapshots;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int set_up(void **state)
{
    struct subject *subject = *state;

    (void)snprintf(subject->directory, sizeof subject->directory, "/tmp/spate-snapshots-XXXXXX");
    return subject->is_files && mkdtemp(subject->directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct subject *subject = *state;

    spate_snapshots_image_clear(&subject->image);
    return subject->is_files ? nftw(subject->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) : 0;
}

/* Byte `at` of the state as of `index`. */
static uint8_t byte_of(spate_index index, uint64_t at)
{
    return (uint8_t)(index * 31 + at * 7 + at / 256);
}

static void begin(struct spate_snapshots *snapshots, const struct spate_snapshot_manifest *manifest)
{
    spate_err err;
    while ((err = snapshots->ops->begin(snapshots, manifest)) == SPATE_ERR_BUSY) {
    }
    assert_int_equal(err, SPATE_OK);
}

static void write_bytes(struct spate_snapshots *snapshots, const uint8_t *bytes, uint64_t size)
{
    while (size > 0) {
        const uint32_t piece = size < 40000 ? (uint32_t)size : 40000;
        spate_err err;
        while ((err = snapshots->ops->write(snapshots, bytes, piece)) == SPATE_ERR_BUSY) {
        }
        assert_int_equal(err, SPATE_OK);
        bytes += piece;
        size -= piece;
    }
}

static enum spate_snapshot_event commit(struct spate_snapshots *snapshots)
{
    enum spate_snapshot_event event = SPATE_SNAPSHOT_NOTHING;
    spate_err err;

    while ((err = snapshots->ops->commit(snapshots)) == SPATE_ERR_BUSY) {
    }
    assert_int_equal(err, SPATE_OK);
    while (event == SPATE_SNAPSHOT_NOTHING) {
        assert_int_equal(snapshots->ops->poll(snapshots, &event), SPATE_OK);
        (void)usleep(20);
    }
    return event;
}

static struct spate_snapshot_manifest manifest_of(spate_index index)
{
    struct spate_snapshot_manifest manifest = {
        .last = {.term = 2, .index = index}, .membership_index = 1, .membership_bytes = 5};
    memcpy(manifest.membership, "abcde", 5);
    return manifest;
}

static void take(struct spate_snapshots *snapshots, spate_index index, uint64_t bytes)
{
    const struct spate_snapshot_manifest manifest = manifest_of(index);
    uint8_t *data = malloc(bytes + 1);

    for (uint64_t at = 0; at < bytes; at++) {
        data[at] = byte_of(index, at);
    }
    begin(snapshots, &manifest);
    write_bytes(snapshots, data, bytes);
    assert_int_equal(commit(snapshots), SPATE_SNAPSHOT_COMMITTED);
    free(data);
}

/* The whole image of the newest; the caller frees it. */
static uint8_t *read_image(struct spate_snapshots *snapshots, uint64_t *ret_bytes)
{
    struct spate_snapshot_manifest manifest;
    struct spate_snapshot_reader *reader;

    assert_int_equal(snapshots->ops->open(snapshots, &manifest, &reader), SPATE_OK);
    *ret_bytes = spate_snapshot_image_bytes(&manifest);
    uint8_t *image = malloc(*ret_bytes);
    for (uint64_t at = 0; at < *ret_bytes; at += 1000) {
        const uint64_t left = *ret_bytes - at;
        assert_int_equal(snapshots->ops->read(snapshots, reader, at, image + at,
                                              left < 1000 ? (uint32_t)left : 1000),
                         SPATE_OK);
    }
    snapshots->ops->close_reader(snapshots, reader);
    return image;
}

static void assert_newest(struct spate_snapshots *snapshots, spate_index index, uint64_t bytes)
{
    struct spate_snapshot_manifest manifest;
    uint64_t size;

    assert_int_equal(snapshots->ops->newest(snapshots, &manifest), SPATE_OK);
    assert_int_equal(manifest.last.index, index);
    assert_int_equal(manifest.last.term, 2);
    assert_int_equal(manifest.membership_bytes, 5);
    assert_memory_equal(manifest.membership, "abcde", 5);
    assert_memory_equal(manifest.cluster_id, cluster_id, 16);
    assert_int_equal(manifest.state_bytes, bytes);
    uint8_t *image = read_image(snapshots, &size);
    struct spate_snapshot_check check = {.bytes = 0};
    spate_snapshot_check_add(&check, image, size);
    assert_int_equal(spate_snapshot_check_end(&check, &manifest), SPATE_OK);
    for (uint64_t at = 0; at < bytes; at++) {
        assert_int_equal(image[SPATE_SNAPSHOT_HEADER_BYTES + at], byte_of(index, at));
    }
    free(image);
}

static void what_was_committed_is_there_after_reopening(void **state)
{
    struct subject *subject = *state;
    struct spate_snapshots *snapshots = open_snapshots(subject);
    struct spate_snapshot_manifest manifest;
    struct spate_snapshot_reader *reader;

    assert_int_equal(snapshots->ops->newest(snapshots, &manifest), SPATE_ERR_NOT_FOUND);
    assert_int_equal(snapshots->ops->open(snapshots, &manifest, &reader), SPATE_ERR_NOT_FOUND);
    take(snapshots, 70, 0);
    assert_newest(snapshots, 70, 0);
    take(snapshots, 100, STATE_BYTES);
    assert_newest(snapshots, 100, STATE_BYTES);
    snapshots->ops->close(snapshots);
    snapshots = open_snapshots(subject);
    assert_newest(snapshots, 100, STATE_BYTES);
    take(snapshots, 101, 10);
    assert_newest(snapshots, 101, 10);
    snapshots->ops->close(snapshots);
}

static void an_image_is_received_or_refused_as_a_whole(void **state)
{
    struct subject *subject = *state;
    struct spate_snapshots *snapshots = open_snapshots(subject);
    uint64_t size;

    take(snapshots, 100, STATE_BYTES);
    uint8_t *image = read_image(snapshots, &size);
    take(snapshots, 50, 10); /* Any other; which is newer is not the driver's concern. */
    for (uint64_t at = 0; at < size; at += 1 + at / 8) {
        image[at] ^= 4;
        begin(snapshots, NULL);
        write_bytes(snapshots, image, size);
        assert_int_equal(commit(snapshots), SPATE_SNAPSHOT_REFUSED);
        image[at] ^= 4;
        begin(snapshots, NULL);
        write_bytes(snapshots, image, at);
        assert_int_equal(commit(snapshots), SPATE_SNAPSHOT_REFUSED);
        assert_newest(snapshots, 50, 10);
    }
    begin(snapshots, NULL);
    write_bytes(snapshots, image, size);
    write_bytes(snapshots, image, 1);
    assert_int_equal(commit(snapshots), SPATE_SNAPSHOT_REFUSED);
    begin(snapshots, NULL);
    write_bytes(snapshots, image, size);
    assert_int_equal(commit(snapshots), SPATE_SNAPSHOT_COMMITTED);
    assert_newest(snapshots, 100, STATE_BYTES);
    free(image);
    snapshots->ops->close(snapshots);
}

static void an_image_of_another_cluster_is_refused(void **state)
{
    struct subject *subject = *state;
    struct spate_snapshots *snapshots = open_snapshots(subject);
    struct spate_snapshot_manifest manifest = manifest_of(9);
    const struct spate_snapshot_hash hash = {.bytes = 0};
    uint8_t header[SPATE_SNAPSHOT_HEADER_BYTES];

    manifest.state_hash = spate_snapshot_hash_value(&hash);
    memcpy(manifest.cluster_id, "another", 8);
    spate_snapshot_header_encode(header, &manifest);
    begin(snapshots, NULL);
    write_bytes(snapshots, header, sizeof header);
    assert_int_equal(commit(snapshots), SPATE_SNAPSHOT_REFUSED);
    snapshots->ops->close(snapshots);
}

static void what_is_given_up_leaves_no_trace(void **state)
{
    struct subject *subject = *state;
    struct spate_snapshots *snapshots = open_snapshots(subject);
    const struct spate_snapshot_manifest manifest = manifest_of(200);
    static uint8_t bytes[10000];

    take(snapshots, 100, 1000);
    for (uint32_t round = 0; round < 20; round++) {
        begin(snapshots, round % 2 == 0 ? &manifest : NULL);
        write_bytes(snapshots, bytes, 1 + round * 400);
        snapshots->ops->abort(snapshots);
    }
    assert_newest(snapshots, 100, 1000);
    take(snapshots, 150, 2000);
    assert_newest(snapshots, 150, 2000);
    begin(snapshots, &manifest);
    write_bytes(snapshots, bytes, sizeof bytes);
    snapshots->ops->close(snapshots);
    snapshots = open_snapshots(subject);
    assert_newest(snapshots, 150, 2000);
    snapshots->ops->close(snapshots);
}

static void a_reader_keeps_what_it_opened(void **state)
{
    struct subject *subject = *state;
    struct spate_snapshots *snapshots = open_snapshots(subject);
    struct spate_snapshot_manifest manifest;
    struct spate_snapshot_reader *reader;
    uint8_t bytes[100];

    take(snapshots, 100, STATE_BYTES);
    assert_int_equal(snapshots->ops->open(snapshots, &manifest, &reader), SPATE_OK);
    for (spate_index index = 101; index < 110; index++) {
        take(snapshots, index, 500);
        const uint64_t at = index * 1000;
        assert_int_equal(snapshots->ops->read(snapshots, reader, SPATE_SNAPSHOT_HEADER_BYTES + at,
                                              bytes, sizeof bytes),
                         SPATE_OK);
        for (uint32_t i = 0; i < sizeof bytes; i++) {
            assert_int_equal(bytes[i], byte_of(100, at + i));
        }
    }
    snapshots->ops->close_reader(snapshots, reader);
    assert_newest(snapshots, 109, 500);
    snapshots->ops->close(snapshots);
}

static uint32_t count_files(const struct subject *subject, char path[128])
{
    char command[160];
    uint32_t count = 0;

    (void)snprintf(command, sizeof command, "ls -A %s", subject->directory);
    FILE *list = popen(command, "r");
    char name[64];
    while (fgets(name, sizeof name, list) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        (void)snprintf(path, 128, "%s/%s", subject->directory, name);
        count++;
    }
    (void)pclose(list);
    return count;
}

/* The driver has put a newer one in the place of the newest, and its owner has not asked yet. */
static void a_reader_waits_while_a_newer_one_takes_the_place(void **state)
{
    struct subject *subject = *state;
    struct spate_snapshots *snapshots = open_snapshots(subject);
    const struct spate_snapshot_manifest newer = manifest_of(200);
    enum spate_snapshot_event event = SPATE_SNAPSHOT_NOTHING;
    struct spate_snapshot_manifest manifest;
    struct spate_snapshot_reader *reader;
    struct stat status;
    char path[128];

    take(snapshots, 100, 500);
    assert_int_equal(count_files(subject, path), 1);
    begin(snapshots, &newer);
    write_bytes(snapshots, (const uint8_t *)"newer", 5);
    while (snapshots->ops->commit(snapshots) == SPATE_ERR_BUSY) {
    }
    while (stat(path, &status) == 0) {
        (void)usleep(20);
    }
    assert_int_equal(snapshots->ops->open(snapshots, &manifest, &reader), SPATE_ERR_BUSY);
    while (event == SPATE_SNAPSHOT_NOTHING) {
        assert_int_equal(snapshots->ops->poll(snapshots, &event), SPATE_OK);
    }
    assert_int_equal(snapshots->ops->open(snapshots, &manifest, &reader), SPATE_OK);
    assert_int_equal(manifest.last.index, 200);
    snapshots->ops->close_reader(snapshots, reader);
    snapshots->ops->close(snapshots);
}

/* kill -9 while snapshot follows snapshot: there is always a whole one, no older than the last
 * that was called committed, and nothing else. */
static void a_killed_writer_leaves_a_whole_snapshot(void **state)
{
    struct subject *subject = *state;
    struct spate_prng prng;
    spate_index reported = 0;
    char path[128];

    spate_prng_seed(&prng, 7, 1);
    struct spate_snapshots *snapshots = open_snapshots(subject);
    take(snapshots, 1, STATE_BYTES);
    snapshots->ops->close(snapshots);
    for (uint32_t round = 0; round < 20; round++) {
        int report[2];
        struct spate_snapshot_manifest manifest;

        assert_int_equal(pipe(report), 0);
        const pid_t child = fork();
        if (child == 0) {
            snapshots = open_snapshots(subject);
            assert_int_equal(snapshots->ops->newest(snapshots, &manifest), SPATE_OK);
            for (spate_index index = manifest.last.index + 1;; index++) {
                take(snapshots, index, STATE_BYTES + index % 5000);
                if (write(report[1], &index, sizeof index) != (ssize_t)sizeof index) {
                    _exit(1);
                }
            }
        }
        (void)close(report[1]);
        for (uint64_t n = spate_prng_below(&prng, 10); n > 0; n--) {
            assert_int_equal(read(report[0], &reported, sizeof reported), sizeof reported);
        }
        (void)usleep((useconds_t)spate_prng_below(&prng, 3000));
        (void)kill(child, SIGKILL);
        while (read(report[0], &reported, sizeof reported) == (ssize_t)sizeof reported) {
        }
        (void)close(report[0]);
        (void)waitpid(child, NULL, 0);
        snapshots = open_snapshots(subject);
        assert_int_equal(snapshots->ops->newest(snapshots, &manifest), SPATE_OK);
        assert_true(manifest.last.index >= reported);
        const spate_index index = manifest.last.index;
        assert_newest(snapshots, index, index == 1 ? STATE_BYTES : STATE_BYTES + index % 5000);
        snapshots->ops->close(snapshots);
        assert_int_equal(count_files(subject, path), 1);
    }
}

static void a_file_that_is_cut_or_damaged_is_refused(void **state)
{
    struct subject *subject = *state;
    struct spate_snapshots *snapshots = open_snapshots(subject);
    struct spate_snapshots_files_options options = {.directory = subject->directory};
    struct spate_snapshot_manifest manifest;
    char message[512];
    char path[128];
    uint64_t size;

    take(snapshots, 100, STATE_BYTES);
    uint8_t *image = read_image(snapshots, &size);
    snapshots->ops->close(snapshots);
    assert_int_equal(count_files(subject, path), 1);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    memcpy(options.cluster_id, cluster_id, sizeof cluster_id);
    for (uint64_t at = 0; at < size; at += 4096) {
        assert_int_equal(ftruncate(fd, (off_t)at), 0);
        message[0] = '\0';
        assert_int_equal(
            spate_snapshots_files_create(&options, &snapshots, message, sizeof message),
            SPATE_ERR_CORRUPT);
        assert_non_null(strstr(message, "damaged"));
        assert_int_equal(spate_snapshot_file_check(path, &manifest), SPATE_ERR_CORRUPT);
        assert_int_equal(pwrite(fd, image, size, 0), size);
        const uint8_t flipped = image[at] ^ 1;
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
        assert_int_equal(spate_snapshot_file_check(path, &manifest), SPATE_ERR_CORRUPT);
        assert_int_equal(pwrite(fd, image, size, 0), size);
    }
    assert_int_equal(spate_snapshot_file_check(path, &manifest), SPATE_OK);
    assert_int_equal(manifest.last.index, 100);
    options.cluster_id[0] ^= 1;
    assert_int_equal(spate_snapshots_files_create(&options, &snapshots, message, sizeof message),
                     SPATE_ERR_MISMATCH);
    assert_non_null(strstr(message, "another cluster"));
    (void)close(fd);
    free(image);
}

#define CASE(test, subject) \
    cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, subject)
#define SUITE(subject)                                             \
    CASE(what_was_committed_is_there_after_reopening, subject),    \
        CASE(an_image_is_received_or_refused_as_a_whole, subject), \
        CASE(an_image_of_another_cluster_is_refused, subject),     \
        CASE(what_is_given_up_leaves_no_trace, subject),           \
        CASE(a_reader_keeps_what_it_opened, subject)

int main(int argument_count, char **arguments)
{
    static struct subject subject;
    subject.is_files = argument_count > 1 && strcmp(arguments[1], "files") == 0;
    const struct CMUnitTest tests[] = {SUITE(&subject)};
    const struct CMUnitTest files_tests[] = {
        SUITE(&subject), CASE(a_reader_waits_while_a_newer_one_takes_the_place, &subject),
        CASE(a_killed_writer_leaves_a_whole_snapshot, &subject),
        CASE(a_file_that_is_cut_or_damaged_is_refused, &subject)};
    return subject.is_files ? cmocka_run_group_tests_name("snapshots", files_tests, NULL, NULL)
                            : cmocka_run_group_tests_name("snapshots", tests, NULL, NULL);
}
