#include "http/router.h"

#include "base/hex.h"
#include "base/memory.h"

#include <assert.h>

enum { PARTS_MAX = 16 };

enum part_kind { PART_LITERAL, PART_NAME, PART_REST };

struct part {
    enum part_kind kind;
    struct text literal;
};

struct pattern {
    const struct http_route *route;
    struct part parts[PARTS_MAX];
    size_t part_count;
};

// The first bytes of a path, or of those that a pattern fits, as a number with zeros behind. There is one for each pattern, close together, so that nearly all
// patterns are passed over without being looked at.
struct start {
    uint64_t bytes;
    uint64_t mask; // The bits that a path has to have in common with it.
};

struct router {
    size_t count;
    struct start *starts;
    struct pattern patterns[];
};

static struct part part_of(struct text text)
{
    if (!text_starts_with(text, TEXT("{"))) {
        return (struct part){PART_LITERAL, text};
    }
    assert(text_ends_with(text, TEXT("}")));
    bool is_rest = text_ends_with(text, TEXT("...}"));
    return (struct part){is_rest ? PART_REST : PART_NAME, TEXT_NONE};
}

static void read_pattern(struct pattern *pattern, const struct http_route *route)
{
    assert(route->pattern[0] == '/');
    assert((route->handle != NULL) != (route->sink != NULL));
    assert(route->body_max <= HTTP_BODY_SMALL_MAX);
    pattern->route = route;
    struct text rest = text_of(route->pattern + 1);
    struct text text;
    size_t parameters = 0;
    while (text_next_part(&rest, '/', &text)) {
        assert(pattern->part_count < PARTS_MAX);
        struct part part = part_of(text);
        assert(part.kind != PART_REST || !rest.bytes);
        parameters += part.kind != PART_LITERAL ? 1 : 0;
        pattern->parts[pattern->part_count++] = part;
    }
    assert(parameters <= HTTP_PARAMETERS_MAX);
}

static size_t start_length(size_t length)
{
    return length < sizeof(uint64_t) ? length : sizeof(uint64_t);
}

static uint64_t start_bytes(const char *path, size_t length)
{
    uint64_t bytes = 0;
    if (length > 0) {
        memcpy(&bytes, path, start_length(length));
    }
    return bytes;
}

// Of a pattern without its first slash: what is before its first parameter.
static struct start start_of(const char *pattern)
{
    size_t length = strcspn(pattern, "{");
    struct start start = {.bytes = start_bytes(pattern, length)};
    memset(&start.mask, 0xFF, start_length(length));
    return start;
}

struct router *router_new(const struct http_route *routes, size_t count)
{
    struct router *router = memory_new(1, sizeof *router + count * sizeof router->patterns[0]);
    router->count = count;
    router->starts = memory_new(count + 1, sizeof *router->starts);
    for (size_t i = 0; i < count; i++) {
        router->starts[i] = start_of(routes[i].pattern + 1);
        read_pattern(&router->patterns[i], &routes[i]);
    }
    return router;
}

void router_free(struct router *router)
{
    if (router) {
        free(router->starts);
    }
    free(router);
}

// Does the path (without its first slash) fit? The raw parameters are set, and how specific the fit is: the kinds of the
// parts as digits of a number, so that a smaller one is the better fit.
static bool fits(const struct pattern *pattern, struct text path,
                 struct text parameters[HTTP_PARAMETERS_MAX], uint64_t *rank)
{
    size_t at = 0;
    size_t parameter_count = 0;
    *rank = 0;
    for (size_t i = 0; i < pattern->part_count; i++) {
        const struct part *part = &pattern->parts[i];
        *rank = *rank * 3 + (unsigned)part->kind;
        if (at > path.length) {
            return false;
        }
        if (part->kind == PART_REST) {
            parameters[parameter_count++] = text_slice(path, at, path.length);
            at = path.length + 1;
            continue;
        }
        size_t end = text_find_byte(path, at, '/');
        struct text text = text_slice(path, at, end);
        if (part->kind == PART_LITERAL ? !text_equal(text, part->literal) : text.length == 0) {
            return false;
        }
        if (part->kind == PART_NAME) {
            parameters[parameter_count++] = text;
        }
        at = end + 1;
    }
    for (size_t i = pattern->part_count; i < PARTS_MAX; i++) {
        *rank *= 3;
    }
    return at == path.length + 1;
}

static bool decode(struct text parameters[HTTP_PARAMETERS_MAX], struct arena *arena)
{
    for (size_t i = 0; i < HTTP_PARAMETERS_MAX; i++) {
        if (!text_contains_byte(parameters[i], '%')) {
            continue;
        }
        AUTO_BUFFER struct buffer decoded = {0};
        if (percent_decode(parameters[i], &decoded, NULL) != OK) {
            return false;
        }
        parameters[i] = (struct text){arena_copy(arena, buffer_text(&decoded)), decoded.length};
    }
    return true;
}

static bool serves(const struct http_route *route, struct text method)
{
    return text_equal(text_of(route->method), method) ||
           (text_equal(method, TEXT("HEAD")) && strcmp(route->method, "GET") == 0);
}

enum router_outcome router_find(const struct router *router, struct text method, struct text path,
                                struct arena *arena, const struct http_route **route,
                                struct text parameters[HTTP_PARAMETERS_MAX], const char **allowed)
{
    struct text inner = text_slice(path, 1, path.length);
    uint64_t start = start_bytes(inner.bytes, inner.length);
    const struct http_route *best = NULL;
    uint64_t best_rank = UINT64_MAX;
    const char *methods = NULL;
    for (size_t i = 0; i < router->count; i++) {
        if ((start & router->starts[i].mask) != router->starts[i].bytes) {
            continue;
        }
        const struct pattern *pattern = &router->patterns[i];
        struct text found[HTTP_PARAMETERS_MAX] = {0};
        uint64_t rank;
        if (!fits(pattern, inner, found, &rank)) {
            continue;
        }
        if (!serves(pattern->route, method)) {
            bool is_get = strcmp(pattern->route->method, "GET") == 0;
            methods = arena_format(arena, "%s%s%s%s", methods ? methods : "", methods ? ", " : "",
                                   pattern->route->method, is_get ? ", HEAD" : "");
            continue;
        }
        bool is_own = text_equal(text_of(pattern->route->method), method);
        if (rank < best_rank || (rank == best_rank && is_own)) {
            best = pattern->route;
            best_rank = rank;
            memcpy(parameters, found, sizeof found);
        }
    }
    if (!best) {
        *allowed = methods;
        return methods ? ROUTER_NO_METHOD : ROUTER_NO_PATH;
    }
    *route = best;
    return decode(parameters, arena) ? ROUTER_FOUND : ROUTER_NO_PATH;
}
