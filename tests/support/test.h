/* cmocka's header is not self-contained: this one is. */
#ifndef SPATE_SUPPORT_TEST_H
#define SPATE_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
