// Refusals as problem documents (RFC 9457), and the other plain answers.
#include "api/api.h"

#include "base/memory.h"

// What to do about a refusal that says no more of it: nobody is to be left without a next step.
static const char *usual_fix(int code)
{
    static const struct {
        int code;
        const char *fix;
    } FIXES[] = {
        {400, "GET /v1/openapi.json describes each call with its fields and their bounds"},
        {401, "log in with `lode login URL`, and send its token as `Authorization: Bearer TOKEN`"},
        {403, "ask an administrator of the site, or do it as somebody who may"},
        {404, "check the name: `lode jobs`, `lode data list` and `lode sites` show what there is"},
        {405, "GET /v1/openapi.json names the methods of each address"},
        {408, "send it again; a request must arrive as a whole while the site waits for it"},
        {409, "look at its state now (`lode job show`, `lode data show`), then try again"},
        {413, "send less at once; files lie where they are registered (`lode data add`)"},
        {422,
         "send it again; if that does not help, what sent it is damaged or of another version"},
        {429, "try again in a moment"},
        {501, "the site cannot do this; `lode status` says what it can"},
        {503, "try again in a moment; `lode status` says how the site is"},
        {504, "try again in a moment; `lode status` says how the site is"},
        {507, "make room, or ask for less, and try again"},
    };
    for (size_t i = 0; i < sizeof FIXES / sizeof FIXES[0]; i++) {
        if (FIXES[i].code == code) {
            return FIXES[i].fix;
        }
    }
    return code >= 500 ? "try again; if that does not help, the site's log says what happened"
                       : "GET /v1/openapi.json describes each call";
}

static void write_open_problem(int code, const char *name, const char *detail, const char *fix,
                               struct buffer *body)
{
    AUTO_FREE char *title = memory_copy_string(name);
    for (char *each = title; *each; each++) {
        *each = *each == '_' ? ' ' : *each;
    }
    buffer_printf(body, "{\"type\":\"urn:lode:problem:%s\",\"title\":\"%s\",\"status\":%d", name,
                  title, code);
    buffer_append_string(body, ",\"detail\":");
    buffer_append_json_string(body, text_of(detail));
    buffer_append_string(body, ",\"fix\":");
    buffer_append_json_string(body, text_of(fix && *fix ? fix : usual_fix(code)));
}

static void write_problem(int code, const char *name, const char *detail, const char *fix,
                          struct buffer *body)
{
    write_open_problem(code, name, detail, fix, body);
    buffer_append_string(body, "}\n");
}

void api_problem(int code, const char *detail, const char *fix, struct buffer *body,
                 const char **content_type)
{
    write_problem(code, status_name(status_from_http(code)), detail, fix, body);
    *content_type = "application/problem+json";
}

// The text with its absolute paths left out: those of the site's machine are not for the users of other sites.
static const char *without_paths(struct arena *arena, const char *text)
{
    AUTO_BUFFER struct buffer out = {0};
    for (const char *at = text; *at; at++) {
        bool begins_word = at == text || strchr(" \"'(", at[-1]) != NULL;
        if (*at != '/' || !begins_word) {
            buffer_append_byte(&out, *at);
            continue;
        }
        buffer_append_string(&out, "(a path)");
        at += strcspn(at, " \"'():;,") - 1;
    }
    return arena_copy(arena, buffer_text(&out));
}

void api_reply_error(struct api_call *call, const struct error *error)
{
    api_reply_error_as(call, status_to_http(error->status), error);
}

void api_reply_error_as(struct api_call *call, int code, const struct error *error)
{
    AUTO_BUFFER struct buffer body = {0};
    struct arena *arena = call->request->arena;
    bool is_peer = call->principal.role == ROLE_PEER;
    write_problem(code, status_name(error->status),
                  is_peer ? without_paths(arena, error->detail) : error->detail, error->fix, &body);
    struct http_response response = {
        .code = code, .content_type = "application/problem+json", .body = buffer_text(&body)};
    http_reply(call->request->exchange, &response);
}

void api_reply_key_problem(struct api_call *call, const char *kind, const char *key,
                           const struct error *error)
{
    AUTO_BUFFER struct buffer body = {0};
    int code = status_to_http(error->status);
    write_open_problem(code, kind, error->detail, error->fix, &body);
    buffer_printf(&body, ",\"fingerprint\":\"%s\"}\n", key);
    struct http_response response = {
        .code = code, .content_type = "application/problem+json", .body = buffer_text(&body)};
    http_reply(call->request->exchange, &response);
}

void api_reply_error_number(struct api_call *call, const struct error *error, const char *name,
                            int64_t number)
{
    AUTO_BUFFER struct buffer body = {0};
    int code = status_to_http(error->status);
    write_open_problem(code, status_name(error->status), error->detail, error->fix, &body);
    buffer_printf(&body, ",\"%s\":%lld}\n", name, (long long)number);
    struct http_response response = {
        .code = code, .content_type = "application/problem+json", .body = buffer_text(&body)};
    http_reply(call->request->exchange, &response);
}

void api_reply_json(struct api_call *call, int code, struct text body)
{
    struct http_response response = {
        .code = code, .content_type = "application/json", .body = body};
    http_reply(call->request->exchange, &response);
}

void api_reply_value(struct api_call *call, int code, json_t *value)
{
    AUTO_BUFFER struct buffer body = {0};
    json_write(value, false, &body);
    buffer_append_byte(&body, '\n');
    json_decref(value);
    api_reply_json(call, code, buffer_text(&body));
}

void api_reply_nothing(struct api_call *call)
{
    struct http_response response = {.code = 204};
    http_reply(call->request->exchange, &response);
}

void api_reply_bytes(struct api_call *call, const char *content_type, struct text bytes,
                     const struct http_field *fields, size_t field_count)
{
    struct http_response response = {
        .code = 200,
        .content_type = content_type,
        .body = bytes,
        .fields = fields,
        .field_count = field_count,
    };
    http_reply(call->request->exchange, &response);
}
