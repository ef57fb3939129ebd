#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/children.h"
#include "bench/limits/limits.h"
#include "support/test.h"

static int answer(void *argument)
{
    return *(int *)argument;
}

static int sleep_through_signals(void *argument)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)!write(*(int *)argument, "x", 1);
    while (pause() != 0) {
    }
    return 0;
}

static void a_child_runs_and_is_reaped(void **state)
{
    (void)state;
    struct bench_children children = {0};
    int status = 7;

    assert_true(bench_child_fork(&children, BENCH_CPU_ANY, answer, &status));
    assert_true(bench_child_wait(&children, 0, 10000));
    assert_false(children.items[0].is_running);
    assert_int_equal(WEXITSTATUS(children.items[0].status), 7);
    bench_children_stop(&children, 0);
}

/* What ignores SIGTERM is killed, and nothing is left: neither a process nor a zombie. */
static void stopping_leaves_nothing_behind(void **state)
{
    (void)state;
    struct bench_children children = {0};
    int ends[2];
    char byte = 0;

    assert_int_equal(pipe(ends), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(bench_child_fork(&children, BENCH_CPU_ANY, sleep_through_signals, &ends[1]));
        assert_int_equal(read(ends[0], &byte, 1), 1);
    }
    bench_children_stop(&children, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(WTERMSIG(children.items[i].status), SIGKILL);
        assert_int_equal(kill(children.items[i].pid, 0), -1);
        assert_int_equal(errno, ESRCH);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* The bare loop commits, in memory and on disk, with small frames (cut by the kernel) and large. */
static void the_bare_loop_replicates(void **state)
{
    (void)state;
    const struct bench_bare_options variants[] = {
        {.nodes = 3, .payload_bytes = 64, .in_flight = 64, .frame_bytes = 60000},
        {.nodes = 2, .payload_bytes = 64, .in_flight = 2000, .frame_bytes = 1472},
        {.nodes = 3,
         .payload_bytes = 256,
         .in_flight = 16,
         .frame_bytes = 9000,
         .durable_directory = "."},
        {.nodes = 1, .payload_bytes = 8, .in_flight = 1, .frame_bytes = 64},
    };
    for (unsigned v = 0; v < 4; v++) {
        struct bench_bare_options options = variants[v];
        struct bench_bare_result result = {0};
        struct spate_histogram *latency = NULL;

        options.seconds = 0.05;
        options.polling = BENCH_POLLING_ADAPTIVE;
        options.leader_cpu = BENCH_CPU_ANY;
        options.follower_cpu = BENCH_CPU_ANY;
        assert_int_equal(spate_histogram_create(&latency), SPATE_OK);
        assert_true(bench_bare_run(&options, latency, &result));
        assert_true(result.committed > 0);
        assert_int_equal(spate_histogram_count(latency), result.committed);
        spate_histogram_destroy(latency);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_runs_and_is_reaped),
        cmocka_unit_test(stopping_leaves_nothing_behind),
        cmocka_unit_test(the_bare_loop_replicates),
    };
    return cmocka_run_group_tests_name("bench/children", tests, NULL, NULL);
}
