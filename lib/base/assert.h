/*
 * Assertions that stay on in every build. They catch our own errors; bytes from outside are
 * validated, never asserted.
 */
#ifndef SPATE_BASE_ASSERT_H
#define SPATE_BASE_ASSERT_H

#ifdef NDEBUG
#error "assertions are part of the product: build with b_ndebug=false"
#endif

/* Prints one line with the place and the condition, then aborts. */
_Noreturn void spate_assert_failed(const char *condition, const char *file, int line,
                                   const char *function);

#define spate_assert(condition)                                          \
    (__builtin_expect(!(condition), 0)                                   \
         ? spate_assert_failed(#condition, __FILE__, __LINE__, __func__) \
         : (void)0)

/* For walks over whole structures: on with -Dchecks=slow, type-checked always. */
#ifdef SPATE_CHECKS_SLOW
#define spate_assert_slow(condition) spate_assert(condition)
#else
#define spate_assert_slow(condition) ((void)sizeof(!(condition)))
#endif

/* Says that both outcomes happen: the dual of an assertion. */
#define spate_maybe(condition) ((void)(condition))

#endif
