// What must be known of a job before it is submitted: its data looked at, its index set counted, its identity.
#ifndef LODE_PREPARE_PREPARE_H
#define LODE_PREPARE_PREPARE_H

#include "base/buffer.h"
#include "base/json.h"
#include "prepare/cache.h"
#include "prepare/destination.h"

struct prepare_options {
    struct prepare_destination to;
    struct text owner;           // For the description of a job with a place.
    struct text key;             // The owner's for this submission, for the same; empty: none.
    const struct digest *origin; // See struct queue_submission.
    bool is_again;               // It was submitted before: the cache has been asked.
};

struct prepared {
    struct arena arena;
    const struct prepare_catalog_ops *catalog; // Where its data is known.
    void *catalog_context;
    bool is_elsewhere;         // That is another site's.
    struct job_row row;        // All but id, owner and time.
    struct buffer description; // For workers; see struct active_job.
    struct buffer command;     // In one line, for lists.
    struct buffer spec;        // JSON, with the count filled in.
    struct buffer offer;       // JSON, as in the row.
    struct buffer inputs;      // JSON array of the record's inputs that are common to all tasks.
    struct cache_plan plan;
    const char *datasets[SPEC_DATA_MAX + 1]; // The identifiers of those that it uses, each once.
    size_t dataset_count;
    int64_t input_bytes;                    // Of the data that each task needs.
    struct prepare_look look;               // At all of them.
    const char *digests[SPEC_DATA_MAX + 1]; // Of its data, in order, and of what it runs over.
    size_t digest_count;
};

// Blocks for the disk. The statuses of queue_submit; *out is to be ended with prepared_done in every case.
enum status prepare_job(const struct prepare_site *site, struct job_spec *spec,
                        const struct prepare_options *options, struct prepared *out,
                        struct error *error);
// Notes the datasets that the job uses; its id must be set.
enum status prepared_insert_uses(struct sql *sql, const struct prepared *prepared,
                                 struct error *error);
void prepared_done(struct prepared *prepared);

// --- describe.c: what workers are told of a job, into out->description

// What the description of a job whose tasks may ask the site begins with.
#define DESCRIPTION_API "\"api\":true,"

// A worker of this site: what it takes to run it. `data`: what is said of its data. INTERNAL when the document is not whole.
enum status describe_here(const struct job_spec *spec, const json_t *document, struct text data,
                          int64_t items_size, struct prepared *out, struct error *error);
// A worker of another place: the whole document, without what has been done with it here, with the content of its data, and with the
// offer that it comes under there.
void describe_elsewhere(const json_t *document, const struct prepare_options *options,
                        struct prepared *out);

// Does the command say {index}? Then its results depend on the index too.
bool prepare_says_index(const struct job_spec *spec);
// Is the data of the job still what it was when the job was submitted? Blocks for the disk. CONFLICT, with the way out, when not.
enum status prepare_retry(const struct prepare_site *site, int64_t job, struct error *error);

#endif
