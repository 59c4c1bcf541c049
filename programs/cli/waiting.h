// What is said of a job while one waits for it: at which other site it runs, and why nothing happens.
#ifndef LODE_PROGRAMS_CLI_WAITING_H
#define LODE_PROGRAMS_CLI_WAITING_H

#include "base/json.h"
#include "cli/contact.h"
#include "cli/progress.h"

// Embedded: waiting_begin, waiting_end. While it is begun, it looks at the job whenever the contact has waited for some seconds.
struct waiting {
    struct contact *contact;
    struct progress *progress; // Is hidden before words; NULL: none.
    int64_t job;
    bool is_json; // Events on standard output instead of words on standard error.
    bool has_said_place;
    struct buffer reason; // The last one that was said.
    int64_t heard_us;     // When the job showed life, by the steady clock.
    int64_t pause_us;     // Before the next look.
};

void waiting_begin(struct waiting *waiting, struct contact *contact, int64_t job,
                   struct progress *progress, bool is_json);
void waiting_end(struct waiting *waiting);

// Something came of the job: there is nothing to explain for some seconds.
void waiting_note_life(struct waiting *waiting);

// Says where a job runs that runs at another site, and which jobs are its parts; false when its document knows of neither.
bool waiting_say_place(const json_t *job);

#endif
