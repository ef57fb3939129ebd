/* The image keeps what completed and nothing else. */
#include "support/test.h"

#include "store/fault/fault.h"

static struct spate_store *open_on(struct spate_store_image *image, uint64_t fail_at_batch)
{
    struct spate_store *store = NULL;
    const struct spate_store_fault_options options = {.image = image,
                                                      .fail_at_batch = fail_at_batch};
    assert_int_equal(spate_store_fault_create(&options, &store), SPATE_OK);
    return store;
}

static void submit_one(struct spate_store *store, spate_index index)
{
    uint8_t bytes[16];
    const uint32_t size = spate_entry_encode(bytes, 1, "abc", 3);
    const struct spate_log_span span = {
        .data = bytes, .bytes = size, .count = 1, .first = index, .term = 1};
    const struct spate_store_batch batch = {.spans = &span, .span_count = 1};
    spate_ticket ticket = 0;
    assert_int_equal(store->ops->submit(store, &batch, &ticket), SPATE_OK);
    assert_int_equal(ticket, index);
}

static void crash_forgets_what_is_pending_only(void **state)
{
    (void)state;
    struct spate_store_image *image = NULL;
    struct spate_store_loaded loaded;
    struct spate_log_span span;
    assert_int_equal(spate_store_image_create(&image), SPATE_OK);
    struct spate_store *store = open_on(image, 0);
    for (spate_index i = 1; i <= 3; i++) {
        submit_one(store, i);
    }
    spate_store_fault_complete(store, 2);
    assert_int_equal(spate_store_fault_pending(store), 1);
    spate_store_fault_crash(store);
    store = open_on(image, 0);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_int_equal(loaded.last, 2);
    assert_int_equal(store->ops->read(store, 1, 1000, &span), SPATE_OK);
    assert_int_equal(span.count, 2);
    assert_int_equal(store->ops->compact(store, 2), SPATE_OK);
    assert_int_equal(store->ops->read(store, 1, 1000, &span), SPATE_ERR_NOT_FOUND);
    store->ops->close(store);
    spate_store_image_destroy(image);
}

static void failure_is_final_and_loses_nothing_completed(void **state)
{
    (void)state;
    struct spate_store_image *image = NULL;
    struct spate_store_loaded loaded;
    spate_ticket completed = 0;
    assert_int_equal(spate_store_image_create(&image), SPATE_OK);
    struct spate_store *store = open_on(image, 2);
    submit_one(store, 1);
    submit_one(store, 2);
    spate_store_fault_complete(store, 1);
    assert_int_equal(store->ops->poll(store, &completed), SPATE_OK);
    assert_int_equal(completed, 1);
    spate_store_fault_complete(store, 9);
    assert_int_equal(store->ops->poll(store, &completed), SPATE_ERR_IO);
    assert_int_equal(store->ops->poll(store, &completed), SPATE_ERR_IO);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_int_equal(loaded.last, 1);
    store->ops->close(store);
    spate_store_image_destroy(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash_forgets_what_is_pending_only),
        cmocka_unit_test(failure_is_final_and_loses_nothing_completed),
    };
    return cmocka_run_group_tests_name("store/fault", tests, NULL, NULL);
}
