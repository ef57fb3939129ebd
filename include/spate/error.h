/*
 * One list of results for the whole library.
 *
 * Three kinds of trouble have three mechanisms: a programmer's error is an assertion, an operating
 * error is one of these, and an expected outcome (nothing to do, dropped, not found in a cache) is
 * a return value or a counter. A code exists only where a caller acts differently on it.
 */
#ifndef SPATE_ERROR_H
#define SPATE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SPATE_API
#define SPATE_API __attribute__((visibility("default")))
#endif

/* name, text for people */
#define SPATE_ERR_MAP(X)                                                               \
    X(OK, "success")                                                                   \
    X(BUSY, "no room at the moment; try again")                                        \
    X(NOT_READY, "request dropped as the cluster is not ready")                        \
    X(UNKNOWN, "the outcome is unknown: the request may or may not have taken effect") \
    X(NOT_FOUND, "not found")                                                          \
    X(INVALID, "invalid argument or configuration")                                    \
    X(MALFORMED, "malformed bytes")                                                    \
    X(MISMATCH, "belongs to another cluster, node or version")                         \
    X(CORRUPT, "stored bytes fail their check")                                        \
    X(COMPACTED, "the log no longer reaches back that far")                            \
    X(IN_USE, "address or directory is in use")                                        \
    X(PERMISSION, "permission denied")                                                 \
    X(IO, "input or output failed")                                                    \
    X(NO_MEMORY, "out of memory")                                                      \
    X(UNSUPPORTED, "not supported by this build or this machine")                      \
    X(NO_SPACE, "too little free space on the leader's disk; nothing was written")     \
    X(FORGOTTEN, "the data is gone, or older than what this core acknowledged")

/* What a function tells of its success. */
typedef enum spate_err {
#define SPATE_ERR_ENUM(name, text) SPATE_ERR_##name,
    SPATE_ERR_MAP(SPATE_ERR_ENUM)
#undef SPATE_ERR_ENUM
        SPATE_ERR_COUNT
} spate_err;

#define SPATE_OK SPATE_ERR_OK

/*
 * The text of a result, for people; programs compare the code.
 *
 * Thread: any.
 * Memory: static.
 */
SPATE_API const char *spate_err_text(spate_err err);

/*
 * The short name of a result ("BUSY"), for logs and machine-readable output.
 *
 * Thread: any.
 * Memory: static.
 */
SPATE_API const char *spate_err_name(spate_err err);

#ifdef __cplusplus
}
#endif

#endif
