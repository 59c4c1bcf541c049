// What is durable of a submission: who it is for, and what it says, written before it is sent. After a crash the same words under the
// same key find the job that was made of them, or make it.
#include "link/state.h"

#include "base/memory.h"
#include "os/file.h"
#include "os/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

enum { INTENT_SIZE_MAX = 8 << 20, NUMBERS_RESERVED = 1000, NUMBERS_SIZE_MAX = 64 };

static char *intent_path(const struct link *link, int64_t number, const char *suffix)
{
    return memory_format("%s/%" PRId64 "%s", link->intents, number, suffix);
}

// Numbers are reserved many at a time, so that taking one costs no disk, and never given twice.
static enum status reserve_numbers(struct link *link, struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/numbers", link->options->directory);
    AUTO_FREE char *text = memory_format("%" PRId64 "\n", link->next_number + NUMBERS_RESERVED);
    TRY(file_write_atomic(path, text_of(text), 0600, error));
    link->number_end = link->next_number + NUMBERS_RESERVED;
    return OK;
}

int64_t intent_number(struct link *link)
{
    if (link->next_number == link->number_end && reserve_numbers(link, &link->fault) != OK) {
        link->fault.status = INTERNAL;
        link->is_ended = true; // Without it a number could be given twice.
    }
    return link->next_number++;
}

enum status intent_write(const struct submission *submission, struct error *error)
{
    const struct place *place = submission->place;
    AUTO_BUFFER struct buffer out = {0};
    AUTO_FREE char *path = intent_path(place->link, submission->number, ".json");
    AUTO_JSON json_t *body = NULL;
    TRY(json_parse(text_of(submission->body), &body, error));
    AUTO_JSON json_t *document = json_pack(
        "{s:I, s:I, s:I, s:I, s:s, s:o, s:s, s:o, s:s, s:s, s:b, s:O}", "number",
        (json_int_t)submission->number, "job", (json_int_t)submission->home_job, "from",
        (json_int_t)submission->from, "to", (json_int_t)submission->to, "place", place->known.site,
        "name", json_from_text(text_of(place->known.name)), "url", place->known.url, "owner",
        json_from_text(text_of(submission->owner)), "key", submission->key, "origin",
        submission->origin, "is_abandoned", submission->is_abandoned, "body", body);
    json_write(document, false, &out);
    return file_write_atomic(path, buffer_text(&out), 0600, error);
}

void intent_remove(const struct submission *submission)
{
    AUTO_FREE char *path = intent_path(submission->place->link, submission->number, ".json");
    AUTO_FREE char *failures =
        intent_path(submission->place->link, submission->number, ".failures");
    (void)unlink(path);
    (void)unlink(failures);
}

void intent_note_failure(const struct submission *submission, int64_t index)
{
    AUTO_FREE char *path = intent_path(submission->place->link, submission->number, ".failures");
    AUTO_FREE char *line = memory_format("%" PRId64 "\n", index);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)file_write_all(fd, text_of(line), NULL);
    }
}

static void read_failures(struct submission *submission)
{
    AUTO_FREE char *path = intent_path(submission->place->link, submission->number, ".failures");
    AUTO_BUFFER struct buffer content = {0};
    struct text line;
    if (file_read(path, INTENT_SIZE_MAX, &content, NULL) != OK) {
        return;
    }
    struct text rest = buffer_text(&content);
    while (rest.length > 0 && text_next_part(&rest, '\n', &line)) {
        int64_t index = 0;
        if (text_to_int64(line, &index)) {
            (void)ranges_add(&submission->reported, index, index + 1);
        }
    }
}

static enum status read_place(struct link *link, const json_t *document, struct place **out,
                              struct error *error)
{
    struct wire_place *places = NULL;
    struct arena arena AUTO_ARENA = {0};
    AUTO_BUFFER struct buffer text = {0};
    size_t count = 0;
    int64_t version = 0;
    AUTO_JSON json_t *list = json_pack("{s:i, s:[O]}", "version", 0, "places", document);
    json_write(list, false, &text);
    TRY(wire_read_places(buffer_text(&text), &arena, &places, &count, &version, error));
    *out = place_find(link, places[0].site);
    if (!*out) {
        *out = place_add(link, &places[0]);
    }
    return OK;
}

// A text field, copied; "" when it is not there.
static char *copy_field(const json_t *document, const char *name)
{
    return text_copy(json_text(json_object_get(document, name)));
}

static enum status read_intent(struct link *link, const char *path, struct error *error)
{
    AUTO_BUFFER struct buffer content = {0};
    AUTO_BUFFER struct buffer body = {0};
    AUTO_JSON json_t *document = NULL;
    struct place *place = NULL;
    int64_t numbers[4] = {0};
    static const char *const NAMES[4] = {"number", "job", "from", "to"};
    json_t *spec = NULL;
    TRY(file_read(path, INTENT_SIZE_MAX, &content, error));
    TRY(json_parse(buffer_text(&content), &document, error));
    for (size_t i = 0; i < 4; i++) {
        TRY(json_field_int64(document, NAMES[i], JSON_REQUIRED, 0, INT64_MAX, &numbers[i], error));
    }
    TRY(json_field_object(document, "body", JSON_REQUIRED, &spec, error));
    TRY(read_place(link, document, &place, error));
    struct submission *submission = NEW(struct submission);
    event_stream_init(&submission->events);
    json_write(spec, false, &body);
    submission->place = place;
    submission->number = numbers[0];
    submission->home_job = numbers[1];
    submission->from = numbers[2];
    submission->to = numbers[3];
    submission->owner = copy_field(document, "owner");
    submission->key = copy_field(document, "key");
    submission->origin = copy_field(document, "origin");
    submission->body = buffer_take_string(&body);
    submission->is_durable = true;
    submission->may_be_there = true;
    submission->is_abandoned = json_is_true(json_object_get(document, "is_abandoned"));
    submission->step = submission->is_abandoned ? SUBMISSION_SUBMITS : SUBMISSION_BLOBS;
    read_failures(submission);
    // Newest first, as those that are made later.
    struct submission **at = &place->submissions;
    while (*at && (*at)->number > submission->number) {
        at = &(*at)->next;
    }
    submission->next = *at;
    *at = submission;
    return OK;
}

static void read_number(struct link *link)
{
    AUTO_FREE char *path = memory_format("%s/numbers", link->options->directory);
    AUTO_BUFFER struct buffer content = {0};
    link->next_number = 1;
    if (file_read(path, NUMBERS_SIZE_MAX, &content, NULL) == OK) {
        (void)text_to_int64(text_trim(buffer_text(&content)), &link->next_number);
    }
}

enum status intents_open(struct link *link, struct error *error)
{
    DIR *folder = opendir(link->intents);
    if (!folder) {
        return error_set(error, INTERNAL, "cannot list %s", link->intents);
    }
    read_number(link);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        struct error problem = {0};
        AUTO_FREE char *path = memory_format("%s/%s", link->intents, entry->d_name);
        if (text_ends_with(text_of(entry->d_name), TEXT(".json")) &&
            read_intent(link, path, &problem) != OK) {
            log_line(LOG_LEVEL_ERROR, "event=intent-unreadable path=\"%s\" detail=\"%s\"", path,
                     problem.detail);
        }
    }
    (void)closedir(folder);
    for (const struct place *place = link->places; place; place = place->next) {
        int64_t newest = place->submissions ? place->submissions->number : 0;
        link->next_number = newest >= link->next_number ? newest + 1 : link->next_number;
    }
    return reserve_numbers(link, error);
}
