#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "words.h"

struct definition {
    const char *name;
    const char *standard;
    const char *meaning;
};

static const struct definition definitions[SETTING_COUNT] = {
#define SETTING_DEFINITION(name, flag, standard, meaning) {flag, standard, meaning},
    SETTING_MAP(SETTING_DEFINITION)
#undef SETTING_DEFINITION
};

const char *setting_name(enum setting setting)
{
    return definitions[setting].name;
}

/* Writes the one line that a failure leaves. Always false, so that callers can return it. */
__attribute__((format(printf, 3, 4))) static bool fail(char *message, size_t message_bytes,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, message_bytes, format, arguments);
    va_end(arguments);
    return false;
}

static enum setting find(const char *name, size_t name_bytes)
{
    for (unsigned s = 0; s < SETTING_COUNT; s++) {
        if (strlen(definitions[s].name) == name_bytes &&
            strncmp(definitions[s].name, name, name_bytes) == 0) {
            return (enum setting)s;
        }
    }
    return SETTING_COUNT;
}

static bool set(struct settings *settings, enum setting setting, const char *value,
                const char *origin, char *message, size_t message_bytes)
{
    if (strlen(value) >= SETTING_TEXT_BYTES) {
        return fail(message, message_bytes, "%s (%s) is longer than %u characters",
                    definitions[setting].name, origin, SETTING_TEXT_BYTES - 1);
    }
    (void)snprintf(settings->text[setting], SETTING_TEXT_BYTES, "%s", value);
    settings->origin[setting] = origin;
    return true;
}

struct file_reader {
    struct settings *settings;
    char *message;
    size_t message_bytes;
};

/* inih's callback: 0 stops with an error. Sections are prefixes: [raft] members is raft.members. */
static int take_line(void *context, const char *section, const char *name, const char *value)
{
    struct file_reader *reader = context;
    char full[256];

    if (section[0] == '\0' || strcmp(section, "core") == 0) {
        (void)snprintf(full, sizeof full, "%s", name);
    } else {
        (void)snprintf(full, sizeof full, "%s.%s", section, name);
    }
    const enum setting setting = find(full, strlen(full));
    if (setting == SETTING_COUNT) {
        return fail(reader->message, reader->message_bytes,
                    "%s: unknown setting '%s'; 'spate help core' lists them",
                    reader->settings->file, full);
    }
    return set(reader->settings, setting, value, reader->settings->file, reader->message,
               reader->message_bytes);
}

static bool read_file(struct settings *settings, char *message, size_t message_bytes)
{
    struct file_reader reader = {settings, message, message_bytes};

    struct stat kind;

    message[0] = '\0';
    errno = 0;
    if (stat(settings->file, &kind) == 0 && S_ISDIR(kind.st_mode)) {
        errno = EISDIR; /* inih would find it empty. */
    }
    const int result = errno != 0 ? -1 : ini_parse(settings->file, take_line, &reader);
    if (result < 0) {
        return fail(message, message_bytes,
                    "cannot read the configuration file %s: %s; correct --config", settings->file,
                    strerror(errno != 0 ? errno : EIO));
    }
    if (result > 0 && message[0] == '\0') {
        return fail(message, message_bytes,
                    "%s:%d: neither a [section] nor 'name = value'; correct that line",
                    settings->file, result);
    }
    return result == 0;
}

/* raft.node.listen is SPATE_RAFT_NODE_LISTEN. */
static const char *environment_of(enum setting setting)
{
    char variable[128] = "SPATE_";
    size_t at = strlen(variable);

    for (const char *c = definitions[setting].name; *c != '\0' && at + 1 < sizeof variable; c++) {
        variable[at++] = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    }
    variable[at] = '\0';
    return getenv(variable);
}

static bool read_environment(struct settings *settings, char *message, size_t message_bytes)
{
    for (unsigned s = 0; s < SETTING_COUNT; s++) {
        const char *value = environment_of((enum setting)s);
        if (value != NULL &&
            !set(settings, (enum setting)s, value, "environment", message, message_bytes)) {
            return false;
        }
    }
    return true;
}

/* Splits "--name value" or "--name=value". Returns how many arguments it took; 0 is a failure. */
static int split_flag(int argument_count, char **arguments, const char **ret_name,
                      size_t *ret_name_bytes, const char **ret_value, char *message,
                      size_t message_bytes)
{
    if (strncmp(arguments[0], "--", 2) != 0 || arguments[0][2] == '\0') {
        return fail(message, message_bytes,
                    "unexpected argument '%s'; 'spate help core' lists the flags", arguments[0]);
    }
    const char *name = arguments[0] + 2;
    const char *equals = strchr(name, '=');
    *ret_name = name;
    if (equals != NULL) {
        *ret_name_bytes = (size_t)(equals - name);
        *ret_value = equals + 1;
        return 1;
    }
    *ret_name_bytes = strlen(name);
    if (argument_count < 2) {
        return fail(message, message_bytes, "--%s needs a value", name);
    }
    *ret_value = arguments[1];
    return 2;
}

/* One pass over the flags: `for_file` takes only --config, the other pass everything else. */
static bool read_flags(struct settings *settings, int argument_count, char **arguments,
                       bool for_file, char *message, size_t message_bytes)
{
    for (int i = 0; i < argument_count;) {
        const char *name = NULL;
        const char *value = NULL;
        size_t name_bytes = 0;
        const int taken = split_flag(argument_count - i, arguments + i, &name, &name_bytes, &value,
                                     message, message_bytes);
        if (taken == 0) {
            return false;
        }
        i += taken;
        const bool is_file = name_bytes == 6 && strncmp(name, "config", 6) == 0;
        if (is_file) {
            if (for_file) {
                (void)snprintf(settings->file, sizeof settings->file, "%s", value);
            }
            continue;
        }
        const enum setting setting = find(name, name_bytes);
        if (setting == SETTING_COUNT) {
            return fail(message, message_bytes,
                        "unknown flag --%.*s; 'spate help core' lists the flags", (int)name_bytes,
                        name);
        }
        if (!for_file && !set(settings, setting, value, "command line", message, message_bytes)) {
            return false;
        }
    }
    return true;
}

bool settings_read(struct settings *settings, int argument_count, char **arguments, char *message,
                   size_t message_bytes)
{
    for (unsigned s = 0; s < SETTING_COUNT; s++) {
        if (!set(settings, (enum setting)s, definitions[s].standard, "default", message,
                 message_bytes)) {
            return false;
        }
    }
    settings->file[0] = '\0';
    if (!read_flags(settings, argument_count, arguments, true, message, message_bytes)) {
        return false;
    }
    if (settings->file[0] != '\0' && !read_file(settings, message, message_bytes)) {
        return false;
    }
    return read_environment(settings, message, message_bytes) &&
           read_flags(settings, argument_count, arguments, false, message, message_bytes);
}

void settings_print_help(FILE *out)
{
    (void)fprintf(out, "  --%-26s %s\n", "config FILE", "an INI file with any of the settings");
    for (unsigned s = 0; s < SETTING_COUNT; s++) {
        (void)fprintf(out, "  --%-26s %s", definitions[s].name, definitions[s].meaning);
        if (definitions[s].standard[0] != '\0') {
            (void)fprintf(out, " [%s]", definitions[s].standard);
        }
        (void)fputc('\n', out);
    }
}

static bool refuse(const struct settings *settings, enum setting setting, const char *wanted,
                   char *message, size_t message_bytes)
{
    return fail(message, message_bytes, "%s = '%s' (%s): %s", definitions[setting].name,
                settings->text[setting], settings->origin[setting], wanted);
}

/* A number with an optional unit out of `units` (NULL-terminated, factors beside them). */
static bool read_scaled(const char *text, const char *const units[], const uint64_t factors[],
                        uint64_t *ret_value)
{
    char *rest = NULL;
    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    const unsigned long long number = strtoull(text, &rest, 10);
    if (errno != 0) {
        return false;
    }
    for (unsigned u = 0; units[u] != NULL; u++) {
        if (strcasecmp(rest, units[u]) == 0) {
            return !__builtin_mul_overflow((uint64_t)number, factors[u], ret_value);
        }
    }
    return false;
}

bool settings_number(const struct settings *settings, enum setting setting, uint64_t min,
                     uint64_t max, uint64_t *ret_value, char *message, size_t message_bytes)
{
    static const char *const units[] = {"", NULL};
    static const uint64_t factors[] = {1};
    char wanted[96];
    uint64_t value = 0;

    if (!read_scaled(settings->text[setting], units, factors, &value) || value < min ||
        value > max) {
        (void)snprintf(wanted, sizeof wanted, "give a whole number from %llu to %llu",
                       (unsigned long long)min, (unsigned long long)max);
        return refuse(settings, setting, wanted, message, message_bytes);
    }
    *ret_value = value;
    return true;
}

bool settings_bytes(const struct settings *settings, enum setting setting, uint64_t min,
                    uint64_t max, uint64_t *ret_bytes, char *message, size_t message_bytes)
{
    static const char *const units[] = {"", "k", "M", "G", "T", NULL};
    static const uint64_t factors[] = {1, 1ull << 10, 1ull << 20, 1ull << 30, 1ull << 40};
    char wanted[96];
    uint64_t value = 0;

    if (!read_scaled(settings->text[setting], units, factors, &value) || value < min ||
        value > max) {
        (void)snprintf(wanted, sizeof wanted,
                       "give bytes from %llu to %llu, like 65536, 64k, 256M or 1G",
                       (unsigned long long)min, (unsigned long long)max);
        return refuse(settings, setting, wanted, message, message_bytes);
    }
    *ret_bytes = value;
    return true;
}

bool settings_duration(const struct settings *settings, enum setting setting, uint64_t min_ns,
                       uint64_t max_ns, uint64_t *ret_ns, char *message, size_t message_bytes)
{
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};
    static const uint64_t factors[] = {1, 1000, 1000000, 1000000000};
    char wanted[96];
    uint64_t value = 0;

    if (!read_scaled(settings->text[setting], units, factors, &value) || value < min_ns ||
        value > max_ns) {
        (void)snprintf(wanted, sizeof wanted,
                       "give a time from %lluus to %llus, like 500us, 50ms or 2s",
                       (unsigned long long)min_ns / 1000, (unsigned long long)max_ns / 1000000000);
        return refuse(settings, setting, wanted, message, message_bytes);
    }
    *ret_ns = value;
    return true;
}

bool settings_word(const struct settings *settings, enum setting setting, const char *const words[],
                   uint32_t *ret_word, char *message, size_t message_bytes)
{
    char wanted[160] = "give one of:";

    for (uint32_t w = 0; words[w] != NULL; w++) {
        if (strcmp(settings->text[setting], words[w]) == 0) {
            *ret_word = w;
            return true;
        }
        const size_t used = strlen(wanted);
        (void)snprintf(wanted + used, sizeof wanted - used, " %s", words[w]);
    }
    return refuse(settings, setting, wanted, message, message_bytes);
}

bool settings_uuid(const struct settings *settings, enum setting setting, uint8_t ret_uuid[16],
                   char *message, size_t message_bytes)
{
    return words_uuid(settings->text[setting], ret_uuid) ||
           refuse(settings, setting, "give a UUID, as uuidgen prints one", message, message_bytes);
}
