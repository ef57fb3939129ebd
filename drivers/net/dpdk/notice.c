/* Lines for people: few, short, from any thread, taken by whoever writes the log. */
#include <stdarg.h>
#include <stdio.h>

#include "dpdk_internal.h"

void spate_dpdk_notices_init(struct notices *notices)
{
    (void)pthread_mutex_init(&notices->lock, NULL);
}

void spate_dpdk_notices_destroy(struct notices *notices)
{
    (void)pthread_mutex_destroy(&notices->lock);
}

void spate_dpdk_notify(struct notices *notices, enum spate_net_notice_level level,
                       const char *format, ...)
{
    va_list arguments;

    (void)pthread_mutex_lock(&notices->lock);
    if (notices->count == NOTICES_MAX) {
        notices->lost++;
    } else {
        struct spate_net_notice *line =
            &notices->lines[(notices->first + notices->count++) % NOTICES_MAX];
        line->level = level;
        va_start(arguments, format);
        (void)vsnprintf(line->text, sizeof line->text, format, arguments);
        va_end(arguments);
    }
    (void)pthread_mutex_unlock(&notices->lock);
}

bool spate_dpdk_notices_take(struct notices *notices, struct spate_net_notice *ret_notice)
{
    (void)pthread_mutex_lock(&notices->lock);
    const bool has_line = notices->count > 0;
    if (has_line) {
        *ret_notice = notices->lines[notices->first];
        notices->first = (notices->first + 1) % NOTICES_MAX;
        notices->count--;
    }
    (void)pthread_mutex_unlock(&notices->lock);
    return has_line;
}

spate_err spate_dpdk_explain(const struct spate_dpdk_line *line, spate_err err, const char *format,
                             ...)
{
    va_list arguments;

    if (line != NULL && line->text != NULL && line->bytes > 0) {
        va_start(arguments, format);
        (void)vsnprintf(line->text, line->bytes, format, arguments);
        va_end(arguments);
    }
    return err;
}
