#include "load.h"

#include <math.h>
#include <string.h>

/* How long the end waits for what is still in flight. */
#define DRAIN_NS 1000000000u

void load_begin(struct load *load, const struct load_options *options, spate_time_ns now)
{
    load->options = *options;
    load->began = now;
    load->counted_from = load->began + options->warm_ns;
    load->counted_until = load->counted_from + options->run_ns;
    load->next_offset = 0;
    load->next_arrival = load->began;
    load->proposed = 0;
    load->decided = 0;
    load->counted = 0;
    load->failed = 0;
    load->missed = 0;
    load->is_next_late = false;
    load->free_count = options->in_flight != 0 ? options->in_flight : LOAD_SLOTS;
    for (uint32_t s = 0; s < load->free_count; s++) {
        load->free_slots[s] = s;
    }
    spate_histogram_reset(load->latency);
    spate_prng_seed(&load->prng, load->began, 1);
    for (uint32_t b = 0; b < options->payload_bytes; b++) {
        load->payload[b] = (uint8_t)spate_prng_next(&load->prng);
    }
    load->command_bytes =
        machine_command(load->machine, options->payload_bytes, load->payload, &load->number_at);
}

static void take_outcomes(struct load *load, spate_time_ns now)
{
    struct spate_result results[256];
    uint32_t count = 0;

    while ((count = spate_results(load->port, results, 256)) > 0) {
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t slot = (uint32_t)results[i].cookie % LOAD_SLOTS;
            const spate_time_ns start = load->starts[slot];
            load->free_slots[load->free_count++] = slot;
            load->decided++;
            if (results[i].status != SPATE_OK) {
                load->failed++;
            } else if (start >= load->counted_from && start < load->counted_until) {
                spate_histogram_record(load->latency, now - start, 1);
            }
            load->counted += results[i].status == SPATE_OK && now >= load->counted_from &&
                             now < load->counted_until;
        }
    }
}

/* Begins one command that should have begun at `start`. False: the port is full. */
static bool begin_one(struct load *load, spate_time_ns start)
{
    const uint32_t slot = load->free_slots[load->free_count - 1];

    const uint64_t keys = load->machine->keys;
    const uint64_t number = keys != 0 ? load->keys_written % keys : load->proposed;

    memcpy(load->payload + load->number_at, &number,
           load->command_bytes < sizeof number ? load->command_bytes : sizeof number);
    if (spate_propose(load->port, slot, load->payload, load->command_bytes) != SPATE_OK) {
        return false;
    }
    load->keys_written++;
    load->starts[slot] = start;
    load->free_count--;
    load->proposed++;
    return true;
}

static void begin_closed(struct load *load, spate_time_ns now)
{
    while (load->free_count > 0 && begin_one(load, now)) {
    }
}

/* Moves on to the next arrival. Kept as a fraction, or rounding would change the rate. */
static void schedule_next(struct load *load)
{
    const double mean = 1e9 / load->options.rate;
    double gap = mean;

    if (load->options.is_poisson) {
        const double uniform =
            ((double)(spate_prng_next(&load->prng) >> 11) + 1) / 9007199254740993.0;
        gap = -log(uniform) * mean;
    }
    load->is_next_late = false;
    load->next_offset += gap;
    load->next_arrival = load->began + (spate_time_ns)load->next_offset;
}

static void begin_open(struct load *load, spate_time_ns now)
{
    while (load->next_arrival <= now && load->next_arrival < load->counted_until) {
        if (load->free_count == 0 || !begin_one(load, load->next_arrival)) {
            /* It stays due: what it waits is part of its latency. */
            load->missed += !load->is_next_late;
            load->is_next_late = true;
            return;
        }
        schedule_next(load);
    }
}

bool load_turn(struct load *load, spate_time_ns now)
{
    take_outcomes(load, now);
    if (now >= load->counted_until) {
        return load->decided < load->proposed && now < load->counted_until + DRAIN_NS;
    }
    if (load->options.in_flight != 0) {
        begin_closed(load, now);
    } else {
        begin_open(load, now);
    }
    spate_submit(load->port);
    return true;
}
