#include <string.h>

#include "base/error.h"
#include "support/test.h"

static void every_code_has_a_text_and_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned a = 0; a < SPATE_ERR_COUNT; a++) {
        assert_true(strlen(spate_err_text((spate_err)a)) > 0);
        for (unsigned b = 0; b < a; b++) {
            assert_string_not_equal(spate_err_name((spate_err)a), spate_err_name((spate_err)b));
            assert_string_not_equal(spate_err_text((spate_err)a), spate_err_text((spate_err)b));
        }
    }
    assert_string_equal(spate_err_name(SPATE_ERR_BUSY), "BUSY");
    assert_string_equal(spate_err_text(SPATE_OK), "success");
}

/* A status that came over the wire may be any number. */
static void codes_that_do_not_exist_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(spate_err_text(SPATE_ERR_COUNT), "unknown error");
    assert_string_equal(spate_err_name((spate_err)-1), "UNKNOWN_ERROR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_text_and_a_name_of_its_own),
        cmocka_unit_test(codes_that_do_not_exist_are_unknown),
    };
    return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
