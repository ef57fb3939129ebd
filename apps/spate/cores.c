#include "cores.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "clock/monotonic.h"

#define ADDRESS_BYTES 300u

/* One attempt may take so long: longer than a core takes to say "unknown". */
#define ATTEMPT_TIMEOUT_MS 7000L

/* Nothing came for so long: a core that takes a snapshot of a large state is quiet meanwhile. */
#define STALLED_S 600L

struct cores {
    CURL *curl;
    struct spate_client client;
    struct spate_clock *clock;
    uint64_t timeout_ns;
    uint32_t count;
    char addresses[SPATE_CLIENT_CORES_MAX][ADDRESS_BYTES];
};

bool cores_read_flags(int *argument_count, char **arguments, struct cores_flags *ret_flags,
                      char *message, size_t message_bytes)
{
    struct cores_flags flags = {.list = "127.0.0.1:7220", .timeout_ns = 10000000000ull};
    int left = 0;

    if (getenv("SPATE_CORE") != NULL) {
        flags.list = getenv("SPATE_CORE");
    }
    for (int i = 0; i < *argument_count; i++) {
        const char *flag = arguments[i];
        const bool is_ours = strcmp(flag, "--core") == 0 || strcmp(flag, "-o") == 0 ||
                             strcmp(flag, "--timeout") == 0;
        if (!is_ours) {
            arguments[left++] = arguments[i];
            continue;
        }
        if (++i == *argument_count) {
            (void)snprintf(message, message_bytes, "%s needs a value", flag);
            return false;
        }
        if (strcmp(flag, "--core") == 0) {
            flags.list = arguments[i];
        } else if (strcmp(flag, "-o") == 0) {
            flags.is_json = strcmp(arguments[i], "json") == 0;
            if (!flags.is_json && strcmp(arguments[i], "table") != 0) {
                (void)snprintf(message, message_bytes, "-o %s: give table or json", arguments[i]);
                return false;
            }
        } else {
            char *rest = NULL;
            const double seconds = strtod(arguments[i], &rest);
            if (rest == arguments[i] || *rest != '\0' || !(seconds > 0) || seconds > 86400) {
                (void)snprintf(message, message_bytes, "--timeout %s: give seconds, like 2.5",
                               arguments[i]);
                return false;
            }
            flags.timeout_ns = (uint64_t)(seconds * 1e9);
        }
    }
    *argument_count = left;
    *ret_flags = flags;
    return true;
}

static bool read_list(struct cores *cores, const char *list, char *message, size_t message_bytes)
{
    while (*list != '\0') {
        const size_t bytes = strcspn(list, ",");
        if (cores->count == SPATE_CLIENT_CORES_MAX || bytes == 0 || bytes + 8 > ADDRESS_BYTES ||
            memchr(list, ':', bytes) == NULL) {
            (void)snprintf(message, message_bytes,
                           "--core %s: give up to %u of HOST:PORT, separated by commas", list,
                           SPATE_CLIENT_CORES_MAX);
            return false;
        }
        (void)snprintf(cores->addresses[cores->count++], ADDRESS_BYTES, "%.*s", (int)bytes, list);
        list += bytes + (list[bytes] == ',');
    }
    if (cores->count == 0) {
        (void)snprintf(message, message_bytes, "--core: give at least one HOST:PORT");
        return false;
    }
    return true;
}

struct cores *cores_open(const struct cores_flags *flags, char *message, size_t message_bytes)
{
    struct cores *cores = calloc(1, sizeof *cores);
    uint64_t seed = 0;

    if (cores == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)snprintf(message, message_bytes, "out of memory");
        free(cores);
        return NULL;
    }
    cores->curl = curl_easy_init();
    cores->clock = spate_clock_system();
    cores->timeout_ns = flags->timeout_ns;
    if (cores->curl == NULL || !read_list(cores, flags->list, message, message_bytes)) {
        cores_close(cores);
        return NULL;
    }
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        abort(); /* Cannot happen for so few bytes once the system is up. */
    }
    spate_client_init(&cores->client, cores->count, seed);
    return cores;
}

void cores_close(struct cores *cores)
{
    if (cores != NULL) {
        curl_easy_cleanup(cores->curl);
        curl_global_cleanup();
        free(cores);
    }
}

uint32_t cores_count(const struct cores *cores)
{
    return cores->count;
}

const char *cores_address(const struct cores *cores, uint32_t core)
{
    return cores->addresses[core];
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct cores_answer *answer = context;
    const size_t bytes = size * count;
    char *body = realloc(answer->body, answer->body_bytes + bytes + 1);

    if (body == NULL) {
        return 0; /* libcurl ends the transfer. */
    }
    memcpy(body + answer->body_bytes, data, bytes);
    answer->body = body;
    answer->body_bytes += bytes;
    body[answer->body_bytes] = '\0';
    return bytes;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    static const char name[] = "Spate-Revision:";
    struct cores_answer *answer = context;
    const size_t bytes = size * count;

    if (bytes > sizeof name && strncasecmp(data, name, sizeof name - 1) == 0) {
        answer->revision = strtoull(data + sizeof name - 1, NULL, 10);
    }
    return bytes;
}

struct upload {
    const char *body;
    size_t body_bytes;
    const char *data; /* What is left of it. */
    size_t left;
};

static size_t give_body(char *to, size_t size, size_t count, void *context)
{
    struct upload *upload = context;
    const size_t bytes = upload->left < size * count ? upload->left : size * count;
    memcpy(to, upload->data, bytes);
    upload->data += bytes;
    upload->left -= bytes;
    return bytes;
}

/* A redirected body is sent again from its start. */
static int seek_body(void *context, curl_off_t offset, int origin)
{
    struct upload *upload = context;

    if (origin != SEEK_SET || offset < 0 || (size_t)offset > upload->body_bytes) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    upload->data = upload->body + offset;
    upload->left = upload->body_bytes - (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static struct curl_slist *session_headers(const struct spate_client *client)
{
    char line[64];
    (void)snprintf(line, sizeof line, "Spate-Session: %llu", (unsigned long long)client->session);
    struct curl_slist *headers = curl_slist_append(NULL, line);
    (void)snprintf(line, sizeof line, "Spate-Sequence: %llu", (unsigned long long)client->sequence);
    headers = curl_slist_append(headers, line);
    return curl_slist_append(headers, "Expect:"); /* No round trip before the body. */
}

static void attempt(struct cores *cores, uint32_t core, const char *method, const char *path,
                    const char *body, size_t body_bytes, struct cores_answer *ret_answer)
{
    char url[4096];
    struct upload upload = {body, body_bytes, body, body_bytes};
    struct curl_slist *headers = session_headers(&cores->client);

    *ret_answer = (struct cores_answer){.body = calloc(1, 1), .core = cores->addresses[core]};
    (void)snprintf(url, sizeof url, "http://%s%s", cores->addresses[core], path);
    curl_easy_reset(cores->curl);
    (void)curl_easy_setopt(cores->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(cores->curl, CURLOPT_PATH_AS_IS, 1L); /* "..": a key like any other. */
    (void)curl_easy_setopt(cores->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(cores->curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(cores->curl, CURLOPT_TIMEOUT_MS, ATTEMPT_TIMEOUT_MS);
    (void)curl_easy_setopt(cores->curl, CURLOPT_CONNECTTIMEOUT_MS, 1000L);
    (void)curl_easy_setopt(cores->curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(cores->curl, CURLOPT_MAXREDIRS, 3L);
    (void)curl_easy_setopt(cores->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(cores->curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(cores->curl, CURLOPT_WRITEDATA, ret_answer);
    (void)curl_easy_setopt(cores->curl, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(cores->curl, CURLOPT_HEADERDATA, ret_answer);
    if (body != NULL) {
        (void)curl_easy_setopt(cores->curl, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(cores->curl, CURLOPT_READFUNCTION, give_body);
        (void)curl_easy_setopt(cores->curl, CURLOPT_READDATA, &upload);
        (void)curl_easy_setopt(cores->curl, CURLOPT_SEEKFUNCTION, seek_body);
        (void)curl_easy_setopt(cores->curl, CURLOPT_SEEKDATA, &upload);
        (void)curl_easy_setopt(cores->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body_bytes);
    }
    (void)curl_easy_setopt(cores->curl, CURLOPT_CUSTOMREQUEST, method);
    const CURLcode code = curl_easy_perform(cores->curl);
    if (code == CURLE_OK) {
        (void)curl_easy_getinfo(cores->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
    } else if (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_GOT_NOTHING ||
               code == CURLE_RECV_ERROR) {
        ret_answer->status = 504; /* It may have been proposed. */
    }
    curl_slist_free_all(headers);
}

void cores_ask_one(struct cores *cores, uint32_t core, const char *path,
                   struct cores_answer *ret_answer)
{
    attempt(cores, core, "GET", path, NULL, 0, ret_answer);
}

/* Where what is fetched goes. */
struct download {
    CURL *curl;
    int fd;
    struct cores_answer *answer;
};

static size_t take_download(char *data, size_t size, size_t count, void *context)
{
    struct download *download = context;
    const size_t bytes = size * count;
    long status = 0;

    (void)curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return take_body(data, size, count, download->answer);
    }
    for (size_t done = 0; done < bytes;) {
        const ssize_t written = write(download->fd, data + done, bytes - done);
        if (written < 0) {
            return 0; /* libcurl ends the transfer. */
        }
        done += (size_t)written;
    }
    return bytes;
}

void cores_fetch(struct cores *cores, uint32_t core, const char *path, int fd,
                 struct cores_answer *ret_answer)
{
    char url[4096];
    struct download download = {.curl = cores->curl, .fd = fd, .answer = ret_answer};

    *ret_answer = (struct cores_answer){.body = calloc(1, 1), .core = cores->addresses[core]};
    (void)snprintf(url, sizeof url, "http://%s%s", cores->addresses[core], path);
    curl_easy_reset(cores->curl);
    (void)curl_easy_setopt(cores->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(cores->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(cores->curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(cores->curl, CURLOPT_CONNECTTIMEOUT_MS, 1000L);
    (void)curl_easy_setopt(cores->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(cores->curl, CURLOPT_LOW_SPEED_TIME, STALLED_S);
    (void)curl_easy_setopt(cores->curl, CURLOPT_WRITEFUNCTION, take_download);
    (void)curl_easy_setopt(cores->curl, CURLOPT_WRITEDATA, &download);
    if (curl_easy_perform(cores->curl) == CURLE_OK) {
        (void)curl_easy_getinfo(cores->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
    }
}

static enum spate_client_answer judge(const struct cores_answer *answer)
{
    switch (answer->status) {
    case 0:
        return SPATE_CLIENT_UNREACHABLE;
    case 503:
        return SPATE_CLIENT_NOT_READY;
    case 504:
        return SPATE_CLIENT_UNKNOWN;
    default:
        return SPATE_CLIENT_SERVED;
    }
}

void cores_ask(struct cores *cores, const char *method, const char *path, const char *body,
               size_t body_bytes, struct cores_answer *ret_answer)
{
    bool was_unknown = false;

    spate_client_begin(&cores->client, spate_clock_now(cores->clock) + cores->timeout_ns);
    for (;;) {
        spate_time_ns delay = 0;
        attempt(cores, spate_client_target(&cores->client), method, path, body, body_bytes,
                ret_answer);
        const enum spate_client_answer answer = judge(ret_answer);
        was_unknown = was_unknown || answer == SPATE_CLIENT_UNKNOWN;
        const enum spate_client_verdict verdict =
            spate_client_answered(&cores->client, answer, spate_clock_now(cores->clock), &delay);
        if (verdict == SPATE_CLIENT_GIVE_UP && was_unknown) {
            ret_answer->status = 504; /* An earlier attempt may have been proposed. */
        }
        if (verdict != SPATE_CLIENT_RETRY) {
            return;
        }
        free(ret_answer->body);
        const struct timespec pause = {.tv_sec = (time_t)(delay / 1000000000u),
                                       .tv_nsec = (long)(delay % 1000000000u)};
        (void)nanosleep(&pause, NULL);
    }
}

/* Whether somebody else has to be asked: not there, not ready, not the leader. */
static bool is_passed_on(const struct cores_answer *answer)
{
    return answer->status == 0 || answer->status == 503 || answer->status == 421;
}

void cores_ask_leader(struct cores *cores, const char *path, struct cores_answer *ret_answer)
{
    const spate_time_ns end = spate_clock_now(cores->clock) + cores->timeout_ns;
    const struct timespec pause = {.tv_nsec = 100000000L};

    for (;;) {
        bool has_leader_elsewhere = true; /* All answered, and named another. */

        for (uint32_t c = 0; c < cores->count; c++) {
            attempt(cores, c, "POST", path, NULL, 0, ret_answer);
            if (!is_passed_on(ret_answer)) {
                return;
            }
            has_leader_elsewhere = has_leader_elsewhere && ret_answer->status == 421;
            if (c + 1 < cores->count) {
                free(ret_answer->body);
            }
        }
        /* A single core that is asked names the leader for good; of several one may be wrong. */
        if (spate_clock_now(cores->clock) >= end || (has_leader_elsewhere && cores->count == 1)) {
            return;
        }
        free(ret_answer->body);
        (void)nanosleep(&pause, NULL);
    }
}

char *cores_key_path(struct cores *cores, const char *key, const char *query)
{
    char *escaped = curl_easy_escape(cores->curl, key, 0);
    char *path = NULL;

    if (escaped == NULL || asprintf(&path, "/v1/kv/%s%s", escaped, query) < 0) {
        abort(); /* Out of memory in a command that a person typed. */
    }
    curl_free(escaped);
    return path;
}
