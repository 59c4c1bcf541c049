// Data of other sites, as the queue wants to be told of it; the files of what a job runs over are listed by a site that has it.
#include "broker/state.h"

#include "base/hex.h"
#include "base/memory.h"
#include "catalog/path.h"

enum { PAGE_FILES = 1000, PATH_SIZE_MAX = 4096 };

typedef enum status visit_fn(void *visitor, const struct queue_file *file, struct error *error);

static enum status visit_item(const json_t *item, visit_fn *visit, void *visitor,
                              struct error *error)
{
    struct queue_file file = {0};
    struct text digest = TEXT_NONE;
    TRY(json_field_text(item, "path", JSON_REQUIRED, PATH_SIZE_MAX, &file.path, error));
    TRY(json_field_text(item, "digest", JSON_REQUIRED, DIGEST_TEXT_SIZE, &digest, error));
    TRY(json_field_int64(item, "size_bytes", JSON_REQUIRED, 0, INT64_MAX, &file.size_bytes, error));
    TRY(digest_from_text(digest, &file.digest, error));
    TRY(path_check_relative(file.path, error));
    return visit(visitor, &file, error);
}

// One page; *cursor (heap) becomes the next one's, or NULL.
static enum status visit_page(const struct known_files *files, char **cursor, visit_fn *visit,
                              void *visitor, struct error *error)
{
    AUTO_BUFFER struct buffer path = {0};
    AUTO_BUFFER struct buffer answer = {0};
    AUTO_JSON json_t *page = NULL;
    json_t *items = NULL;
    struct text next = TEXT_NONE;
    buffer_append_string(&path, "/v1/datasets/");
    percent_append(&path, text_of(files->id));
    buffer_printf(&path, "/files?limit=%d", PAGE_FILES);
    if (*cursor) {
        buffer_append_string(&path, "&cursor=");
        percent_append(&path, text_of(*cursor));
    }
    TRY(broker_call(files->broker, &files->at.site, files->user, "GET", path.bytes, TEXT_NONE,
                    &answer, error));
    TRY(json_parse(buffer_text(&answer), &page, error));
    TRY(json_field_array(page, "files", JSON_REQUIRED, PAGE_FILES, &items, error));
    TRY(json_field_text(page, "next", JSON_OPTIONAL, PATH_SIZE_MAX, &next, error));
    for (size_t i = 0; i < json_array_size(items); i++) {
        TRY(visit_item(json_array_get(items, i), visit, visitor, error));
    }
    free(*cursor);
    *cursor = next.bytes && json_array_size(items) > 0 ? text_copy(next) : NULL;
    return OK;
}

static enum status each_file(void *context, visit_fn *visit, void *visitor, struct error *error)
{
    char *cursor = NULL;
    enum status status = OK;
    do {
        status = visit_page(context, &cursor, visit, visitor, error);
    } while (status == OK && cursor);
    free(cursor);
    return status;
}

void known_add(struct known_list *list, struct broker *broker, const struct survey_data *known,
               const struct peer *at)
{
    struct known_files *files = &list->files[list->count];
    *files = (struct known_files){.broker = broker, .id = known->id, .user = list->user};
    if (at) {
        files->at = *at;
    }
    list->data[list->count++] = (struct queue_known_data){
        .id = known->id,
        .digest = known->digest,
        .file_count = known->file_count,
        .size_bytes = known->size_bytes,
        .each_file = at ? each_file : NULL,
        .files_context = files,
    };
}

struct queue_destination known_destination(const struct known_list *list, const char *place)
{
    return (struct queue_destination){
        .place = text_of(place), .data = list->data, .data_count = list->count};
}
