// What is known of datasets at another site, as a catalogue: so a job that runs there has the identity that it would have here.
#ifndef LODE_PREPARE_ELSEWHERE_H
#define LODE_PREPARE_ELSEWHERE_H

#include "prepare/destination.h"

struct elsewhere {
    const struct prepare_known_data *data;
    size_t count;
};

// The context is a struct elsewhere. It has no roots; files are visited where the data brings them.
extern const struct prepare_catalog_ops ELSEWHERE_CATALOG;

// May a job run over this dataset? INVALID when its files are not known.
enum status elsewhere_check_over(const struct elsewhere *elsewhere, const char *id,
                                 struct error *error);

#endif
