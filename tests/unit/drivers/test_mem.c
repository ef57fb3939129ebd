/* What a core in memory mode remembers: that it has promised something to others. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/mem/mem.h"

struct place {
    char directory[64];
    struct spate_store_identity identity;
};

static void make_place(struct place *place)
{
    *place = (struct place){.identity = {.node_id = 1, .incarnation = 1}};
    (void)snprintf(place->directory, sizeof place->directory, "/tmp/spate_test_mem_XXXXXX");
    assert_non_null(mkdtemp(place->directory));
}

static void mark_path(const struct place *place, char path[128])
{
    (void)snprintf(path, 128, "%s/memory-identity", place->directory);
}

static void remove_place(const struct place *place)
{
    char path[128];

    mark_path(place, path);
    (void)unlink(path);
    assert_int_equal(rmdir(place->directory), 0);
}

static spate_err open_at(const struct place *place, struct spate_store **ret_store, char *message)
{
    const struct spate_store_mem_options options = {.directory = place->directory,
                                                    .identity = place->identity};

    return spate_store_mem_create(&options, ret_store, message, 256);
}

/* Opens, looks whether it is mute, submits a batch, closes. */
static bool life(const struct place *place, bool is_binding)
{
    const struct spate_store_batch batch = {
        .has_hard_state = true, .hard_state = {.term = 1}, .is_binding = is_binding};
    struct spate_store *store = NULL;
    struct spate_store_loaded loaded;
    spate_ticket ticket = 0;
    char message[256] = "";

    assert_int_equal(open_at(place, &store, message), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_int_equal(loaded.is_new, !loaded.hard_state.is_mute);
    assert_int_equal(store->ops->submit(store, &batch, &ticket), SPATE_OK);
    store->ops->close(store);
    return loaded.hard_state.is_mute;
}

static void promises_to_others_are_remembered(void **state)
{
    (void)state;
    struct place place;

    make_place(&place);
    assert_false(life(&place, false));
    assert_false(life(&place, false)); /* Nobody else was there. */
    assert_false(life(&place, true));
    assert_true(life(&place, true));
    assert_true(life(&place, true));
    assert_true(spate_store_mem_is_in(place.directory));
    remove_place(&place);
}

static void another_incarnation_has_promised_nothing(void **state)
{
    (void)state;
    struct place place;

    make_place(&place);
    assert_false(life(&place, true));
    place.identity.incarnation = 2;
    assert_false(life(&place, true));
    assert_true(life(&place, true));
    place.identity.incarnation = 1; /* An older one is not forgotten. */
    assert_true(life(&place, true));
    remove_place(&place);
}

static void what_belongs_to_others_is_refused(void **state)
{
    (void)state;
    struct place place;
    struct spate_store *store = NULL;
    char message[256] = "";

    make_place(&place);
    assert_false(life(&place, true));
    place.identity.node_id = 2;
    assert_int_equal(open_at(&place, &store, message), SPATE_ERR_MISMATCH);
    assert_non_null(strstr(message, "belongs to core 1"));
    place.identity.node_id = 1;
    place.identity.cluster_id[3] = 9;
    assert_int_equal(open_at(&place, &store, message), SPATE_ERR_MISMATCH);
    assert_non_null(strstr(message, "another cluster"));
    remove_place(&place);
}

static void damage_is_refused_with_the_remedy(void **state)
{
    (void)state;
    struct place place;
    struct spate_store *store = NULL;
    char message[256] = "";
    char path[128];
    int byte = 0;

    make_place(&place);
    assert_false(life(&place, true));
    mark_path(&place, path);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 12, SEEK_SET), 0);
    byte = fgetc(file);
    assert_int_equal(fseek(file, 12, SEEK_SET), 0);
    assert_int_not_equal(fputc(byte ^ 1, file), EOF);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(open_at(&place, &store, message), SPATE_ERR_CORRUPT);
    assert_non_null(strstr(message, "larger incarnation"));
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(open_at(&place, &store, message), SPATE_ERR_CORRUPT);
    remove_place(&place);
}

static void a_directory_belongs_to_one_core_at_a_time(void **state)
{
    (void)state;
    struct place place;
    struct spate_store *store = NULL;
    struct spate_store *second = NULL;
    char message[256] = "";

    make_place(&place);
    assert_int_equal(open_at(&place, &store, message), SPATE_OK);
    assert_int_equal(open_at(&place, &second, message), SPATE_ERR_IN_USE);
    store->ops->close(store);
    remove_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_to_others_are_remembered),
        cmocka_unit_test(another_incarnation_has_promised_nothing),
        cmocka_unit_test(what_belongs_to_others_is_refused),
        cmocka_unit_test(damage_is_refused_with_the_remedy),
        cmocka_unit_test(a_directory_belongs_to_one_core_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
