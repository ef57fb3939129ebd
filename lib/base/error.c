#include "base/error.h"

const char *spate_err_text(spate_err err)
{
    static const char *const texts[] = {
#define SPATE_ERR_TEXT(name, text) text,
        SPATE_ERR_MAP(SPATE_ERR_TEXT)
#undef SPATE_ERR_TEXT
    };
    return (unsigned)err < SPATE_ERR_COUNT ? texts[err] : "unknown error";
}

const char *spate_err_name(spate_err err)
{
    static const char *const names[] = {
#define SPATE_ERR_NAME(name, text) #name,
        SPATE_ERR_MAP(SPATE_ERR_NAME)
#undef SPATE_ERR_NAME
    };
    return (unsigned)err < SPATE_ERR_COUNT ? names[err] : "UNKNOWN_ERROR";
}
