#include "bench/report/report.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_page.h" /* Made by the build of report.html and report.js. */

/* A '<' would let a name in the data end its script element; JSON may spell it otherwise. */
static bool copy_file(const char *directory, const char *name, FILE *to)
{
    char path[4096];
    int byte = 0;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *from = fopen(path, "re");
    if (from == NULL) {
        (void)fprintf(stderr, "spate bench: cannot read %s: %s\n", path, strerror(errno));
        return false;
    }
    while ((byte = fgetc(from)) != EOF) {
        if (byte == '<') {
            (void)fputs("\\u003c", to);
        } else {
            (void)fputc(byte, to);
        }
    }
    const bool is_read = ferror(from) == 0;
    (void)fclose(from);
    return is_read;
}

static bool embed_json(const char *directory, const char *id, FILE *to)
{
    char name[64];

    (void)snprintf(name, sizeof name, "%s.json", id);
    (void)fprintf(to, "<script type=\"application/json\" id=\"%s\">\n", id);
    const bool is_done = copy_file(directory, name, to);
    (void)fputs("</script>\n", to);
    return is_done;
}

static int is_histogram(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".hgrm") == 0 &&
           strpbrk(entry->d_name, "\"&<>") == NULL;
}

static bool embed_histograms(const char *directory, FILE *to)
{
    struct dirent **entries = NULL;
    const int count = scandir(directory, &entries, is_histogram, alphasort);
    bool is_done = count >= 0;

    for (int e = 0; e < count; e++) {
        const char *name = entries[e]->d_name;
        (void)fprintf(to, "<script type=\"text/plain\" class=\"hgrm\" data-name=\"%.*s\">\n",
                      (int)strlen(name) - 5, name);
        is_done = copy_file(directory, name, to) && is_done;
        (void)fputs("</script>\n", to);
        free(entries[e]);
    }
    free(entries);
    return is_done;
}

bool bench_report_write(const char *directory)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/report.html", directory);
    FILE *to = fopen(path, "we");
    if (to == NULL) {
        (void)fprintf(stderr, "spate bench: cannot write %s: %s\n", path, strerror(errno));
        return false;
    }
    (void)fwrite(page_head, 1, sizeof page_head, to);
    bool is_done = embed_json(directory, "env", to) && embed_json(directory, "results", to) &&
                   embed_histograms(directory, to);
    (void)fwrite(page_tail, 1, sizeof page_tail, to);
    is_done = ferror(to) == 0 && is_done;
    if (fclose(to) != 0 || !is_done) {
        (void)fprintf(stderr, "spate bench: %s is not whole\n", path);
        return false;
    }
    return true;
}
