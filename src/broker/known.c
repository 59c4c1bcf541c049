// Data of other sites, as the queue wants to be told of it; the files of what a job runs over are listed by a site that has it.
#include "broker/state.h"

#include "base/memory.h"
#include "catalog/file_page.h"

typedef enum status visit_fn(void *visitor, const struct prepare_file *file, struct error *error);

struct visit {
    visit_fn *visit;
    void *visitor;
    struct file_allowance left;
};

static enum status visit_file(void *context, const struct listed_file *file, struct error *error)
{
    const struct visit *visit = context;
    const struct prepare_file described = {
        .path = file->path, .digest = file->digest, .size_bytes = file->size_bytes};
    return visit->visit(visit->visitor, &described, error);
}

// One page; *cursor (heap) becomes the next one's, or NULL.
static enum status visit_page(const struct known_files *files, char **cursor, struct visit *visit,
                              struct error *error)
{
    AUTO_FREE char *path = file_page_path(text_of(files->id), *cursor);
    AUTO_BUFFER struct buffer answer = {0};
    char *next = NULL;
    TRY(broker_call(files->broker, &files->at.site, files->user, "GET", path, TEXT_NONE, &answer,
                    error));
    TRY(file_page_read(buffer_text(&answer), &visit->left, visit_file, visit, &next, error));
    free(*cursor);
    *cursor = next;
    return OK;
}

static enum status each_file(void *context, visit_fn *visit, void *visitor, struct error *error)
{
    const struct known_files *files = context;
    struct visit how = {.visit = visit, .visitor = visitor, .left = files->signed_for};
    char *cursor = NULL;
    enum status status = OK;
    do {
        status = visit_page(files, &cursor, &how, error);
    } while (status == OK && cursor);
    free(cursor);
    return status;
}

void known_add(struct known_list *list, struct broker *broker, const struct survey_data *known,
               const struct peer *at)
{
    struct known_files *files = &list->files[list->count];
    *files = (struct known_files){
        .broker = broker,
        .id = known->id,
        .user = list->user,
        .signed_for = {.files = known->file_count, .bytes = known->size_bytes},
    };
    if (at) {
        files->at = *at;
    }
    list->data[list->count++] = (struct prepare_known_data){
        .id = known->id,
        .digest = known->digest,
        .file_count = known->file_count,
        .size_bytes = known->size_bytes,
        .each_file = at ? each_file : NULL,
        .files_context = files,
    };
}

struct prepare_destination known_destination(const struct known_list *list, const char *place)
{
    return (struct prepare_destination){
        .place = text_of(place), .data = list->data, .data_count = list->count};
}
