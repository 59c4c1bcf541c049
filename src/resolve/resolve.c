#include "resolve/resolve.h"

#include "base/memory.h"
#include "os/clock.h"
#include "resolve/question.h"

#include <stdatomic.h>

enum {
    REMEMBER_AGAIN_S =
        150, // An answer that did not change is written again when it is older than this.
    UNKNOWN_MAX = 4096,  // Names that are known to be unknown.
    SAID_SIZE_MAX = 360, // Bytes of a message about hubs.
    SAID_NAME_MAX = 120, // Of an identifier in it.
    PROBLEMS_MAX = 8,
};

enum status resolver_open(const struct resolver_options *options, struct resolver **out,
                          struct error *error)
{
    struct recall *recall = NULL;
    TRY(recall_open(options->store, RESOLVE_REMEMBERED_MAX, &recall, error));
    struct resolver *resolver = NEW(struct resolver);
    resolver->options = *options;
    resolver->recall = recall;
    resolver->hubs = hubs_new(options->directory);
    resolver->distances =
        distances_new(options->directory, options->ops->note_distance, options->context);
    resolver->unknown = unknown_names_new(UNKNOWN_MAX);
    (void)pthread_mutex_init(&resolver->mutex, NULL);
    *out = resolver;
    return OK;
}

void resolver_close(struct resolver *resolver)
{
    if (!resolver) {
        return;
    }
    recall_close(resolver->recall);
    hubs_free(resolver->hubs);
    distances_free(resolver->distances);
    unknown_names_free(resolver->unknown);
    (void)pthread_mutex_destroy(&resolver->mutex);
    free(resolver);
}

// --- own catalogue and index

// Where the locations are from when no hub was asked.
static const char *local_source(const struct resolution *resolution)
{
    return resolution->count > 1 || !resolution_has_own(resolution) ? "index" : "own";
}

bool resolver_answer_fast(struct resolver *resolver, struct text name, bool only_others,
                          struct buffer *out)
{
    const struct resolver_options *options = &resolver->options;
    if (!options->mirror || !options->ops->index_has_own(options->context)) {
        return false;
    }
    AUTO_RESOLUTION struct resolution resolution;
    resolution_init(&resolution);
    int64_t lacking =
        mirror_lacking(options->mirror); // Before: what is entered meanwhile is no matter.
    gather_index(resolver, name, &resolution, NULL);
    if (resolution.count == 0 || (only_others && resolution_has_own(&resolution))) {
        return false;
    }
    const struct resolution_origin origin = {.source = local_source(&resolution),
                                             .catching_up = lacking};
    resolution_write(&resolution, &origin, out);
    return true;
}

// --- the whole answer

static void question_done(struct question *question)
{
    arena_done(&question->arena);
    resolution_done(&question->resolution);
    buffer_done(&question->asked);
    buffer_done(&question->unasked);
    buffer_done(&question->problems);
}

static void write_answer(struct question *question, const char *source, const char *hub,
                         int64_t age_us, struct buffer *out)
{
    gather_distances(question);
    const struct resolution_origin origin = {
        .source = source,
        .hub = hub,
        .age_seconds = age_us > 0 ? age_us / 1000000 : 0,
        .catching_up = question->catching_up,
        // Where a hub has answered, those that did not are no matter.
        .unanswered = hub ? TEXT_NONE : buffer_text(&question->unasked),
        .problems = buffer_text(&question->problems),
    };
    resolution_write(&question->resolution, &origin, out);
}

static int64_t remembered_age(const struct question *question)
{
    return question->now_us - question->remembered.answered_us;
}

static void load_remembered(struct question *question)
{
    struct error ignored;
    if (recall_find(question->resolver->recall, question->name, &question->arena,
                    &question->remembered, &ignored) == OK) {
        kept_read(question->remembered.document, question->name, &question->arena,
                  &question->before);
    }
}

static bool is_fresh(const struct question *question)
{
    int64_t age_us = remembered_age(question);
    int64_t ttl_seconds =
        question->before.catching_up > 0 ? RESOLVE_UNKNOWN_TTL_SECONDS : RESOLVE_TTL_SECONDS;
    return question->before.now_count > 0 && age_us >= 0 && age_us < ttl_seconds * 1000000;
}

// What newer answers omitted counts only when nobody gave one: `has_omitted`.
static bool answer_from_memory(struct question *question, bool has_omitted, struct buffer *out)
{
    const struct kept *before = &question->before;
    size_t own = question->resolution.count;
    gather_locations(question, before->now, before->now_count, false);
    gather_locations(question, before->omitted, has_omitted ? before->omitted_count : 0, false);
    if (question->resolution.count == own) {
        return false;
    }
    if (before->catching_up > question->catching_up) {
        question->catching_up = before->catching_up;
    }
    write_answer(question, "memory", NULL, remembered_age(question), out);
    return true;
}

static void remember(struct question *question)
{
    AUTO_BUFFER struct buffer kept = {0};
    question->found.catching_up = question->catching_up;
    kept_keep(&question->found, &question->before, question->remembered.answered_us,
              &question->arena);
    kept_write(&question->found, &kept);
    int64_t age_us = remembered_age(question);
    bool is_recent = age_us >= 0 && age_us < (int64_t)REMEMBER_AGAIN_S * 1000000;
    if (!is_recent || !text_equal(buffer_text(&kept), question->remembered.document)) {
        recall_save(question->resolver->recall, question->name, buffer_text(&kept),
                    question->now_us);
    }
}

static void append_lacking(const char *before, int64_t lacking, struct buffer *out)
{
    buffer_printf(out, "%s entries of the logs of %lld site%s", before, (long long)lacking,
                  lacking == 1 ? "" : "s");
}

static void note_problem(struct question *question, const struct resolve_hub *hub,
                         const struct error *problem)
{
    question->lied_count++;
    if (question->problem_count == PROBLEMS_MAX) {
        return;
    }
    const char *words = arena_format(&question->arena, "hub %s (%s) is not to be believed: %s",
                                     hub->name, hub->site.text, problem->detail);
    buffer_append_string(&question->problems, question->problem_count++ > 0 ? "," : "");
    buffer_append_json_string(&question->problems, text_of(words));
    buffer_printf(&question->asked, "%s%s (its answer does not hold)",
                  question->asked.length > 0 ? ", " : "", hub->name);
}

static void note_unasked(struct question *question, const struct resolve_hub *hub,
                         const struct error *error)
{
    buffer_printf(&question->unasked, "%s%s (%.100s)", question->unasked.length > 0 ? ", " : "",
                  hub->name, error->detail);
}

static bool is_old_answer(const struct question *question, const struct location *locations,
                          size_t count, struct error *error)
{
    const struct kept *before = &question->before;
    return resolve_check_newer(locations, count, before->now, before->now_count, error) != OK ||
           resolve_check_newer(locations, count, before->omitted, before->omitted_count, error) !=
               OK;
}

// Reads a hub's answer; true when all of it holds, and it is among what was found then.
static bool take_answer(struct question *question, const struct resolve_hub *hub,
                        struct text document)
{
    struct location *locations = NULL;
    size_t count = 0;
    struct error problem = {0};
    struct error error = {0};
    if (resolve_read_answer(document, question->name, &question->arena, &locations, &count,
                            &problem, &error) != OK) {
        note_problem(question, hub, &error);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        locations[i].told_us = 0; // When we were told is ours to say.
    }
    bool is_old = is_old_answer(question, locations, count, &error);
    if (problem.status != OK || is_old || count == 0) {
        if (problem.status == OK && !is_old) {
            (void)error_set(&error, CORRUPT, "it answered without a location");
        }
        note_problem(question, hub, problem.status != OK ? &problem : &error);
        if (!is_old && count > 0 && question->rest_count == 0) {
            question->rest = locations;
            question->rest_count = count;
            question->rest_hub = arena_copy(&question->arena, text_of(hub->name));
        }
        return false;
    }
    if (!question->found.now) {
        question->found.now =
            arena_new(&question->arena, RESOLVE_LOCATIONS_MAX * sizeof *question->found.now);
    }
    int64_t lacking = resolve_read_catching_up(document);
    if (question->found.now_count == 0 || lacking < question->catching_up) {
        question->catching_up = lacking;
    }
    kept_merge(&question->found, locations, count);
    return true;
}

// The hub knows of none. Once another one has answered, that is no matter.
static void note_denial(struct question *question, const struct resolve_hub *hub,
                        struct text problem)
{
    int64_t lacking = resolve_read_catching_up(problem);
    buffer_printf(&question->asked, "%s%s", question->asked.length > 0 ? ", " : "", hub->name);
    if (lacking > 0) {
        append_lacking(" (it still lacks", lacking, &question->asked);
        buffer_append_byte(&question->asked, ')');
    }
    if (question->found.now_count == 0 && lacking > question->catching_up) {
        question->catching_up = lacking;
    }
}

// Asks one hub; true when it gave a good answer.
static bool ask_hub(struct question *question, const struct resolve_hub *hub, int64_t timeout_us)
{
    AUTO_BUFFER struct buffer document = {0};
    struct error error = {0};
    enum status status =
        hubs_ask(question->resolver->hubs, hub, question->name, timeout_us, &document, &error);
    if (status == OK) {
        question->answered_count++;
        return take_answer(question, hub, buffer_text(&document));
    }
    if (status == NOT_FOUND) {
        question->answered_count++;
        note_denial(question, hub, buffer_text(&document));
        return false;
    }
    note_unasked(question, hub, &error);
    return false;
}

// Need no more hubs be asked than those before `next`? One that omits what is remembered has a part of the logs only, and so has one that says so: beside that the next one is asked.
static bool is_enough(const struct question *question, const struct resolve_hub *answerer,
                      const struct resolve_hub *next)
{
    return answerer && !kept_omits(&question->found, &question->before) &&
           (question->catching_up == 0 || next > answerer + 1);
}

// Asks the hubs in turn, each for its part of the time that is left, until that is enough. *answerer gets the first one whose answer holds; false when there is none.
static bool ask_hubs(struct question *question, const struct resolve_hub *hubs,
                     const struct resolve_hub **answerer)
{
    int64_t deadline_us = clock_steady_us() + RESOLVE_WAIT_US;
    for (size_t i = 0; i < question->hub_count; i++) {
        int64_t left_us = deadline_us - clock_steady_us();
        if (is_enough(question, *answerer, &hubs[i])) {
            break;
        }
        if (left_us <= 0) {
            struct error late;
            (void)error_set(&late, TIMEOUT, "no time was left");
            note_unasked(question, &hubs[i], &late);
        } else if (ask_hub(question, &hubs[i], left_us / (int64_t)(question->hub_count - i)) &&
                   !*answerer) {
            *answerer = &hubs[i];
        }
    }
    if (*answerer) {
        // What is missing may be with a hub that did not answer: it is asked again the next time.
        bool is_partial =
            question->unasked.length > 0 && kept_omits(&question->found, &question->before);
        gather_locations(question, question->found.now, question->found.now_count, true);
        if (!is_partial) {
            remember(question);
        }
    }
    return *answerer != NULL;
}

// "no dataset ... is known here", and that the index has a part of the logs only, where it is so.
static void say_unknown_here(const struct question *question, struct buffer *out)
{
    struct text name = text_slice(question->name, 0, SAID_NAME_MAX);
    buffer_printf(out, "no dataset %.*s is known here", TEXT_ARGS(name));
    if (question->lacking_here > 0) {
        append_lacking(", but this hub still lacks", question->lacking_here, out);
    }
}

static enum status say_unknown(const struct question *question, struct error *error)
{
    AUTO_BUFFER struct buffer here = {0};
    say_unknown_here(question, &here);
    struct text asked = text_slice(buffer_text(&question->asked), 0, SAID_SIZE_MAX / 2);
    struct text unasked = text_slice(buffer_text(&question->unasked), 0, SAID_SIZE_MAX / 2);
    bool is_certain = question->answered_count > question->lied_count || question->hub_count == 0;
    enum status status = is_certain                     ? NOT_FOUND
                         : question->answered_count > 0 ? CORRUPT
                                                        : UNAVAILABLE;
    (void)error_set(error, status, "%s%s%.*s%s%.*s", here.bytes,
                    question->reach == RESOLVE_HERE ? ""
                    : question->hub_count == 0      ? ", and this site has no hub to ask"
                    : asked.length > 0              ? "; asked: "
                                                    : "",
                    TEXT_ARGS(asked), unasked.length > 0 ? "; not to be asked: " : "",
                    TEXT_ARGS(unasked));
    if (question->catching_up > 0) {
        error_fix(error, "try again in a moment: who was asked has not all logs yet");
    } else if (status == UNAVAILABLE) {
        error_fix(error, "try again when a hub can be reached");
    } else if (question->hub_count == 0 && question->reach != RESOLVE_HERE) {
        error_fix(error, "lode data list shows what there is; lode hub add URL adds a hub");
    }
    return status;
}

static bool was_unknown(struct question *question, struct error *error)
{
    struct resolver *resolver = question->resolver;
    struct error said;
    pthread_mutex_lock(&resolver->mutex);
    bool is_found = unknown_names_find(resolver->unknown, question->name, clock_steady_us(), &said);
    pthread_mutex_unlock(&resolver->mutex);
    if (is_found && error) {
        *error = said;
    }
    return is_found;
}

// Only when every hub said so, and has all logs: one that was not reached may know it.
static void note_unknown(struct question *question, const struct error *said)
{
    struct resolver *resolver = question->resolver;
    if (question->unasked.length > 0 || question->lied_count > 0 || question->catching_up > 0) {
        return;
    }
    int64_t until_us = clock_steady_us() + (int64_t)RESOLVE_UNKNOWN_TTL_SECONDS * 1000000;
    pthread_mutex_lock(&resolver->mutex);
    unknown_names_add(resolver->unknown, question->name, said, until_us);
    pthread_mutex_unlock(&resolver->mutex);
}

static void forget_unknown(struct question *question)
{
    struct resolver *resolver = question->resolver;
    pthread_mutex_lock(&resolver->mutex);
    unknown_names_remove(resolver->unknown, question->name);
    pthread_mutex_unlock(&resolver->mutex);
}

// The best that is left when no hub gave an answer that holds.
static enum status answer_without_hubs(struct question *question, struct buffer *out,
                                       struct error *error)
{
    bool has_own = question->resolution.count > 0;
    // A hub that says that there is none is believed, unlike one that is silent, lies, or has a part of the logs only.
    bool is_denied = question->answered_count > question->lied_count && question->catching_up == 0;
    if (!is_denied && answer_from_memory(question, true, out)) {
        return OK;
    }
    gather_locations(question, question->rest, question->rest_count, true);
    if (question->resolution.count > 0) {
        bool is_own = has_own && question->rest_count == 0;
        write_answer(question, is_own ? "own" : "hub", is_own ? NULL : question->rest_hub, 0, out);
        return OK;
    }
    struct error said = {0};
    enum status status = say_unknown(question, &said);
    if (status == NOT_FOUND) {
        note_unknown(question, &said);
    }
    if (error) {
        *error = said;
    }
    return status;
}

// While others are asking as many hubs as there may be: what is known without.
static enum status answer_while_busy(struct question *question, struct buffer *out,
                                     struct error *error)
{
    if (question->resolution.count == 0 && question->before.now_count == 0) {
        (void)error_set(error, BUSY, "hubs are being asked about other datasets");
        error_fix(error, "try again in a moment");
        return BUSY;
    }
    return answer_without_hubs(question, out, error);
}

static enum status ask_others(struct question *question, struct buffer *out, struct error *error)
{
    struct resolver *resolver = question->resolver;
    struct resolve_hub hubs[RESOLVE_HUBS_MAX];
    const struct resolve_hub *answerer = NULL;
    question->hub_count =
        resolver->options.ops->hubs(resolver->options.context, hubs, RESOLVE_HUBS_MAX);
    bool may_ask = atomic_fetch_add(&resolver->asking, 1) < RESOLVE_ASKING_MAX;
    bool is_found = may_ask && ask_hubs(question, hubs, &answerer);
    atomic_fetch_sub(&resolver->asking, 1);
    if (!may_ask) {
        return answer_while_busy(question, out, error);
    }
    if (is_found) {
        forget_unknown(question);
        write_answer(question, "hub", answerer->name, 0, out);
        return OK;
    }
    return answer_without_hubs(question, out, error);
}

static enum status answer(struct question *question, struct buffer *out, struct error *error)
{
    struct resolver *resolver = question->resolver;
    TRY(gather_own(question, error));
    if (resolver->options.mirror) {
        question->lacking_here = mirror_lacking(resolver->options.mirror);
        question->catching_up = question->lacking_here;
        gather_index(resolver, question->name, &question->resolution, question);
    }
    bool has_some = question->resolution.count > 0;
    if (has_some && (resolver->options.mirror || question->reach == RESOLVE_HERE)) {
        write_answer(question, local_source(&question->resolution), NULL, 0, out);
        return OK;
    }
    if (question->reach == RESOLVE_HERE) {
        return say_unknown(question, error);
    }
    load_remembered(question);
    if (question->reach == RESOLVE_ASKS && is_fresh(question) &&
        answer_from_memory(question, false, out)) {
        return OK;
    }
    if (question->reach == RESOLVE_ASKS && was_unknown(question, has_some ? NULL : error)) {
        if (!has_some) {
            return NOT_FOUND;
        }
        write_answer(question, "own", NULL, 0, out);
        return OK;
    }
    return ask_others(question, out, error);
}

static enum status ask(struct question *question, struct buffer *out, struct error *error)
{
    question->now_us = clock_real_us();
    resolution_init(&question->resolution);
    enum status status = answer(question, out, error);
    question_done(question);
    return status;
}

enum status resolver_ask(struct resolver *resolver, struct text name, enum resolve_reach reach,
                         struct buffer *out, struct error *error)
{
    struct question question = {.resolver = resolver, .name = name, .reach = reach};
    return ask(&question, out, error);
}

enum status resolver_ask_wish(struct resolver *resolver, struct text name,
                              const struct resolve_wish *wish, struct buffer *out,
                              int64_t *catching_up, struct error *error)
{
    struct question question = {.resolver = resolver,
                                .name = name,
                                .reach = wish->reach,
                                .is_measuring = wish->is_measuring,
                                .measuring_us = wish->wait_us};
    enum status status = ask(&question, out, error);
    *catching_up = question.catching_up;
    return status;
}

void resolver_write_hubs(struct resolver *resolver, struct buffer *out)
{
    struct resolve_hub hubs[RESOLVE_HUBS_MAX];
    size_t count = resolver->options.ops->hubs(resolver->options.context, hubs, RESOLVE_HUBS_MAX);
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_printf(out, "%s{\"site\":\"%s\",\"name\":", i > 0 ? "," : "", hubs[i].site.text);
        buffer_append_json_string(out, text_of(hubs[i].name));
        buffer_append_string(out, ",\"url\":");
        buffer_append_json_string(out, text_of(hubs[i].url));
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
}
