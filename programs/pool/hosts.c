#include "pool/pool.h"

#include "base/memory.h"
#include "cli/words.h"
#include "os/file.h"

#include <stdio.h>

enum { HOSTS_FILE_MAX = 4 << 20 };
#define SSH_DEFAULT "ssh -o BatchMode=yes -o ConnectTimeout=15"

static enum host_way way_of(const struct options *given)
{
    const char *via = options_text(given, "via", "");
    return strcmp(via, "ssh") == 0      ? HOST_WAY_SSH
           : strcmp(via, "listen") == 0 ? HOST_WAY_LISTEN
                                        : HOST_WAY_ANY;
}

// One that was named before is not asked twice.
static enum status add(void *context, const struct host *host, struct error *error)
{
    struct pool *pool = context;
    for (size_t i = 0; i < pool->host_count; i++) {
        if (strcmp(pool->hosts[i].said, host->said) == 0) {
            return OK;
        }
    }
    if (pool->host_count == HOSTS_MAX) {
        return error_set(error, QUOTA, "more than %d machines at once", HOSTS_MAX);
    }
    pool->hosts = memory_resize(pool->hosts, pool->host_count + 1, sizeof *pool->hosts);
    pool->hosts[pool->host_count++] = *host;
    return OK;
}

static enum status read_file(struct pool *pool, const char *path, struct error *error)
{
    AUTO_BUFFER struct buffer content = {0};
    TRY(file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, HOSTS_FILE_MAX, &content, error));
    return hosts_read(buffer_text(&content), way_of(pool->given), add, pool, error);
}

enum status pool_read_hosts(struct pool *pool, struct error *error)
{
    const struct options *given = pool->given;
    const char *path = options_text(given, "hosts", NULL);
    for (size_t i = 0; i < given->operand_count; i++) {
        struct host host;
        TRY(host_read(text_of(given->operands[i]), way_of(given), &host, error));
        TRY(add(pool, &host, error));
    }
    if (path) {
        TRY(read_file(pool, path, error));
    }
    if (pool->host_count == 0) {
        (void)error_set(error, INVALID, "no machine was named");
        error_fix(error, "name them, such as node1 node2, or give --hosts FILE with one in a line");
        return INVALID;
    }
    return OK;
}

static void take_word(void *context, struct text word)
{
    struct pool_words *words = context;
    if (words->count < POOL_WORDS_MAX) {
        words->items[words->count] = text_copy(word);
    }
    words->count++;
}

static enum status read_words(const char *line, const char *option, struct pool_words *out,
                              struct error *error)
{
    TRY(words_split(text_of(line), take_word, out, error));
    if (out->count > POOL_WORDS_MAX) {
        out->count = POOL_WORDS_MAX;
        return error_set(error, INVALID, "--%s has more than %d words", option, POOL_WORDS_MAX);
    }
    return OK;
}

enum status pool_read_words(struct pool *pool, struct error *error)
{
    TRY(read_words(options_text(pool->given, "ssh", SSH_DEFAULT), "ssh", &pool->ssh, error));
    return read_words(options_text(pool->given, "lode", "lode"), "lode", &pool->lode, error);
}

void pool_words_done(struct pool_words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
}
