/* What several verbs and settings read from words: UUIDs and lists of members. */
#ifndef SPATE_APPS_WORDS_H
#define SPATE_APPS_WORDS_H

#include <stdbool.h>

#include "spate/spate.h"

#define WORDS_UUID_BYTES 37u

/* 8-4-4-4-12 hexadecimal digits. */
bool words_uuid(const char *text, uint8_t ret_uuid[16]);
void words_write_uuid(const uint8_t uuid[16], char to[WORDS_UUID_BYTES]);

/* A new one (RFC 9562, version 4). */
void words_draw_uuid(uint8_t ret_uuid[16]);

/*
 * "1@127.0.0.1:7209,2@…" into members[SPATE_MEMBERS_MAX]. The text is cut up in place, and stays
 * what the addresses point to. NULL: done; otherwise the item that is wrong, or "" for too many.
 */
const char *words_members(char *text, struct spate_member_options members[], uint32_t *ret_count);

#endif
