// Bearer tokens of a site: who holds the text is the principal. The site keeps only its SHA-256.
//
// All valid tokens are in memory too, so that a lookup never waits for the database and a flood of unknown ones costs it
// nothing. Memory changes with the database, on the writer's thread.
#ifndef LODE_IDENTITY_TOKENS_H
#define LODE_IDENTITY_TOKENS_H

#include "policy/policy.h"
#include "store/store.h"

enum {
    TOKEN_TEXT_SIZE = 49, // "lode_", 43 characters of base64url (32 random bytes), NUL.
    TOKEN_NAME_MAX = 64,
    TOKEN_LABEL_MAX = 128,
    TOKENS_MAX = 100000,    // Valid at a time.
    TOKEN_RUNNER_SIZE = 32, // "runner:17", NUL.
};
// So long the token of an anonymous runner outlives its job, for the runner to take its leave.
#define TOKEN_FAREWELL_US INT64_C(30000000)

// The text of a token. A struct, so that nothing formats it by mistake.
struct token_secret {
    char text[TOKEN_TEXT_SIZE];
};

struct token {
    int64_t id; // From 1, never used twice.
    enum role role;
    char name[TOKEN_NAME_MAX + 1];   // Of the principal.
    char label[TOKEN_LABEL_MAX + 1]; // What it is for, in the words of who made it.
    int64_t created_us;
    int64_t expires_us;                  // 0: never.
    int64_t revoked_us;                  // 0: it is not.
    struct runner runner;                // The class of the workers that show it.
    char runner_name[TOKEN_RUNNER_SIZE]; // Of another class than the site's: who such a worker is.
};

struct tokens;

// Reads the valid tokens of the store. Close the store before the tokens.
enum status tokens_open(struct store *store, struct tokens **out, struct error *error);
void tokens_close(struct tokens *tokens);

struct token_request {
    struct text
        name; // 1 to TOKEN_NAME_MAX bytes of UTF-8 without white space and control characters.
    struct text label;    // Up to TOKEN_LABEL_MAX bytes of UTF-8 without control characters.
    enum role role;       // ROLE_USER, ROLE_WORKER or ROLE_ADMIN.
    int64_t expires_us;   // 0: never.
    struct runner runner; // Without times; of another class than the site's with ROLE_WORKER only.
};

// Makes a token; call it in a store_write, as the last thing there that can fail, and show *secret only after the commit.
// INVALID for a bad name, label, role, class or a time that has passed; QUOTA when there are TOKENS_MAX.
enum status tokens_create(struct tokens *tokens, struct sql *sql,
                          const struct token_request *request, int64_t now_us, struct token *out,
                          struct token_secret *secret, struct error *error);

// Makes it invalid at once; its row stays. Call it as tokens_create. NOT_FOUND when there is no valid token of this id.
enum status tokens_revoke(struct tokens *tokens, struct sql *sql, int64_t id, int64_t now_us,
                          struct error *error);

// The valid token of this number. NOT_FOUND. Any thread; does not block.
enum status tokens_get(struct tokens *tokens, int64_t id, struct token *out, struct error *error);

// The job has ended: tokens of anonymous runners that were for it end, TOKEN_FAREWELL_US later. Call it as tokens_create.
enum status tokens_end_job(struct tokens *tokens, struct sql *sql, int64_t job, int64_t now_us,
                           struct error *error);

// The token of this text. DENIED, saying why without repeating it: malformed, not known, expired. Any thread; does not block.
enum status tokens_find(struct tokens *tokens, struct text bearer, int64_t now_us,
                        struct token *out, struct error *error);

// Has it the form of a token's text?
bool token_is_well_formed(struct text bearer);

// Who holds the token: its name, or "runner:NUMBER", so that no two share what one of them has registered. Borrows from it.
struct principal token_principal(const struct token *token);

// Visits tokens in order of id, those revoked and expired too, from `after_id` on (0: all), at most `count_max`.
// `name` (empty: any) limits them to one principal's.
typedef void token_visit_fn(void *context, const struct token *token);
struct token_filter {
    struct text name;
    int64_t after_id;
    int64_t count_max;
};
enum status tokens_list(struct sql *sql, const struct token_filter *filter, token_visit_fn *visit,
                        void *context, struct error *error);

#endif
