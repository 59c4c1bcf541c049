// One page of a dataset's files, as another site lists them (GET /v1/datasets/{id}/files). Pure.
#ifndef LODE_CATALOG_FILE_PAGE_H
#define LODE_CATALOG_FILE_PAGE_H

#include "base/status.h"
#include "base/text.h"
#include "crypto/digest.h"

enum { FILE_PAGE_MAX = 1000 };

struct listed_file {
    struct text path; // Fit for path_check_relative.
    int64_t size_bytes;
    struct digest digest;
};
// A failure ends the page, and is that of file_page_read.
typedef enum status listed_file_fn(void *context, const struct listed_file *file,
                                   struct error *error);

// How much a site may list: what it has signed for. Counted down page by page.
struct file_allowance {
    int64_t files;
    int64_t bytes;
};

// Visits the files of the page in its order. *next is a heap copy of the cursor of the next page, or NULL behind the last one; unchanged unless OK.
// CORRUPT for what is no such page, and for files beyond the allowance, so that no site can go on for ever.
enum status file_page_read(struct text page, struct file_allowance *left, listed_file_fn *visit,
                           void *context, char **next, struct error *error);

// The path of the page behind `cursor` (NULL: the first one), with its query. On the heap.
char *file_page_path(struct text dataset, const char *cursor);

#endif
