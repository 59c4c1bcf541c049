// How far a survey has come, and whether it must end: shared between the threads that work, show and stop it.
#ifndef LODE_CATALOG_METER_H
#define LODE_CATALOG_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct meter {
    _Atomic int64_t files_done;
    _Atomic int64_t files_total;
    _Atomic int64_t bytes_done;
    _Atomic int64_t bytes_total;
    atomic_bool is_stopped; // Set from outside: end soon, changing nothing more.
};

#endif
