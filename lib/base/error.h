/* The results of the public API, under the name that lib/ includes them by. */
#ifndef SPATE_BASE_ERROR_H
#define SPATE_BASE_ERROR_H

#include "spate/error.h"

#endif
