// The way to other sites: one `lode link` for all of them, which is a worker of this site at each.
#include "executor/supervised.h"

#include <stddef.h>

static enum status link_start(const struct executor_options *options, struct executor **out,
                              struct error *error)
{
    const char *arguments[] = {
        options->program,
        "link",
        "--site-file",
        options->site_file,
        "--token-file",
        options->token_file,
        "--directory",
        options->directory,
        "--key",
        options->key_path,
        "--certificate",
        options->certificate_path,
        NULL,
    };
    const struct supervised_options supervised = {
        .arguments = arguments,
        .directory = options->directory,
        .name = "the link to other sites",
        .report = options->report,
        .ended = options->ended,
        .context = options->context,
    };
    return supervised_start(&supervised, out, error);
}

const struct executor_ops EXECUTOR_LINK = {
    .name = "link",
    .start = link_start,
    .stop = supervised_stop,
};
