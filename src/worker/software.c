// What a job brings instead of, or beside, the machine's programs, and what its sandboxes see of it.
#include "worker/state.h"

#include "base/memory.h"

enum status software_open_shelf(struct worker *worker, struct error *error)
{
    if (!worker->place.bubblewrap || !worker->options->program) {
        return OK;
    }
    worker->shelf_options = (struct shelf_options){
        .folder = arena_format(&worker->arena, "%s/software", worker->options->directory),
        .program = worker->options->program,
        .bubblewrap = worker->place.bubblewrap,
        .etc_folder = worker->place.etc_folder,
        .cgroups = worker->cgroups,
        .transfers = worker->transfers,
    };
    return shelf_new(&worker->shelf_options, &worker->shelf, error);
}

enum status software_fetch(struct worker_job *job, shelf_done done, struct error *error)
{
    const struct job *spec = job->spec;
    if (!spec->software_digest) {
        return OK;
    }
    if (!job->worker->shelf) {
        return error_set(error, UNSUPPORTED, "this worker gives tasks the machine's software only");
    }
    job->fetching++;
    job->software =
        shelf_take(job->worker->shelf, spec->software_digest, spec->is_image, done, job);
    return OK;
}

const struct tree *software_tree(const struct worker_job *job)
{
    return job->software ? shelf_tree(job->software) : NULL;
}

void software_plan(const struct worker_job *job, struct arena *arena, struct slot_plan *plan)
{
    const struct tree *tree = software_tree(job);
    if (!tree) {
        return;
    }
    if (tree->is_root) {
        plan->root_folder = shelf_root(job->software);
        return;
    }
    struct sandbox_bind *binds = arena_new(arena, (plan->bind_count + 1) * sizeof *binds);
    binds[0] = (struct sandbox_bind){.source = shelf_root(job->software), .target = TREE_PREFIX};
    if (plan->bind_count > 0) {
        memcpy(binds + 1, plan->binds, plan->bind_count * sizeof *binds);
    }
    plan->binds = binds;
    plan->bind_count++;
}

const char *software_search_path(const struct worker_job *job)
{
    const struct tree *tree = software_tree(job);
    for (size_t i = 0; tree && i < tree->environment_count; i++) {
        if (text_starts_with(tree->environment[i], TEXT("PATH="))) {
            return tree->environment[i].bytes + sizeof "PATH=" - 1;
        }
    }
    return tree && !tree->is_root ? TREE_PREFIX "/bin:/usr/local/bin:/usr/bin:/bin"
                                  : "/usr/local/bin:/usr/bin:/bin";
}

struct executable_view software_view(const struct worker_job *job)
{
    const struct tree *tree = software_tree(job);
    return (struct executable_view){
        .search_path = software_search_path(job),
        .root = tree ? shelf_root(job->software) : NULL,
        .prefix = tree && !tree->is_root ? TREE_PREFIX : NULL,
        .label = job->spec->is_image ? "oci:" : "bundle:",
    };
}
