/*
 * Loads the DPDK driver, which is a module so that only those who use it need DPDK.
 *
 * The dynamic linker looks for it in LD_LIBRARY_PATH and in the RUNPATH of whoever this code is
 * linked into (the build folder, or where it was installed). A program that links libspate
 * statically has no such path: then where `ninja install` puts the module is tried as well.
 */
#include "core_internal.h"

#include <dlfcn.h>
#include <string.h>

#include "net/dpdk/dpdk.h"

#define REMEDY "install libdpdk-dev and build with -Ddpdk=enabled, or choose transport = socket"

/* Whether the linker found no such file; a module that is there but broken is not passed over. */
static bool is_absent(const char *error)
{
    const size_t length = strlen(SPATE_NET_DPDK_FILE ":");

    return strncmp(error, SPATE_NET_DPDK_FILE ":", length) == 0 &&
           strstr(error, "No such file") != NULL;
}

/* It stays loaded: EAL's threads outlive the last endpoint. On failure *ret_error has the reason.
 */
static void *load(const char *path, const char **ret_error)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (module == NULL) {
        *ret_error = dlerror();
        *ret_error = *ret_error != NULL ? *ret_error : path;
    }
    return module;
}

spate_err spate_core_load_dpdk(const struct spate_message_line *line,
                               const struct spate_net_dpdk_module **ret_module)
{
    const char *error = NULL;
    void *file = load(SPATE_NET_DPDK_FILE, &error);

    if (file == NULL && is_absent(error)) {
        file = load(SPATE_MODULE_FOLDER "/" SPATE_NET_DPDK_FILE, &error);
    }
    if (file == NULL) {
        return spate_explain(line, SPATE_ERR_UNSUPPORTED,
                             "the DPDK driver cannot be loaded (%s): install libdpdk-dev and build "
                             "with -Ddpdk=enabled, or choose transport = socket",
                             error);
    }
    const struct spate_net_dpdk_module *module = dlsym(file, SPATE_NET_DPDK_SYMBOL);
    if (module == NULL || module->abi != SPATE_NET_DPDK_ABI) {
        return spate_explain(line, SPATE_ERR_UNSUPPORTED,
                             "%s is of another version than this program (%u, not %u): install "
                             "both from the same build",
                             SPATE_NET_DPDK_FILE, module != NULL ? module->abi : 0,
                             SPATE_NET_DPDK_ABI);
    }
    *ret_module = module;
    return SPATE_OK;
}
