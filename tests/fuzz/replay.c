/*
 * Runs a fuzz target without libFuzzer: each file of a folder as it is, then many with a few bytes
 * changed, cut or doubled, from a fixed seed. So the corpus is a plain test under any compiler.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "target.h"

#define FILE_BYTES_MAX 65536u
#define MUTATIONS      300u

static void mutate(struct spate_prng *prng, const uint8_t *from, size_t size)
{
    /* A block of exactly the size: the sanitizers see a byte too many. */
    const size_t kept =
        spate_prng_below(prng, 4) == 0 ? (size_t)spate_prng_below(prng, size + 1) : size;
    uint8_t *data = malloc(kept + 1);

    if (data == NULL) {
        abort();
    }
    memcpy(data + 1, from, kept);
    const uint64_t changes = spate_prng_below(prng, 6);

    for (uint64_t i = 0; i < changes && kept > 0; i++) {
        uint8_t *at = data + 1 + spate_prng_below(prng, kept);

        switch (spate_prng_below(prng, 3)) {
        case 0:
            *at = (uint8_t)spate_prng_next(prng);
            break;
        case 1:
            *at ^= (uint8_t)(1u << spate_prng_below(prng, 8));
            break;
        default:
            *at = spate_prng_below(prng, 2) == 0 ? 0 : 0xff;
            break;
        }
    }
    (void)LLVMFuzzerTestOneInput(data + 1, kept);
    free(data);
}

static int replay(const char *path, struct spate_prng *prng)
{
    static uint8_t bytes[FILE_BYTES_MAX];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        return 1;
    }
    const size_t size = fread(bytes, 1, sizeof bytes, file);

    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, size);
    for (uint32_t i = 0; i < MUTATIONS; i++) {
        mutate(prng, bytes, size);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **names = NULL;
    struct spate_prng prng;
    int files = 0;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    const int count = scandir(argv[1], &names, NULL, alphasort);

    spate_prng_seed(&prng, 1, 1);
    for (int i = 0; i < count; i++) {
        char path[4096];
        if (names[i]->d_name[0] != '.') {
            (void)snprintf(path, sizeof path, "%s/%s", argv[1], names[i]->d_name);
            if (replay(path, &prng) != 0) {
                return 1;
            }
            files++;
        }
        free(names[i]);
    }
    free(names);
    (void)printf("%d files, %u runs of each\n", files, MUTATIONS + 1);
    return files > 0 ? 0 : 1;
}
