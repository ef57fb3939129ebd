/* Shared by the files about EAL, the process-wide part of this driver. */
#ifndef SPATE_DPDK_EAL_INTERNAL_H
#define SPATE_DPDK_EAL_INTERNAL_H

#include "dpdk_internal.h"

/* eal_log.c: EAL and its drivers write lines; they are kept instead of printed. */
void spate_dpdk_eal_log_open(void);
/* So do the libraries below AF_XDP's driver, of things that are not ours: silenced. */
void spate_dpdk_eal_log_hush(void);

/* eal_folder.c */
uint64_t spate_dpdk_hugepages_free_mib(void);
/* Makes EAL's folder for that file prefix, and marks it as that of a living process. */
void spate_dpdk_folder_claim(const char *prefix);
/* Ours; and those of processes that are gone. */
void spate_dpdk_folder_remove(void);
void spate_dpdk_folder_sweep(void);

#endif
