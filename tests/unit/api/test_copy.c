/* Copies of a running core's state. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "kv/counting.h"
#include "support/spans.h"

static char folder[64];
static char file_path[128];
static char message[1024];

/* Turns the core until the copy has more. Returns the bytes. */
static uint32_t next_piece(struct spate *spate, uint8_t *to, uint32_t capacity)
{
    uint32_t bytes = 0;
    spate_err err = SPATE_ERR_BUSY;

    while (err == SPATE_ERR_BUSY) {
        assert_int_equal(spate_poll(spate, NULL), SPATE_OK);
        err = spate_copy_read(spate, to, capacity, &bytes);
    }
    assert_int_equal(err, SPATE_OK);
    return bytes;
}

static struct spate *open_leader(struct spate_fsm *fsm)
{
    struct spate_options options = right_options(1);
    struct spate_status status = {.applied = 0};
    struct spate *spate = NULL;

    options.fsm = fsm;
    assert_int_equal(spate_open(&options, &spate, message, sizeof message), SPATE_OK);
    while (status.applied == 0) {
        assert_int_equal(spate_poll(spate, NULL), SPATE_OK);
        spate_get_status(spate, &status);
    }
    return spate;
}

static void a_copy_of_a_running_core_is_a_whole_snapshot_and_one_at_a_time(void **state)
{
    (void)state;
    struct spate_counting counting;
    struct spate_snapshot_info info;
    uint8_t piece[1000]; /* Borders have nothing to do with those of the core. */
    uint32_t bytes = 0;

    spate_counting_init(&counting);
    (void)snprintf(folder, sizeof folder, "/dev/shm/spate-copy-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(file_path, sizeof file_path, "%s/file", folder);
    struct spate *spate = open_leader(&counting.fsm);
    FILE *file = fopen(file_path, "wb");
    assert_non_null(file);
    assert_int_equal(spate_copy_begin(spate), SPATE_OK);
    assert_int_equal(spate_copy_begin(spate), SPATE_ERR_BUSY);
    while ((bytes = next_piece(spate, piece, sizeof piece)) > 0) {
        assert_int_equal(fwrite(piece, 1, bytes, file), bytes);
    }
    assert_int_equal(fclose(file), 0);
    spate_copy_end(spate);
    assert_int_equal(spate_poll(spate, NULL), SPATE_OK);
    assert_int_equal(spate_copy_begin(spate), SPATE_OK);
    spate_copy_end(spate); /* Before anything was read; the core is closed meanwhile. */
    assert_int_equal(spate_snapshot_inspect(file_path, &info, message, sizeof message), SPATE_OK);
    assert_memory_equal(info.cluster_id, "unit test", 9);
    assert_int_equal(info.member_count, 1);
    assert_int_equal(info.state_bytes, SPATE_COUNTING_SAVED_BYTES);
    assert_true(info.last.index >= 1);
    spate_close(spate);
    assert_int_equal(remove_tree(folder), 0);
}

static void a_state_machine_without_snapshots_cannot_be_copied(void **state)
{
    (void)state;
    struct spate *spate = open_leader(&tally.fsm);

    assert_int_equal(spate_copy_begin(spate), SPATE_ERR_UNSUPPORTED);
    spate_close(spate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_of_a_running_core_is_a_whole_snapshot_and_one_at_a_time),
        cmocka_unit_test(a_state_machine_without_snapshots_cannot_be_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
