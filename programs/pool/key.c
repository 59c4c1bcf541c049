// The key by which helpers know who calls, and `lode pool key`, which shows it.
#include "pool/pool.h"

#include "base/memory.h"
#include "cli/command.h"
#include "cli/output.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

enum status caller_key_ensure(struct caller_key *out, struct error *error)
{
    AUTO_FREE char *folder = NULL;
    TRY(site_choice_folder(&folder, error));
    TRY(file_make_folder(folder, error));
    // Many calls begin at once; one makes the key.
    AUTO_CLOSE int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        return error_set_errno(error, errno, "cannot lock %s", folder);
    }
    struct caller_key key = {
        .key_path = memory_format("%s/caller.key", folder),
        .certificate_path = memory_format("%s/caller.pem", folder),
    };
    enum status status =
        key_ensure_files(key.key_path, key.certificate_path, "caller", &key.fingerprint, error);
    if (status != OK) {
        caller_key_done(&key);
        return status;
    }
    *out = key;
    return OK;
}

void caller_key_done(struct caller_key *key)
{
    free(TAKE(key->key_path));
    free(TAKE(key->certificate_path));
}

static int run_key(const struct command *command, const struct options *options)
{
    (void)command;
    struct error error;
    struct caller_key key = {0};
    if (caller_key_ensure(&key, &error) != OK) {
        return command_fail(&error, EXIT_FAILED);
    }
    bool is_read = false;
    if (options_has(options, "json")) {
        AUTO_JSON json_t *document =
            json_pack("{s:s, s:s, s:s}", "fingerprint", key.fingerprint.text, "key", key.key_path,
                      "certificate", key.certificate_path);
        is_read = print_json(document);
    } else {
        AUTO_BUFFER struct buffer out = {0};
        buffer_printf(&out, "%s\n", key.fingerprint.text);
        is_read = print_text(&out);
    }
    caller_key_done(&key);
    return is_read ? EXIT_SUCCESS : EXIT_FAILED;
}

static const struct command_option KEY_OPTIONS[] = {
    {"json", 0, OPTION_FLAG, NULL, "write JSON for programs to standard output", NULL},
};

static const struct command_example KEY_EXAMPLES[] = {
    {"lode pool key", "prints what \"lode worker allow\" takes on the machines"},
};

const struct command COMMAND_POOL_KEY = {
    .name = "pool key",
    .usage = "",
    .purpose = "prints the fingerprint by which helpers know this user",
    .description = "The key is made at its first use, and stays: caller.key in ~/.config/lode. It "
                   "is for helpers that listen (lode worker --listen); ssh has keys of its own.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(KEY_OPTIONS),
    .examples = EXAMPLES(KEY_EXAMPLES),
    .is_offline = true,
    .run = run_key,
};
