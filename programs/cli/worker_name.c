#include "cli/worker_name.h"

#include "cli/output.h"

struct search {
    struct text wanted;
    int64_t number; // 0: none has been found.
    int64_t second;
    int64_t gone; // The last one of that name that has left.
};

static enum status look_at(void *context, json_t *worker, struct error *error)
{
    (void)error;
    struct search *search = context;
    struct text state = field_text(worker, "state");
    int64_t number = field_int64(worker, "id");
    if (!text_equal(field_text(worker, "name"), search->wanted)) {
        return OK;
    }
    if (text_equal(state, TEXT("gone"))) {
        search->gone = number;
    } else if (!text_equal(state, TEXT("lost"))) {
        search->second = search->number;
        search->number = number;
    }
    return OK;
}

enum status worker_named(struct contact *contact, const char *word, int64_t *number,
                         struct error *error)
{
    struct search search = {.wanted = text_of(word)};
    if (text_to_int64(search.wanted, number) && *number > 0) {
        return OK;
    }
    TRY(contact_list(contact, "/v1/workers", "workers", 0, look_at, &search, error));
    if (search.number == 0 && search.gone != 0) {
        search.number = search.gone;
    }
    if (search.number == 0) {
        (void)error_set(error, NOT_FOUND, "there is no worker \"%.100s\"", word);
        error_fix(error, "lode workers lists those that there are");
        return NOT_FOUND;
    }
    if (search.second != 0) {
        (void)error_set(error, CONFLICT, "several workers are named \"%.100s\"", word);
        error_fix(error, "write the number of one, such as %lld; lode workers lists them",
                  (long long)search.number);
        return CONFLICT;
    }
    *number = search.number;
    return OK;
}
