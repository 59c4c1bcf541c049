// A simulated site: workers that run, fail and come back, and jobs that arrive, driven through the real scheduler by events.
#ifndef LODE_PROGRAMS_SIMULATE_WORLD_H
#define LODE_PROGRAMS_SIMULATE_WORLD_H

#include "events.h"
#include "jobs/scheduler.h"

enum {
    WORLD_PLACES = 2,
    WORKERS_A_PLACE = 2,
    WORLD_GROUPS_MAX = 8,
    METER_BUCKETS = 64,
    SIM_CPU_MILLIS_MIN = 1000,
    SIM_WORKER_GROUPS = 2,
};
#define SIM_GIBIBYTE (INT64_C(1) << 30)
#define LEASE_KEPT_US                                                                              \
    INT64_C(10000000) // A task is asked to give way after so long at the earliest.
#define SIM_MEMORY_BYTES_MIN                                                                       \
    (2 * SIM_GIBIBYTE) // With SIM_CPU_MILLIS_MIN: what the smallest worker has.

struct world_settings {
    int64_t workers;
    int64_t jobs;
    int64_t tasks;
    uint64_t seed;
    double failures;                // Part of the attempts that fail.
    double worker_failures_an_hour; // Of one worker.
    int64_t restarts;               // Of the site, one after every 50 s.
    double elsewhere;               // Part of the jobs that are to run at other places.
    double lifetimes;               // Part of the workers whose end is known from their start.
    double poison;                  // Part of the tasks whose worker dies of them.
    double dedicated;               // Part of the workers that work for some groups only.
    double checkpoints;             // Part of the jobs that have some, and long tasks.
    double limited; // Part of the workers that are for some owner's jobs, or spare ones.
};

// How often a task was running on a worker that was lost.
struct sim_losses {
    int64_t index;
    int64_t times;
};

struct sim_job {
    struct job_plan plan;
    double mean_us;      // Of one task.
    uint64_t *committed; // One bit a task.
    int64_t committed_count;
    struct ranges held;
    struct map *losses; // By index.
    bool is_mended;     // What was held was released, and kills no more workers.
    bool is_submitted;
    bool is_complete;
};

struct sim_lease {
    struct lease lease; // Its id changes when it is taken back into the books.
    int64_t run;        // Its first id: what its attempts do follows from it.
    int64_t next;       // The first task that has not run.
    int64_t chunk_to;   // Tasks up to here have run when the next EVENT_CHUNK comes.
    int64_t chunk_us;
    int64_t given_us;
    bool was_known; // How long its tasks take, when it was given.
    bool is_started;
    bool is_asked; // To be given up.
};

// A part of a lease that has run.
struct sim_report {
    struct lease lease; // With the part's from and to.
    int64_t run;
    int64_t wall_us;
};

enum sim_state { SIM_UP, SIM_SILENT, SIM_DOWN };

struct sim_worker {
    int64_t id; // Of its present registration; 0: it has none.
    uint32_t epoch;
    enum sim_state state;
    bool is_forgotten; // The site has given up this registration.
    bool
        is_behind; // It has run a lease that the books had closed, and still has some waiting since.
    int64_t place;  // 0: this site.
    int64_t end_us; // Of its life, where it has one.
    struct resources capacity;
    struct resources used;
    struct sim_lease *leases; // In the order in which they came.
    size_t lease_count;
    size_t lease_capacity;
    struct sim_report *kept; // What has run while the site could not be reached.
    size_t kept_count;
    size_t kept_capacity;
    int64_t again_us;  // When an EVENT_AGAIN is due.
    bool is_dedicated; // It works for `groups`, in order; else for all.
    int64_t groups[SIM_WORKER_GROUPS];
    bool is_limited;
    struct worker_limits limits;
    int64_t blamed_us; // When it last reported a task that is to run elsewhere; 0: never.
};

// Times of the scheduler's decisions, in buckets of whole microseconds.
struct meter {
    int64_t count;
    int64_t calls;
    int64_t total_us;
    int64_t max_us;
    int64_t buckets[METER_BUCKETS];
};

struct world_figures {
    int64_t leases;
    int64_t attempts;
    int64_t retries;
    int64_t duplicates;
    int64_t failed; // Tasks, finally.
    int64_t held;
    int64_t held_innocent; // Without being poison.
    int64_t released;
    int64_t dedicated; // Leases of workers that work for some groups only.
    int64_t moves;     // Of such workers, to other groups.
    int64_t limited;   // Leases of workers that are limited.
    int64_t elsewhere; // Leases of other places.
    int64_t yields;    // Leases that were to be given up.
    int64_t crashes;
    int64_t silences;
    int64_t lives;       // That ended when they were to.
    int64_t cut;         // Leases that had begun then; of these
    int64_t cut_unknown; // nothing was known of their tasks' length, or
    int64_t cut_late;    // they began late, behind others that took longer than expected.
    int64_t reattached;
    int64_t restarts;
    int64_t checks;
    double worst_share; // The largest share over the least among groups that competed.
    int64_t shares_compared;
    int64_t events;
};

struct world {
    struct world_settings settings;
    struct scheduler *scheduler;
    struct event_queue events;
    struct sim_worker *workers;
    struct sim_job *jobs;
    struct map *workers_by_id;
    size_t group_count;
    double weights[WORLD_GROUPS_MAX];
    int competing_for[WORLD_GROUPS_MAX]; // Audits in a row that found waiting tasks.
    int64_t open_jobs;
    int64_t worker_ids;
    int64_t now_us;
    int64_t restarted_us; // When the site last was.
    uint64_t random;
    uint64_t digest; // Of all decisions, in their order.
    struct meter leasing;
    struct meter finishing;
    struct world_figures figures;
};

struct world *world_new(const struct world_settings *settings);
void world_free(struct world *world);

// Runs until every job is complete. CORRUPT, with what is broken, as soon as an invariant does not hold.
enum status world_run(struct world *world, struct error *error);

// The site gives a worker up; what was lost too often counts as committed.
enum status world_lose_worker(struct world *world, int64_t id, struct error *error);

// audit.c: the invariants.
// Notes that [from, to) was committed; CORRUPT when some of it was before.
enum status audit_commit(struct world *world, int64_t job, int64_t from, int64_t to,
                         struct error *error);
// What a worker runs never passes its capacity, and all that it holds never passes twice that. That started leases fit, and waiting
// ones once more, is asserted of the books (scheduler_check): a worker that has not yet heard that others finished its
// tasks may start its leases in another order than they have it, so of the worker only the sum can be said.
enum status audit_capacity(const struct world *world, const struct sim_worker *worker,
                           struct error *error);
// No lease crosses places.
enum status audit_place(struct world *world, const struct sim_worker *worker,
                        const struct lease *lease, struct error *error);
// Compares the groups' shares and, from time to time, checks the scheduler's books.
enum status audit_all(struct world *world, struct error *error);
void audit_note(struct world *world, int64_t a, int64_t b, int64_t c);
void meter_add(struct meter *meter, int64_t count, int64_t time_us);
// The time in microseconds that `part` of the calls stay within.
int64_t meter_quantile(const struct meter *meter, double part);

// groups.c
// Are there workers that work for some groups only, and this is one of these?
bool groups_is_listed(const struct world *world, int64_t group);
// Decides what a worker works for, and tells the scheduler of its registration.
void groups_choose(struct world *world, uint32_t at);
void groups_register(struct world *world, struct sim_worker *worker);
// Perhaps moves a worker.
void groups_move_one(struct world *world);
enum status groups_check_lease(struct world *world, const struct sim_worker *worker,
                               const struct lease *lease, struct error *error);

// limits.c
// Whose a job is, and whether it is spare.
void limits_choose_job(struct job_plan *plan, uint64_t seed);
// Decides what a worker is limited to, and tells the scheduler of its registration.
void limits_choose(struct world *world, uint32_t at);
void limits_register(struct world *world, struct sim_worker *worker);
enum status limits_check_lease(struct world *world, const struct sim_worker *worker,
                               const struct lease *lease, struct error *error);

// poison.c
bool poison_is(const struct world *world, int64_t job, int64_t index);
// The scheduler says that a task was lost with its worker; CORRUPT when that is not what the world has counted.
enum status poison_take_loss(struct world *world, const struct loss *loss, struct error *error);
// Nothing of the lease may be held.
enum status poison_check_lease(const struct world *world, const struct lease *lease,
                               struct error *error);
// Tells the scheduler of a restarted site what it has lost and what is held.
void poison_recount(const struct world *world, const struct sim_job *job);
// Has jobs with nothing left but held tasks mended.
enum status poison_sweep(struct world *world, struct error *error);
void poison_free(struct sim_job *job);

// simulated_worker.c: what workers do at their events.
void worker_schedule_break(struct world *world, uint32_t at);
void worker_register(struct world *world, uint32_t at);
// How long this attempt takes.
double worker_attempt_us(const struct world *world, int64_t job, int64_t run, int64_t index);
enum status worker_on_event(struct world *world, const struct event *event, struct error *error);

// yields.c: tasks that give way.
void yields_choose_job(const struct world *world, struct sim_job *job);
// What the worker runs stores checkpoints.
void yields_store(struct world *world, const struct sim_worker *worker);
// CORRUPT when a lease is asked for that may not be.
enum status yields_sweep(struct world *world, struct error *error);

// lifetimes.c: workers that leave.
bool lifetime_has(const struct world *world, uint32_t at);
bool lifetime_is_known(const struct world *world, int64_t job);
// A worker has registered: its life begins, or goes on.
void lifetime_begin(struct world *world, uint32_t at);
// It ends. CORRUPT when the worker had been given what could not end by then.
enum status lifetime_end(struct world *world, uint32_t at, struct error *error);

#endif
