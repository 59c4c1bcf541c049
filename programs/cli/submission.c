#include "cli/submission.h"

#include "base/hex.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/software.h"
#include "cli/words.h"
#include "crypto/digest.h"
#include "jobs/retries.h"
#include "jobs/spec.h"
#include "os/file.h"
#include "os/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { KEY_BYTES = 16, CONTENT_SIZE = sizeof "@" - 1 + DIGEST_TEXT_SIZE - 1 };

static void show_progress(void *context, int64_t done, int64_t total)
{
    progress_update(context, done, total);
}

enum status send_blob(struct contact *contact, struct upload *upload, bool is_quiet,
                      struct error *error)
{
    struct digest digest;
    TRY(digest_file(upload->fd, &digest, &upload->size, error));
    (void)digest_to_text(&digest, upload->digest);
    AUTO_FREE char *path = memory_format("/v1/blobs/%s", upload->digest);
    const struct http_ask look = {.method = "HEAD", .path = path};
    enum status status = contact_ask(contact, &look, NULL, error);
    if (status != NOT_FOUND) {
        return status;
    }
    struct progress progress;
    progress_init(&progress, upload->label, PROGRESS_BYTES, is_quiet);
    const struct http_ask put = {
        .method = "PUT",
        .path = path,
        .content_type = "application/octet-stream",
        .body_fd = upload->fd,
        .has_body_fd = true,
        .body_size = upload->size,
        .on_progress = show_progress,
        .context = &progress,
    };
    status = contact_ask(contact, &put, NULL, error);
    progress_hide(&progress);
    return status;
}

// "LOCAL=NAME": where the name begins; NULL without one. A name has no "/", so "a=b/c" is a path.
static const char *name_of(const char *argument)
{
    const char *equals = strrchr(argument, '=');
    return equals && equals[1] && !strchr(equals, '/') ? equals + 1 : NULL;
}

static enum status open_local(const char *path, int *fd, struct stat *found, struct error *error)
{
    AUTO_CLOSE int opened = open(path, O_RDONLY | O_CLOEXEC);
    if (opened < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    if (fstat(opened, found) != 0 || !S_ISREG(found->st_mode)) {
        (void)error_set(error, INVALID, "%s is not a file", path);
        error_fix(error, "folders and larger data are registered: lode data add ID %s", path);
        return INVALID;
    }
    *fd = file_take_fd(&opened);
    return OK;
}

// --file LOCAL[=NAME]: uploads it and adds it to the document's files.
static enum status add_file(struct contact *contact, const char *argument, bool is_quiet,
                            json_t *files, struct error *error)
{
    const char *name = name_of(argument);
    size_t length = name ? (size_t)(name - argument) - 1 : strlen(argument);
    AUTO_FREE char *path = memory_copy_bytes(argument, length);
    const char *slash = strrchr(path, '/');
    const char *shown = name ? name : slash ? slash + 1 : path;
    struct stat found;
    AUTO_CLOSE int fd = -1;
    TRY(open_local(path, &fd, &found, error));
    struct upload upload = {.label = shown, .fd = fd};
    TRY(send_blob(contact, &upload, is_quiet, error));
    json_t *file = json_object();
    (void)json_object_set_new(file, "name", json_from_text(text_of(shown)));
    (void)json_object_set_new(file, "blob", json_string(upload.digest));
    (void)json_object_set_new(file, "executable", json_boolean(found.st_mode & S_IXUSR));
    (void)json_array_append_new(files, file);
    return OK;
}

// Standard input as a file without a name, so that it can be digested and then sent.
static enum status spool_input(int *out, struct error *error)
{
    FILE *spool = tmpfile();
    if (!spool) {
        return error_set_errno(error, errno, "cannot make a temporary file");
    }
    char block[65536];
    size_t got = 0;
    bool is_written = true;
    while (is_written && (got = fread(block, 1, sizeof(block), stdin)) > 0) {
        is_written = fwrite(block, 1, got, spool) == got;
    }
    int fd = is_written && fflush(spool) == 0 ? fcntl(fileno(spool), F_DUPFD_CLOEXEC, 0) : -1;
    enum status status = fd < 0 ? error_set_errno(error, errno, "cannot keep standard input") : OK;
    (void)fclose(spool);
    *out = fd;
    return status;
}

static enum status add_items(struct contact *contact, const char *argument, bool is_quiet,
                             json_t *document, struct error *error)
{
    AUTO_CLOSE int fd = -1;
    struct stat found;
    if (strcmp(argument, "-") == 0) {
        TRY(spool_input(&fd, error));
    } else {
        TRY(open_local(argument, &fd, &found, error));
    }
    struct upload upload = {.label = "items", .fd = fd};
    TRY(send_blob(contact, &upload, is_quiet, error));
    (void)json_object_set_new(document, "items", json_string(upload.digest));
    return OK;
}

static bool is_plain_name(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
           strlen(name);
}

void submission_set_id(json_t *object, const char *member, const char *digest_member,
                       struct text said)
{
    struct digest digest;
    size_t at = said.length >= CONTENT_SIZE ? said.length - CONTENT_SIZE : 0;
    struct text content = text_slice(said, at, said.length);
    bool has_content = at > 0 && text_starts_with(content, TEXT("@sha256:")) &&
                       digest_from_text(text_slice(content, 1, CONTENT_SIZE), &digest, NULL) == OK;
    if (has_content) {
        (void)json_object_set_new(object, digest_member,
                                  json_from_text(text_slice(content, 1, CONTENT_SIZE)));
        said = text_slice(said, 0, at);
    }
    (void)json_object_set_new(object, member, json_from_text(said));
}

// --data ID[@DIGEST][=NAME]; an id may have "=" itself, a name has letters, digits and "._-" only.
static void add_data(const char *argument, json_t *data)
{
    const char *name = name_of(argument);
    bool has_name = name && is_plain_name(name);
    size_t length = has_name ? (size_t)(name - argument) - 1 : strlen(argument);
    json_t *one = json_object();
    submission_set_id(one, "id", "digest", (struct text){argument, length});
    if (has_name) {
        (void)json_object_set_new(one, "name", json_string(name));
    }
    (void)json_array_append_new(data, one);
}

static enum status add_variable(const char *argument, json_t *environment, struct error *error)
{
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    AUTO_FREE char *name = memory_copy_bytes(argument, length);
    const char *value = equals ? equals + 1 : getenv(name);
    if (length == 0 || !value) {
        (void)error_set(error, INVALID, "--env %.100s: the variable %s", argument,
                        length == 0 ? "has no name" : "is not set here");
        error_fix(error, "--env NAME=VALUE");
        return INVALID;
    }
    (void)json_object_set_new(environment, name, json_from_text(text_of(value)));
    return OK;
}

static enum status add_jobs(const struct options *options, const char *option, json_t *jobs,
                            struct error *error)
{
    const char *value = NULL;
    for (size_t at = 0; (value = options_next(options, option, &at));) {
        int64_t job = 0;
        TRY(parse_job_only(value, &job, error));
        (void)json_array_append_new(jobs, json_integer(job));
    }
    return OK;
}

// Sets `name` to an array (or object) when something is in it.
static void set_filled(json_t *document, const char *name, json_t *value)
{
    if (json_array_size(value) > 0 || json_object_size(value) > 0) {
        (void)json_object_set_new(document, name, value);
    } else {
        json_decref(value);
    }
}

static void add_integer(json_t *document, const struct options *options, const char *option,
                        const char *field)
{
    if (options_has(options, option)) {
        (void)json_object_set_new(document, field, json_integer(options_int64(options, option, 0)));
    }
}

// A number without a fraction where it has none.
static void set_number(json_t *document, const char *field, double number)
{
    bool is_whole = number == (double)(int64_t)number;
    (void)json_object_set_new(document, field,
                              is_whole ? json_integer((int64_t)number) : json_real(number));
}

static enum status add_retries(json_t *document, const struct options *options, struct error *error)
{
    const char *when_lost = options_text(options, "when-lost", NULL);
    const char *text = options_text(options, "retries", NULL);
    json_t *retries = NULL;
    if (when_lost) {
        (void)json_object_set_new(document, "when_lost", json_string(when_lost));
    }
    if (text) {
        TRY(retries_from_text(text_of(text), &retries, error));
        (void)json_object_set_new(document, "retries", retries);
    }
    return OK;
}

static void add_scalars(json_t *document, const struct options *options)
{
    static const char *const TEXTS[] = {"name", "group", "cache", "at", "stage"};
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        const char *value = options_text(options, TEXTS[i], NULL);
        if (value) {
            (void)json_object_set_new(document, TEXTS[i], json_from_text(text_of(value)));
        }
    }
    const char *over = options_text(options, "over", NULL);
    if (over) {
        submission_set_id(document, "over", "over_digest", text_of(over));
    }
    add_integer(document, options, "count", "count");
    add_integer(document, options, "memory", "memory_bytes");
    add_integer(document, options, "disk", "disk_bytes");
    add_integer(document, options, "priority", "priority");
    add_integer(document, options, "gpus", "gpus");
    if (options_has(options, "cpus")) {
        set_number(document, "cpus", options_number(options, "cpus", 1));
    }
    if (options_has(options, "walltime")) {
        set_number(document, "walltime_seconds",
                   (double)options_int64(options, "walltime", 0) / 1e6);
    }
    if (options_has(options, "api")) {
        (void)json_object_set_new(document, "api", json_true());
    }
    if (options_has(options, "spare")) {
        (void)json_object_set_new(document, "spare", json_true());
    }
    if (options_has(options, "network") || options_has(options, "api")) {
        (void)json_object_set_new(document, "network", json_true());
    }
    if (options_has(options, "stream")) {
        (void)json_object_set_new(document, "mode", json_string("stream"));
    }
}

static void append_word(void *array, struct text word)
{
    (void)json_array_append_new(array, json_from_text(word));
}

static enum status add_merge(const struct options *options, json_t *document, struct error *error)
{
    const char *command = options_text(options, "merge", NULL);
    struct error problem;
    if (!command) {
        return OK;
    }
    AUTO_JSON json_t *words = json_array();
    if (words_split(text_of(command), append_word, words, &problem) != OK) {
        (void)error_set(error, INVALID, "--merge: %s", problem.detail);
        error_fix(error, "%s", problem.fix);
        return INVALID;
    }
    (void)json_object_set(document, "merge", words);
    return OK;
}

static enum status add_checkpoint(const struct options *options, json_t *document,
                                  struct error *error)
{
    AUTO_JSON json_t *checkpoint = json_object();
    AUTO_JSON json_t *files = json_array();
    const char *value = NULL;
    for (size_t at = 0; (value = options_next(options, "checkpoint", &at));) {
        (void)json_array_append_new(files, json_from_text(text_of(value)));
    }
    if (json_array_size(files) == 0) {
        if (options_has(options, "checkpoint-every") || options_has(options, "checkpoint-signal")) {
            (void)error_set(error, INVALID, "it is not said which files make a checkpoint");
            error_fix(error, "add --checkpoint 'state.*'");
            return INVALID;
        }
        return OK;
    }
    (void)json_object_set(checkpoint, "files", files);
    if (options_has(options, "checkpoint-every")) {
        set_number(checkpoint, "interval_seconds",
                   (double)options_int64(options, "checkpoint-every", 0) / 1e6);
    }
    value = options_text(options, "checkpoint-signal", NULL);
    if (value) {
        (void)json_object_set_new(checkpoint, "signal", json_from_text(text_of(value)));
    }
    (void)json_object_set(document, "checkpoint", checkpoint);
    return OK;
}

// The parts that need no site.
static enum status add_lists(json_t *document, const struct options *options, struct error *error)
{
    json_t *command = json_array();
    for (size_t i = 0; i < options->operand_count; i++) {
        (void)json_array_append_new(command, json_from_text(text_of(options->operands[i])));
    }
    (void)json_object_set_new(document, "command", command);
    AUTO_JSON json_t *data = json_array();
    AUTO_JSON json_t *outputs = json_array();
    AUTO_JSON json_t *labels = json_array();
    AUTO_JSON json_t *environment = json_object();
    AUTO_JSON json_t *after = json_array();
    AUTO_JSON json_t *input_from = json_array();
    const char *value = NULL;
    for (size_t at = 0; (value = options_next(options, "data", &at));) {
        add_data(value, data);
    }
    for (size_t at = 0; (value = options_next(options, "output", &at));) {
        (void)json_array_append_new(outputs, json_from_text(text_of(value)));
    }
    for (size_t at = 0; (value = options_next(options, "require", &at));) {
        TRY(label_check(text_of(value), error));
        (void)json_array_append_new(labels, json_from_text(text_of(value)));
    }
    for (size_t at = 0; (value = options_next(options, "env", &at));) {
        TRY(add_variable(value, environment, error));
    }
    TRY(add_jobs(options, "after", after, error));
    TRY(add_jobs(options, "input-from", input_from, error));
    set_filled(document, "data", json_incref(data));
    set_filled(document, "outputs", json_incref(outputs));
    set_filled(document, "require", json_incref(labels));
    set_filled(document, "environment", json_incref(environment));
    set_filled(document, "after", json_incref(after));
    set_filled(document, "input_from", json_incref(input_from));
    TRY(add_checkpoint(options, document, error));
    return add_merge(options, document, error);
}

static enum status add_uploads(struct contact *contact, json_t *document,
                               const struct options *options, bool is_quiet, struct error *error)
{
    AUTO_JSON json_t *files = json_array();
    const char *value = NULL;
    for (size_t at = 0; (value = options_next(options, "file", &at));) {
        TRY(add_file(contact, value, is_quiet, files, error));
    }
    set_filled(document, "files", json_incref(files));
    TRY(software_add(contact, options, is_quiet, document, error));
    const char *items = options_text(options, "items", NULL);
    return items ? add_items(contact, items, is_quiet, document, error) : OK;
}

enum status submission_check(const struct options *options, struct error *error)
{
    AUTO_JSON json_t *document = json_object();
    TRY(add_retries(document, options, error));
    TRY(software_check(options, error));
    return add_lists(document, options, error);
}

enum status submission_document(struct contact *contact, const struct options *options,
                                bool is_quiet, json_t **out, struct error *error)
{
    AUTO_JSON json_t *document = json_object();
    add_scalars(document, options);
    TRY(add_retries(document, options, error));
    TRY(add_lists(document, options, error));
    TRY(add_uploads(contact, document, options, is_quiet, error));
    *out = TAKE(document);
    return OK;
}

enum status submission_make(struct contact *contact, const struct options *options, bool is_quiet,
                            json_t **job, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    TRY(submission_document(contact, options, is_quiet, &document, error));
    unsigned char random[KEY_BYTES];
    char key[2 * KEY_BYTES + 1];
    random_fill(random, sizeof(random));
    hex_encode(random, sizeof(random), key);
    AUTO_BUFFER struct buffer body = {0};
    AUTO_BUFFER struct buffer answer = {0};
    json_write(document, false, &body);
    const struct http_ask ask = {
        .method = "POST",
        .path = "/v1/jobs",
        .body = buffer_text(&body),
        .idempotency_key = key,
    };
    TRY(contact_ask(contact, &ask, &answer, error));
    TRY(json_parse(buffer_text(&answer), job, error));
    if (field_int64(*job, "id") <= 0) {
        json_decref(TAKE(*job));
        return error_set(error, CORRUPT, "the site's answer names no job");
    }
    return OK;
}
