#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net/net.h"

static bool is_uuid(const char *text)
{
    for (unsigned i = 0; i < 36; i++) {
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text[i] != '-' : !isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return text[36] == '\0';
}

bool words_uuid(const char *text, uint8_t ret_uuid[16])
{
    const char *c = text;

    if (!is_uuid(text)) {
        return false;
    }
    for (unsigned b = 0; b < 16; b++) {
        const char digits[3] = {c[0], c[1], '\0'};
        ret_uuid[b] = (uint8_t)strtoul(digits, NULL, 16);
        c += c[2] == '-' ? 3 : 2;
    }
    return true;
}

void words_write_uuid(const uint8_t uuid[16], char to[WORDS_UUID_BYTES])
{
    char *c = to;

    for (unsigned b = 0; b < 16; b++) {
        const bool is_dashed = b == 4 || b == 6 || b == 8 || b == 10;
        c += snprintf(c, 4, is_dashed ? "-%02x" : "%02x", uuid[b]);
    }
}

void words_draw_uuid(uint8_t ret_uuid[16])
{
    if (getrandom(ret_uuid, 16, 0) != 16) {
        abort(); /* Cannot happen for so few bytes once the system is up. */
    }
    ret_uuid[6] = (uint8_t)((ret_uuid[6] & 0x0f) | 0x40);
    ret_uuid[8] = (uint8_t)((ret_uuid[8] & 0x3f) | 0x80);
}

const char *words_members(char *text, struct spate_member_options members[], uint32_t *ret_count)
{
    char *rest = text;
    char *item = NULL;

    *ret_count = 0;
    while ((item = strsep(&rest, ",")) != NULL) {
        char *at = strchr(item, '@');
        char *end = NULL;
        struct spate_address address;
        const unsigned long id = strtoul(item, &end, 10);
        if (at == NULL || end != at || id == 0 || id > UINT32_MAX || *item == '-' ||
            spate_address_parse(at + 1, &address) != SPATE_OK) {
            return item;
        }
        if (*ret_count == SPATE_MEMBERS_MAX) {
            return "";
        }
        members[(*ret_count)++] =
            (struct spate_member_options){.id = (spate_node_id)id, .address = at + 1};
    }
    return NULL;
}
