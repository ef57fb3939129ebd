#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void write_core(const struct spate_status *s, FILE *out)
{
    const struct {
        const char *name;
        const char *type;
        uint64_t value;
    } metrics[] = {
        {"term", "gauge", s->term},
        {"leader", "gauge", s->leader},
        {"is_leader", "gauge", s->role == SPATE_ROLE_LEADER},
        {"is_insecure", "gauge", s->is_insecure},
        {"disk_low", "gauge", s->is_disk_low},
        {"mute", "gauge", s->is_mute},
        {"log_received_index", "gauge", s->received},
        {"log_durable_index", "gauge", s->durable},
        {"log_committed_index", "gauge", s->committed},
        {"log_applied_index", "gauge", s->applied},
        {"log_used_bytes", "gauge", s->log_used_bytes},
        {"log_budget_bytes", "gauge", s->log_budget_bytes},
        {"snapshot_index", "gauge", s->snapshot_index},
        {"snapshots_taken_total", "counter", s->snapshots_taken},
        {"snapshots_sent_total", "counter", s->snapshots_sent},
        {"snapshots_installed_total", "counter", s->snapshots_installed},
        {"snapshot_sent_bytes_total", "counter", s->snapshot_bytes_sent},
        {"snapshot_received_bytes_total", "counter", s->snapshot_bytes_received},
        {"elections_started_total", "counter", s->elections_started},
        {"proposals_total", "counter", s->proposals},
        {"proposals_forwarded_total", "counter", s->proposals_forwarded},
        {"proposals_refused_total", "counter", s->proposals_refused},
        {"reads_total", "counter", s->reads},
        {"reads_refused_total", "counter", s->reads_refused},
        {"reads_leased_total", "counter", s->reads_leased},
        {"entries_applied_total", "counter", s->entries_applied},
        {"rx_frames_total", "counter", s->rx_frames},
        {"rx_bytes_total", "counter", s->rx_bytes},
        {"tx_frames_total", "counter", s->tx_frames},
        {"tx_bytes_total", "counter", s->tx_bytes},
        {"tx_dropped_total", "counter", s->tx_dropped},
        {"turns_total", "counter", s->turns},
        {"turns_idle_total", "counter", s->turns_idle},
    };
    for (unsigned m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        (void)fprintf(out, "# TYPE spate_%s %s\nspate_%s %llu\n", metrics[m].name, metrics[m].type,
                      metrics[m].name, (unsigned long long)metrics[m].value);
    }
    (void)fprintf(out, "# TYPE spate_role gauge\nspate_role{role=\"%s\"} 1\n",
                  health_role_text(s->role));
}

static void write_link_drops(const struct spate *spate, FILE *out)
{
    const char *reason = NULL;
    uint64_t count = 0;

    (void)fprintf(out, "# TYPE spate_rx_dropped_total counter\n");
    for (uint32_t r = 0; spate_get_drop(spate, r, &reason, &count); r++) {
        (void)fprintf(out, "spate_rx_dropped_total{reason=\"%s\"} %llu\n", reason,
                      (unsigned long long)count);
    }
}

struct metrics_name metrics_split(const struct spate_counter *counter)
{
    const char *dot = strrchr(counter->name, '.');
    struct metrics_name name = {.device = counter->name, .what = counter->name};

    if (dot != NULL) {
        name.what = dot + 1;
        name.device_bytes = (int)(dot - counter->name);
    }
    if (counter->is_drop && name.device_bytes == 4 && strncmp(name.device, "drop", 4) == 0) {
        name.device_bytes = 0;
    } else if (counter->is_drop && name.device_bytes > 5 && strncmp(dot - 5, ".drop", 5) == 0) {
        name.device_bytes -= 5;
    }
    return name;
}

/* Counters of different devices that are one metric: labels tell them apart. */
static bool is_same_metric(const struct spate_counter *a, const struct spate_counter *b)
{
    return a->is_drop == b->is_drop &&
           (a->is_drop || strcmp(metrics_split(a).what, metrics_split(b).what) == 0);
}

/* Only what a metric's name may have; what is quoted takes anything but quotes and the like. */
static void write_text(const char *text, int bytes, bool is_name, FILE *out)
{
    for (int i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        const bool is_allowed = is_name ? isalnum(c) || c == '_' : isprint(c) && !strchr("\"\\", c);
        (void)fputc(is_allowed ? c : '_', out);
    }
}

static void write_metric_name(const struct spate_counter *counter, FILE *out)
{
    const char *what = counter->is_drop ? "dropped" : metrics_split(counter).what;

    (void)fprintf(out, "spate_net_");
    write_text(what, (int)strlen(what), true, out);
    (void)fprintf(out, "%s", counter->is_level ? "" : "_total");
}

static void write_sample(const struct spate_counter *counter, FILE *out)
{
    const struct metrics_name name = metrics_split(counter);

    write_metric_name(counter, out);
    if (counter->is_drop || name.device_bytes > 0) {
        (void)fprintf(out, "{device=\"");
        write_text(name.device, name.device_bytes, false, out);
        if (counter->is_drop) {
            (void)fprintf(out, "\",reason=\"");
            write_text(name.what, (int)strlen(name.what), false, out);
        }
        (void)fprintf(out, "\"}");
    }
    (void)fprintf(out, " %llu\n", (unsigned long long)counter->value);
}

/* The format wants all samples of a metric together; the counters come device by device. */
static void write_grouped(const struct spate_counter all[], uint32_t count, FILE *out)
{
    for (uint32_t i = 0; i < count; i++) {
        bool is_first = true;

        for (uint32_t before = 0; before < i && is_first; before++) {
            is_first = !is_same_metric(&all[before], &all[i]);
        }
        if (!is_first) {
            continue;
        }
        (void)fprintf(out, "# TYPE ");
        write_metric_name(&all[i], out);
        (void)fprintf(out, " %s\n", all[i].is_level ? "gauge" : "counter");
        for (uint32_t same = i; same < count; same++) {
            if (is_same_metric(&all[same], &all[i])) {
                write_sample(&all[same], out);
            }
        }
    }
}

/* Each is read once: asking a device is not free. */
static void write_counters(const struct spate *spate, FILE *out)
{
    struct spate_counter *all = NULL;
    struct spate_counter counter;
    uint32_t capacity = 0;
    uint32_t count = 0;

    while (spate_get_counter(spate, count, &counter)) {
        if (count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            struct spate_counter *more = realloc(all, capacity * sizeof *all);
            if (more == NULL) {
                break;
            }
            all = more;
        }
        all[count++] = counter;
    }
    write_grouped(all, count, out);
    free(all);
}

void metrics_write(const struct spate *spate, FILE *out)
{
    struct spate_status status;

    spate_get_status(spate, &status);
    write_core(&status, out);
    (void)fprintf(out, "# TYPE spate_transport gauge\nspate_transport{transport=\"%s\",device=\"",
                  status.transport);
    write_text(status.device, (int)strlen(status.device), false, out);
    (void)fprintf(out, "\"} 1\n");
    write_link_drops(spate, out);
    write_counters(spate, out);
}
