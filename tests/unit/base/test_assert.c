#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "support/test.h"

static void a_true_condition_passes_and_is_evaluated_once(void **state)
{
    (void)state;
    unsigned evaluated = 0;
    spate_assert(++evaluated == 1);
    assert_int_equal(evaluated, 1);
}

/* The line on stderr is all that is left of a core that stopped: it names place and condition. */
static void a_false_condition_names_itself_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    char text[512] = {0};
    int status = 0;

    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        spate_assert(ends[0] == -7);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "test_assert.c:"));
    assert_non_null(strstr(text, "ends[0] == -7"));
    assert_non_null(strstr(text, __func__));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_condition_passes_and_is_evaluated_once),
        cmocka_unit_test(a_false_condition_names_itself_and_aborts),
    };
    return cmocka_run_group_tests_name("base/assert", tests, NULL, NULL);
}
