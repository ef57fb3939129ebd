/*
 * Time from the processor's counter: ns = base_ns + (counter - base_counter) * rate.
 *
 * The three numbers are published together. Two sets exist; the generation says which is valid, and
 * a reader that finds another generation afterwards reads again. So a writer never stops a reader.
 *
 * Never back, also between threads: a new set starts where the old one stood, plus 1 ns. A reader
 * may have read the old set and the counter just before the generation changed, at most the
 * processor's reordering window (well below 1 us) later than the new base; in that time rates that
 * differ by 1,000 parts per million differ by less than the 1 ns added.
 */
#include "clock/monotonic.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#define NS_PER_S       1000000000u
#define CALIBRATION_NS 2000000u
#define DISCIPLINE_NS  64000000u
#define BEND_PPM_MAX   500u
#define STEP_NS        10000000 /* Further behind than this (a suspended machine): jump forward. */
#define RATE_SHIFT     32

__extension__ typedef unsigned __int128 uint128;

struct rate {
    _Atomic uint64_t base_counter;
    _Atomic uint64_t base_ns;
    _Atomic uint64_t ns_per_count; /* Fixed point, 32 bits of fraction. */
};

struct spate_clock_fast {
    struct spate_clock clock;
    _Atomic uint64_t generation; /* The lowest bit chooses the set. */
    struct rate rates[2];
    uint64_t discipline_counts; /* DISCIPLINE_NS, in counts. */
    uint64_t start_counter;
    uint64_t start_ns;
    atomic_flag is_disciplining;
};

static spate_time_ns system_now(struct spate_clock *clock)
{
    (void)clock;
    struct timespec now;
    const int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    spate_assert(!failed);
    return (spate_time_ns)now.tv_sec * NS_PER_S + (spate_time_ns)now.tv_nsec;
}

struct spate_clock *spate_clock_system(void)
{
    static struct spate_clock clock = {.now = system_now};
    return &clock;
}

#if defined(__x86_64__)

/* Without the fence the counter may be read before an earlier load has its value, and a time seen
 * from another thread would lie in the future. */
static uint64_t counter_now(void)
{
    _mm_lfence();
    return __rdtsc();
}

/* Advanced power management leaf, "invariant TSC": one rate in every power state. */
bool spate_clock_fast_is_supported(void)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
}

#else

static uint64_t counter_now(void)
{
    return system_now(NULL);
}

bool spate_clock_fast_is_supported(void)
{
    return false;
}

#endif

static uint64_t scaled(uint64_t counts, uint64_t ns_per_count)
{
    return (uint64_t)(((uint128)counts * ns_per_count) >> RATE_SHIFT);
}

static uint64_t rate_of(uint64_t ns, uint64_t counts)
{
    return (uint64_t)(((uint128)ns << RATE_SHIFT) / counts);
}

/* The counter and the system's time at one moment: the tightest of a few tries. */
static void read_both(uint64_t *ret_counter, uint64_t *ret_ns)
{
    uint64_t best = UINT64_MAX;

    for (unsigned try = 0; try < 5; try++) {
        const uint64_t before = counter_now();
        const uint64_t ns = system_now(NULL);
        const uint64_t after = counter_now();
        if (after - before < best) {
            best = after - before;
            *ret_counter = before + (after - before) / 2;
            *ret_ns = ns;
        }
    }
}

/* Stores are releases and loads acquires, so that a torn read meets a changed generation. */
static void publish(struct spate_clock_fast *fast, uint64_t counter, uint64_t ns,
                    uint64_t ns_per_count)
{
    const uint64_t next = atomic_load_explicit(&fast->generation, memory_order_relaxed) + 1;
    struct rate *rate = &fast->rates[next & 1];

    atomic_store_explicit(&rate->base_counter, counter, memory_order_release);
    atomic_store_explicit(&rate->base_ns, ns, memory_order_release);
    atomic_store_explicit(&rate->ns_per_count, ns_per_count, memory_order_release);
    atomic_store_explicit(&fast->generation, next, memory_order_release);
}

/* Measures the error and chooses the rate that removes it until the next time. */
static void discipline(struct spate_clock_fast *fast)
{
    const uint64_t generation = atomic_load_explicit(&fast->generation, memory_order_relaxed);
    const struct rate *old = &fast->rates[generation & 1];
    const uint64_t old_counter = atomic_load_explicit(&old->base_counter, memory_order_relaxed);
    const uint64_t old_ns = atomic_load_explicit(&old->base_ns, memory_order_relaxed);
    const uint64_t old_rate = atomic_load_explicit(&old->ns_per_count, memory_order_relaxed);
    uint64_t counter = 0;
    uint64_t real_ns = 0;

    read_both(&counter, &real_ns);
    if (counter - old_counter < fast->discipline_counts || counter < old_counter) {
        return; /* Another thread was faster. */
    }
    const uint64_t shown_ns = old_ns + scaled(counter - old_counter, old_rate) + 1;
    const uint64_t true_rate = rate_of(real_ns - fast->start_ns, counter - fast->start_counter);
    const int64_t behind_ns = (int64_t)(real_ns - shown_ns);
    if (behind_ns > STEP_NS) {
        /* The new base lies in the future of what was shown: a jump, but forward. */
        fast->start_counter = counter;
        fast->start_ns = real_ns;
        publish(fast, counter, real_ns, old_rate);
        return;
    }
    const int64_t bend_max = (int64_t)(true_rate * BEND_PPM_MAX / 1000000u);
    int64_t bend =
        behind_ns < -STEP_NS ? -bend_max : behind_ns * (int64_t)true_rate / (int64_t)DISCIPLINE_NS;
    bend = bend > bend_max ? bend_max : bend;
    bend = bend < -bend_max ? -bend_max : bend;
    publish(fast, counter, shown_ns, (uint64_t)((int64_t)true_rate + bend));
}

static spate_time_ns fast_now(struct spate_clock *clock)
{
    struct spate_clock_fast *fast = (struct spate_clock_fast *)clock;

    for (;;) {
        const uint64_t generation = atomic_load_explicit(&fast->generation, memory_order_acquire);
        struct rate *rate = &fast->rates[generation & 1];
        const uint64_t base = atomic_load_explicit(&rate->base_counter, memory_order_acquire);
        const uint64_t base_ns = atomic_load_explicit(&rate->base_ns, memory_order_acquire);
        const uint64_t per = atomic_load_explicit(&rate->ns_per_count, memory_order_acquire);
        const uint64_t counter = counter_now();
        if (atomic_load_explicit(&fast->generation, memory_order_acquire) != generation) {
            continue;
        }
        /* Counters of different processors may differ by a few counts: not before the base. */
        const uint64_t counts = counter > base ? counter - base : 0;
        if (__builtin_expect(counts < fast->discipline_counts, 1)) {
            return base_ns + scaled(counts, per);
        }
        if (atomic_flag_test_and_set_explicit(&fast->is_disciplining, memory_order_acquire)) {
            return base_ns + scaled(counts, per);
        }
        discipline(fast);
        atomic_flag_clear_explicit(&fast->is_disciplining, memory_order_release);
    }
}

struct spate_clock *spate_clock_fast_create(void)
{
    if (!spate_clock_fast_is_supported()) {
        return spate_clock_system();
    }
    struct spate_clock_fast *fast = calloc(1, sizeof *fast);
    if (fast == NULL) {
        return spate_clock_system();
    }
    uint64_t counter = 0;
    uint64_t ns = 0;
    read_both(&fast->start_counter, &fast->start_ns);
    do {
        read_both(&counter, &ns);
    } while (ns - fast->start_ns < CALIBRATION_NS || counter <= fast->start_counter);

    const uint64_t ns_per_count = rate_of(ns - fast->start_ns, counter - fast->start_counter);
    spate_assert(ns_per_count > 0);
    fast->clock.now = fast_now;
    fast->discipline_counts = (uint64_t)(((uint128)DISCIPLINE_NS << RATE_SHIFT) / ns_per_count);
    publish(fast, counter, ns, ns_per_count);
    return &fast->clock;
}

void spate_clock_fast_destroy(struct spate_clock *clock)
{
    if (clock != NULL && clock->now == fast_now) {
        free(clock);
    }
}
