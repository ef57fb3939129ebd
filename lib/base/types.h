/* The types of the public API, under the name that lib/ includes them by. */
#ifndef SPATE_BASE_TYPES_H
#define SPATE_BASE_TYPES_H

#include "spate/types.h"

#define SPATE_ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
