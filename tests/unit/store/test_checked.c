/* The decorator lets a correct driver through and reports what it reports. */
#include "support/test.h"

#include "store/mem/mem.h"
#include "store/store.h"

static struct spate_store *checked_memory(void)
{
    struct spate_store *inner = NULL;
    struct spate_store *store = NULL;
    struct spate_store_loaded loaded;
    assert_int_equal(spate_store_mem_create(&inner), SPATE_OK);
    assert_int_equal(spate_store_checked_create(inner, &store), SPATE_OK);
    assert_int_equal(store->ops->load(store, &loaded), SPATE_OK);
    assert_true(loaded.is_new);
    return store;
}

static void passes_tickets_and_completions_through(void **state)
{
    (void)state;
    struct spate_store *store = checked_memory();
    const uint8_t bytes[16] = {0};
    const struct spate_log_span span = {
        .data = bytes, .bytes = 16, .count = 2, .first = 1, .term = 1};
    const struct spate_store_batch append = {.spans = &span, .span_count = 1};
    const struct spate_store_batch cut = {.has_truncate = true, .truncate_after = 1};
    spate_ticket ticket = 0;
    assert_int_equal(store->ops->submit(store, &append, &ticket), SPATE_OK);
    assert_int_equal(ticket, 1);
    assert_int_equal(store->ops->submit(store, &cut, &ticket), SPATE_OK);
    assert_int_equal(ticket, 2);
    assert_int_equal(store->ops->poll(store, &ticket), SPATE_OK);
    assert_int_equal(ticket, 2);
    store->ops->close(store);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    struct spate_store *store = checked_memory();
    store->ops->close(NULL);
    store->ops->close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_tickets_and_completions_through),
        cmocka_unit_test(closing_nothing_is_allowed),
    };
    return cmocka_run_group_tests_name("store/checked", tests, NULL, NULL);
}
