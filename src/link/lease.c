// What home has leased to the worker of a place, and which submissions it needs for that.
#include "link/state.h"

#include "base/memory.h"
#include "os/clock.h"

struct placed_job *placed_job_find(const struct place *place, int64_t id)
{
    return map_find_int64(place->jobs, id);
}

void placed_job_free(struct placed_job *job)
{
    json_decref(job->spec);
    free(job->owner);
    free(job->origin);
    free(job->setup);
    free(job->why);
    free(job->change);
    free(job);
}

enum status placed_job_take(struct place *place, const json_t *document, struct error *error)
{
    struct wire_job read;
    TRY(wire_read_job(document, &read, error));
    struct placed_job *job = placed_job_find(place, read.id);
    if (!job) {
        job = NEW(struct placed_job);
        job->id = read.id;
        (void)map_set_int64(place->jobs, job->id, job);
    }
    json_decref(job->spec);
    free(job->owner);
    free(job->origin);
    job->spec = json_incref(read.spec);
    job->origin = text_copy(read.origin);
    job->owner = text_copy(read.owner);
    job->is_stream = read.is_stream;
    job->disk_bytes = read.disk_bytes;
    job->is_dropped = false;
    return OK;
}

static void free_lease(struct carried *lease)
{
    ranges_done(&lease->told);
    ranges_done(&lease->reported);
    free(lease);
}

struct carried *lease_find(struct place *place, int64_t id)
{
    struct carried *lease = place->leases;
    while (lease && lease->id != id) {
        lease = lease->next;
    }
    return lease;
}

struct carried *lease_of(struct place *place, int64_t job, int64_t index)
{
    struct carried *lease = place->leases;
    while (lease && (lease->is_unsettled || lease->job->id != job || index < lease->from ||
                     index >= lease->to || ranges_contains(&lease->told, index))) {
        lease = lease->next;
    }
    return lease;
}

bool lease_needs(struct place *place, const struct submission *submission)
{
    for (const struct carried *lease = place->leases; lease; lease = lease->next) {
        if (lease->job->id == submission->home_job && lease->from < submission->to &&
            lease->to > submission->from) {
            return true;
        }
    }
    return false;
}

// The end of the part from `at` on for which one submission is good: an old one (*found), or a new one to be made.
static int64_t part_end(struct place *place, const struct placed_job *job, int64_t at, int64_t to,
                        struct submission **found)
{
    struct range range;
    *found = submission_of(place, job->id, at);
    if (*found) {
        int64_t end = (*found)->to < to ? (*found)->to : to;
        return ranges_first_overlap(&(*found)->reported, at, end, &range) ? range.from : end;
    }
    int64_t end = at + 1;
    while (end < to && !submission_of(place, job->id, end)) {
        // Where no submission begins or comes to an end of what it has reported, nothing changes.
        int64_t next = to;
        for (const struct submission *each = place->submissions; each; each = each->next) {
            if (each->home_job != job->id || each->is_abandoned ||
                each->step == SUBMISSION_CLOSED) {
                continue;
            }
            int64_t begin = each->from > end ? each->from : end;
            if (begin < each->to && ranges_first_gap(&each->reported, begin, each->to, &range) &&
                range.from < next) {
                next = range.from;
            }
        }
        end = next > end ? next : end + 1;
    }
    return end;
}

static void find_submissions(struct place *place, struct carried *lease)
{
    lease->is_unsettled = false;
    for (int64_t at = lease->from; at < lease->to;) {
        struct submission *submission = NULL;
        int64_t end = part_end(place, lease->job, at, lease->to, &submission);
        if (submission) {
            submission->orphan_us = 0;
            if (submission->has_seen) {
                // What was passed over, as nobody wanted it, is wanted now.
                submission_follow_anew(submission);
            }
        } else {
            (void)submission_new(place, lease->job, at, end);
        }
        at = end;
    }
}

// Is a result of these tasks in the report that is under way? A lease that overtakes its acknowledgement may want another run of a
// task that has failed, or the same result once more: that is known when the report has arrived, or has not.
static bool is_under_way(const struct place *place, const struct carried *lease)
{
    for (const struct parcel *parcel = place->sent.first; parcel; parcel = parcel->next) {
        if (parcel->job == lease->job && parcel->from < lease->to && parcel->to > lease->from) {
            return true;
        }
    }
    return false;
}

void lease_take(struct place *place, int64_t id, struct placed_job *job, int64_t from, int64_t to)
{
    if (lease_find(place, id)) {
        return;
    }
    struct carried *lease = NEW(struct carried);
    *lease = (struct carried){.next = place->leases, .id = id, .job = job, .from = from, .to = to};
    place->leases = lease;
    job->is_dropped = false;
    lease->is_unsettled = is_under_way(place, lease);
    if (!lease->is_unsettled) {
        find_submissions(place, lease);
    }
}

void leases_settle(struct place *place)
{
    for (struct carried *lease = place->leases; lease; lease = lease->next) {
        if (lease->is_unsettled) {
            find_submissions(place, lease);
        }
    }
}

// The first part from `from` on that is leased, without a result, and within the submission.
static struct carried *first_untold(struct place *place, const struct submission *submission,
                                    int64_t from, struct range *out)
{
    struct carried *found = NULL;
    struct range gap;
    for (struct carried *lease = place->leases; lease; lease = lease->next) {
        int64_t begin = lease->from > from ? lease->from : from;
        int64_t end = lease->to < submission->to ? lease->to : submission->to;
        if (!lease->is_unsettled && lease->job->id == submission->home_job && begin < end &&
            ranges_first_gap(&lease->told, begin, end, &gap) && (!found || gap.from < out->from)) {
            found = lease;
            *out = gap;
        }
    }
    return found;
}

struct carried *lease_owed(struct place *place, const struct submission *submission, int64_t from,
                           struct range *out)
{
    from = from > submission->from ? from : submission->from;
    struct carried *lease = NULL;
    while ((lease = first_untold(place, submission, from, out))) {
        const struct submission *owner = submission_of(place, submission->home_job, out->from);
        if (owner && owner != submission) {
            from = out->from + 1;
            if (owner->reported.count == 0) { // All of it is the other one's.
                from = owner->to < out->to ? owner->to : out->to;
            }
            continue;
        }
        for (const struct submission *each = place->submissions; each; each = each->next) {
            if (each->number > submission->number && each->home_job == submission->home_job &&
                each->from > out->from && each->from < out->to) {
                out->to = each->from;
            }
        }
        return lease;
    }
    return NULL;
}

static void abandon_unneeded(struct place *place, int64_t job)
{
    for (struct submission *each = place->submissions; each; each = each->next) {
        if (each->home_job == job && !lease_needs(place, each)) {
            submission_abandon(each);
        }
    }
}

static void remove_lease(struct carried **at)
{
    struct carried *lease = *at;
    *at = lease->next;
    free_lease(lease);
}

void lease_drop(struct place *place, int64_t id)
{
    for (struct carried **at = &place->leases; *at; at = &(*at)->next) {
        if ((*at)->id == id) {
            int64_t job = (*at)->job->id;
            parcels_forget(place, NULL, id);
            remove_lease(at);
            abandon_unneeded(place, job);
            return;
        }
    }
}

void placed_job_drop(struct place *place, int64_t id)
{
    struct placed_job *job = placed_job_find(place, id);
    if (!job) {
        return;
    }
    for (struct carried **at = &place->leases; *at;) {
        if ((*at)->job == job) {
            parcels_forget(place, NULL, (*at)->id);
            remove_lease(at);
        } else {
            at = &(*at)->next;
        }
    }
    abandon_unneeded(place, id);
    job->is_dropped = true;
}

static bool is_used(const struct parcels *parcels, const struct placed_job *job)
{
    for (const struct parcel *each = parcels->first; each; each = each->next) {
        if (each->job == job) {
            return true;
        }
    }
    return false;
}

void placed_jobs_remove_unused(struct place *place)
{
    size_t at = 0;
    for (struct placed_job *job = map_next(place->jobs, &at); job;
         job = map_next(place->jobs, &at)) {
        if (job->is_dropped && !is_used(&place->copying, job) && !is_used(&place->ready, job) &&
            !is_used(&place->sent, job)) {
            (void)map_set_int64(place->jobs, job->id, NULL);
            placed_job_free(job);
            return; // The map has changed: the next turn finds the next one.
        }
    }
}

void leases_write(const struct place *place, struct buffer *out)
{
    bool is_first = true;
    buffer_append_string(out, ",\"leases\":[");
    for (const struct carried *lease = place->leases; lease; lease = lease->next) {
        struct range gap;
        if (ranges_first_gap(&lease->reported, lease->from, lease->to, &gap)) {
            buffer_printf(out, "%s[%lld,%lld,%lld,%lld]", is_first ? "" : ",", (long long)lease->id,
                          (long long)lease->job->id, (long long)gap.from, (long long)lease->to);
            is_first = false;
        }
    }
    buffer_append_byte(out, ']');
}

void leases_remove_done(struct place *place)
{
    struct carried **at = &place->leases;
    while (*at) {
        struct range gap;
        if (ranges_first_gap(&(*at)->reported, (*at)->from, (*at)->to, &gap)) {
            at = &(*at)->next;
        } else {
            remove_lease(at);
        }
    }
}

void leases_free(struct place *place)
{
    while (place->leases) {
        remove_lease(&place->leases);
    }
}
