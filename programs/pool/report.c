#include "pool/report.h"

#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

static const struct table_column COLUMNS[] = {
    {"HOST", false, true}, {"STATE", false, false}, {"ACCOUNT", false, true},
    {"PID", true, false},  {"WORKER", false, true}, {"KEY", false, false},
};
enum { KEY_DIGITS = sizeof "sha256:" - 1 + 8 };

// Is the machine as was asked for?
static bool is_done(enum helper_verb verb, const struct helper_answer *answer)
{
    static const char *const DONE[][4] = {
        [HELPER_START] = {"started", "running", "pending", NULL},
        [HELPER_STATUS] = {"running", NULL},
        [HELPER_STOP] = {"stopped", "absent", NULL},
    };
    for (const char *const *each = DONE[verb]; answer->problem.status == OK && *each; each++) {
        if (text_equal(answer->state, text_of(*each))) {
            return true;
        }
    }
    return false;
}

static struct text state_of(const struct talk *talk)
{
    return talk->answer.problem.status == OK ? talk->answer.state : TEXT("failed");
}

static void set_text(json_t *object, const char *name, struct text text)
{
    if (text.length > 0) {
        (void)json_object_set_new(object, name, json_from_text(text));
    }
}

static json_t *talk_document(const struct talk *talk)
{
    const struct helper_answer *answer = &talk->answer;
    const struct error *problem = &answer->problem;
    json_t *document = json_object();
    set_text(document, "host", text_of(talk->host->said));
    set_text(document, "state", state_of(talk));
    set_text(document, "machine", answer->host);
    set_text(document, "account", answer->account);
    set_text(document, "name", answer->name);
    set_text(document, "fingerprint", answer->worker);
    set_text(document, "directory", answer->directory);
    if (answer->pid > 0) {
        (void)json_object_set_new(document, "pid", json_integer(answer->pid));
    }
    if (problem->status != OK) {
        json_t *why = json_pack("{s:s, s:o}", "status", status_name(problem->status), "detail",
                                json_from_text(text_of(problem->detail)));
        set_text(why, "fix", text_of(problem->fix));
        (void)json_object_set_new(document, "problem", why);
    }
    return document;
}

static bool print_document(const struct pool *pool, const struct talk *talks)
{
    AUTO_JSON json_t *document = json_pack("{s:s, s:s, s:[]}", "site", pool->contact.site.url,
                                           "fingerprint", pool->request.fingerprint.text, "hosts");
    json_t *hosts = json_object_get(document, "hosts");
    for (size_t i = 0; i < pool->host_count; i++) {
        (void)json_array_append_new(hosts, talk_document(&talks[i]));
    }
    return print_json(document);
}

static bool print_rows(const struct pool *pool, const struct talk *talks)
{
    struct table *table = table_new(COLUMNS, sizeof COLUMNS / sizeof COLUMNS[0]);
    for (size_t i = 0; i < pool->host_count; i++) {
        const struct helper_answer *answer = &talks[i].answer;
        table_add(table, text_of(talks[i].host->said));
        table_add(table, state_of(&talks[i]));
        table_add(table, answer->account);
        if (answer->pid > 0) {
            table_addf(table, "%lld", (long long)answer->pid);
        } else {
            table_add(table, TEXT_NONE);
        }
        table_add(table, answer->name);
        table_add(table, text_slice(answer->worker, 0, KEY_DIGITS));
    }
    return print_table(table);
}

static void print_problem(const struct talk *talk)
{
    const struct helper_answer *answer = &talk->answer;
    const struct error *problem = &answer->problem;
    if (problem->status != OK) {
        (void)fprintf(stderr, "lode: %s: %s\n", talk->host->said, problem->detail);
    } else if (text_equal(answer->state, TEXT("starting"))) {
        (void)fprintf(stderr,
                      "lode: %s: the site has not taken the worker in yet, and it goes on trying\n"
                      "      why stands there in %.*s/worker.log\n",
                      talk->host->said, TEXT_ARGS(answer->directory));
    } else if (text_equal(answer->state, TEXT("pending"))) {
        (void)fprintf(stderr,
                      "lode: %s: the worker waits to be accepted\n      lode worker accept %.*s\n",
                      talk->host->said, TEXT_ARGS(answer->worker));
    }
    if (problem->fix[0]) {
        (void)fprintf(stderr, "      %s\n", problem->fix);
    }
}

int pool_report(const struct pool *pool, const struct talk *talks)
{
    bool is_all = true;
    for (size_t i = 0; i < pool->host_count; i++) {
        is_all = is_all && is_done(pool->request.verb, &talks[i].answer);
    }
    bool is_json = options_has(pool->given, "json");
    bool is_read = is_json ? print_document(pool, talks) : print_rows(pool, talks);
    if (!is_json) {
        (void)fflush(stdout);
        for (size_t i = 0; i < pool->host_count; i++) {
            print_problem(&talks[i]);
        }
    }
    return is_read && is_all ? EXIT_SUCCESS : EXIT_FAILED;
}
