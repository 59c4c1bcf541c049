#include "site.h"

#include <stdlib.h>

// A plain picture of what must be so: which task is committed, and which leases were given.
enum { JOBS = 4, COUNT = 60, WORKERS = 3, GIVEN_MAX = 64 };

struct model {
    struct site site;
    unsigned seed;
    bool is_done[JOBS][COUNT];
    bool is_there[JOBS];
    int64_t places[JOBS];
    struct lease given[GIVEN_MAX]; // The latest leases, alive or not.
    size_t given_count;
    size_t yields; // Leases that were to be given up.
};

static int64_t below(struct model *model, int64_t end)
{
    return rand_r(&model->seed) % end;
}

static void commit(struct model *model, int64_t job, int64_t index)
{
    assert_true(model->is_there[job]);
    assert_false(model->is_done[job][index]);
    model->is_done[job][index] = true;
}

static void add_or_remove_job(struct model *model)
{
    int64_t job = below(model, JOBS);
    if (!model->is_there[job]) {
        struct job_plan plan = plan_of(job, job % 2, COUNT);
        plan.retries.times[CAUSE_FAIL] = 2;
        plan.retries.times[CAUSE_INPUT] = below(model, 2);
        plan.fails_when_lost = job == 2;
        plan.place = job == 3; // Worker 3 is of that place too.
        plan.need.cpu_millis = 1000 * (1 + below(model, 3));
        plan.checkpoint_us = job == 1 ? SECOND : 0;
        site_add(&model->site, plan);
        model->is_there[job] = true;
        model->places[job] = plan.place;
        memset(model->is_done[job], 0, sizeof model->is_done[job]);
    } else if (below(model, 10) == 0) {
        scheduler_remove_job(model->site.scheduler, job);
        model->is_there[job] = false;
    }
}

static void lease_some(struct model *model)
{
    size_t count = site_lease(&model->site, 1 + below(model, WORKERS));
    for (size_t i = 0; i < count; i++) {
        struct lease *lease = &model->site.leases[i];
        assert_int_equal(model->places[lease->job], lease->worker == WORKERS);
        for (int64_t index = lease->from; index < lease->to; index++) {
            assert_false(model->is_done[lease->job][index]);
        }
        model->given[model->given_count++ % GIVEN_MAX] = *lease;
    }
}

static const struct lease *any_given(struct model *model)
{
    size_t have = model->given_count < GIVEN_MAX ? model->given_count : GIVEN_MAX;
    return have > 0 ? &model->given[below(model, (int64_t)have)] : NULL;
}

static void finish_one(struct model *model)
{
    const struct lease *lease = any_given(model);
    if (!lease) {
        return;
    }
    int64_t index = below(model, COUNT);
    enum task_outcome outcome = (enum task_outcome)below(model, 5);
    bool was_open = model->is_there[lease->job] && !model->is_done[lease->job][index];
    enum task_verdict verdict = site_finish(&model->site, lease, index, outcome);
    assert_int_equal(verdict == TASK_DUPLICATE, !was_open);
    if (verdict == TASK_COMMIT) {
        commit(model, lease->job, index);
    }
}

static void finish_many(struct model *model)
{
    const struct lease *lease = any_given(model);
    if (!lease) {
        return;
    }
    struct ranges fresh = {0};
    int64_t from = lease->from + below(model, lease->to - lease->from);
    scheduler_finish_range(model->site.scheduler, lease->id, lease->worker, lease->job, from,
                           lease->to, 1000 * (lease->to - from), model->site.now_us, &fresh);
    for (size_t i = 0; i < fresh.count; i++) {
        for (int64_t index = fresh.items[i].from; index < fresh.items[i].to; index++) {
            commit(model, lease->job, index);
        }
    }
    for (int64_t index = from; index < lease->to && model->is_there[lease->job]; index++) {
        assert_true(model->is_done[lease->job][index]);
    }
    ranges_done(&fresh);
}

static void take_loss(struct model *model, const struct loss *loss)
{
    if (loss->end == LOSS_FAILED) {
        commit(model, loss->task.job, loss->task.index);
    }
    assert_int_equal(loss->end == LOSS_RETRY, loss->times <= RETRIES_BLAMED);
}

// Somebody lets what is held run again.
static void release_some(struct model *model)
{
    int64_t job = below(model, JOBS);
    int64_t first = scheduler_next_held(model->site.scheduler, job, 0);
    if (first < 0) {
        return;
    }
    struct lease lease;
    assert_int_equal(
        scheduler_find_task(model->site.scheduler, (struct task_id){job, first}, &lease),
        TASK_HELD);
    assert_int_equal(scheduler_release_tasks(model->site.scheduler, job, first, first + 1), 1);
}

static void change_worker(struct model *model)
{
    int64_t worker = 1 + below(model, WORKERS);
    struct scheduler *scheduler = model->site.scheduler;
    switch (below(model, 4)) {
    case 0: {
        struct loss_list losses = {0};
        scheduler_remove_worker(scheduler, worker, below(model, 2) == 0, model->site.now_us,
                                &losses);
        for (size_t i = 0; i < losses.count; i++) {
            take_loss(model, &losses.items[i]);
        }
        loss_list_done(&losses);
        break;
    }
    case 1:
        scheduler_drain_worker(scheduler, worker, below(model, 2) == 0);
        break;
    default:
        site_add_worker_at(&model->site, worker, worker == WORKERS, 1 + below(model, 8));
    }
}

// Only a job that nobody runs moves.
static void move_job(struct model *model, int64_t job)
{
    struct job_figures figures;
    if (scheduler_figures(model->site.scheduler, job, &figures) && figures.leased == 0) {
        model->places[job] = below(model, 2);
        scheduler_move_job(model->site.scheduler, job, model->places[job]);
    }
}

// Some of them do as they are told, and some do not.
static void give_up(struct model *model)
{
    struct lease leases[2];
    struct scheduler *scheduler = model->site.scheduler;
    model->site.now_us += 10 * SECOND;
    for (int64_t index = 0; index < COUNT; index++) {
        scheduler_note_checkpoint(scheduler, (struct task_id){1, index});
    }
    size_t count = scheduler_yields(scheduler, model->site.now_us, leases, 2);
    model->site.now_us += 2 * SECOND;
    count = count > 0 ? count : scheduler_yields(scheduler, model->site.now_us, leases, 2);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(leases[i].job, 1);
        assert_int_equal(leases[i].to - leases[i].from, 1);
        if (below(model, 4) > 0) {
            scheduler_return(scheduler, leases[i].id, leases[i].from, leases[i].to);
        }
    }
    model->yields += count;
}

static void change_tasks(struct model *model)
{
    const struct lease *lease = any_given(model);
    struct scheduler *scheduler = model->site.scheduler;
    int64_t from = below(model, COUNT);
    int64_t to = from + below(model, 8);
    int64_t job = below(model, JOBS);
    struct lease again;
    switch (below(model, 8)) {
    case 4:
        release_some(model);
        break;
    case 5:
    case 6:
        give_up(model);
        break;
    case 0:
        scheduler_hold(scheduler, job, below(model, 2) == 0);
        break;
    case 3:
        move_job(model, job);
        break;
    case 1:
        if (lease) {
            scheduler_return(scheduler, lease->id, from, to);
        }
        break;
    case 2:
        to = job == 1 && to > from ? from + 1 : to; // As its leases are: it has checkpoints.
        if (scheduler_reattach(scheduler, 1 + below(model, WORKERS), job, from, to,
                               model->site.now_us, &again, NULL) == OK) {
            model->given[model->given_count++ % GIVEN_MAX] = again;
        }
        break;
    default:
        (void)scheduler_mark_done(scheduler, job, from, to);
        for (int64_t index = from; index < to && index < COUNT; index++) {
            model->is_done[job][index] = true;
        }
    }
}

static void compare(const struct model *model)
{
    site_check(&model->site);
    for (int64_t job = 0; job < JOBS; job++) {
        struct job_figures figures;
        int64_t done = 0;
        for (int64_t index = 0; index < COUNT; index++) {
            done += model->is_done[job][index];
        }
        assert_int_equal(scheduler_figures(model->site.scheduler, job, &figures),
                         model->is_there[job]);
        if (model->is_there[job]) {
            assert_int_equal(figures.done, done);
            assert_int_equal(figures.done + figures.leased + figures.waiting + figures.held, COUNT);
            assert_int_equal(scheduler_is_complete(model->site.scheduler, job), done == COUNT);
        }
    }
}

static void random_operations_agree_with_a_plain_model(void **state)
{
    (void)state;
    size_t yields = 0;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct model model = {.site = site_start(), .seed = seed};
        scheduler_set_group_weight(model.site.scheduler, 0,
                                   20); // What others give up, it may have.
        for (int step = 0; step < 1500; step++) {
            model.site.now_us += below(&model, 100000);
            switch (below(&model, 8)) {
            case 0:
                add_or_remove_job(&model);
                break;
            case 1:
                change_worker(&model);
                break;
            case 2:
                change_tasks(&model);
                break;
            case 3:
            case 4:
                finish_one(&model);
                break;
            case 5:
                finish_many(&model);
                break;
            default:
                lease_some(&model);
            }
            compare(&model);
        }
        yields += model.yields;
        site_stop(&model.site);
    }
    assert_true(yields > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_a_plain_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
