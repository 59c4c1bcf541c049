#include "os/cgroup.h"

#include "base/memory.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, REMOVE_TRIES = 200, REMOVE_PAUSE_US = 1000, CPU_PERIOD_US = 100000 };

static const char *const names[CGROUP_CONTROLLERS] = {"memory", "pids", "cpu"};

// Where a controller's groups are made: in v2 all are the same folder.
struct cgroups {
    bool is_v2;
    char *folders[CGROUP_CONTROLLERS]; // NULL: this controller cannot be used.
};

struct cgroup {
    bool is_v2;
    char *folders[CGROUP_CONTROLLERS]; // v2: the first alone.
    bool has[CGROUP_CONTROLLERS];
    int join_fds[CGROUP_CONTROLLERS];
    size_t join_count;
};

static enum status write_value(const char *folder, const char *name, const char *value,
                               struct error *error)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0) {
        return error_set_errno(error, errno, "cannot write %s to %s", value, path);
    }
    return OK;
}

static enum status write_number(const char *folder, const char *name, int64_t value,
                                struct error *error)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    return write_value(folder, name, text, error);
}

// The number behind `key` in a file of "key number" lines; a file that is one number for an empty key. 0 when absent.
static int64_t read_number(const char *folder, const char *name, const char *key)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    AUTO_BUFFER struct buffer content = {0};
    if (file_read(path, FILE_MAX, &content, NULL) != OK) {
        return 0;
    }
    struct text rest = buffer_text(&content);
    struct text line;
    int64_t value = 0;
    while (text_next_part(&rest, '\n', &line)) {
        size_t space = text_find_byte(line, 0, ' ');
        if (key[0] == '\0') {
            return text_to_int64(text_trim(line), &value) ? value : 0;
        }
        if (text_equal(text_slice(line, 0, space), text_of(key))) {
            return text_to_int64(text_slice(line, space + 1, line.length), &value) ? value : 0;
        }
    }
    return 0;
}

static void kill_processes(const char *folder)
{
    AUTO_FREE char *path = memory_format("%s/cgroup.procs", folder);
    AUTO_BUFFER struct buffer content = {0};
    if (file_read(path, FILE_MAX, &content, NULL) != OK) {
        return;
    }
    struct text rest = buffer_text(&content);
    struct text line;
    while (text_next_part(&rest, '\n', &line)) {
        int64_t pid = 0;
        if (text_to_int64(line, &pid) && pid > 1 && pid != getpid()) {
            (void)kill((pid_t)pid, SIGKILL);
        }
    }
}

// A killed process leaves its group only when it is reaped: this waits for the kernel, not for luck.
static void remove_group(const char *folder)
{
    for (int i = 0; i < REMOVE_TRIES; i++) {
        if (rmdir(folder) == 0 || errno != EBUSY) {
            return;
        }
        kill_processes(folder);
        (void)usleep(REMOVE_PAUSE_US);
    }
}

static void remove_inner_groups(const char *folder)
{
    DIR *list = opendir(folder);
    if (!list) {
        return;
    }
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            AUTO_FREE char *inner = memory_format("%s/%s", folder, entry->d_name);
            remove_group(inner);
        }
    }
    (void)closedir(list);
}

// Does a comma-separated list have the word?
static bool has_word(struct text list, const char *word)
{
    struct text part;
    while (text_next_part(&list, ',', &part)) {
        if (text_equal(part, text_of(word))) {
            return true;
        }
    }
    return false;
}

// The path of this process within a controller's hierarchy, from /proc/self/cgroup; "" names v2. Heap or NULL.
static char *own_path(struct text table, const char *controller)
{
    struct text line;
    while (text_next_part(&table, '\n', &line)) {
        struct text number;
        struct text controllers;
        struct text rest = line;
        if (!text_next_part(&rest, ':', &number) || !text_next_part(&rest, ':', &controllers)) {
            continue;
        }
        bool is_it = controller[0] ? has_word(controllers, controller)
                                   : controllers.length == 0 && text_equal(number, TEXT("0"));
        if (is_it) {
            return text_equal(rest, TEXT("/")) ? text_copy(TEXT_NONE) : text_copy(rest);
        }
    }
    return NULL;
}

// The folder where a hierarchy is mounted, from /proc/self/mounts: of a v1 controller, or ("") of v2. Heap or NULL.
static char *mount_folder(struct text table, const char *controller)
{
    struct text line;
    while (text_next_part(&table, '\n', &line)) {
        struct text parts[4] = {0};
        struct text rest = line;
        for (size_t i = 0; i < 4 && text_next_part(&rest, ' ', &parts[i]); i++) {
        }
        bool is_v1 = text_equal(parts[2], TEXT("cgroup")) && has_word(parts[3], controller);
        if (controller[0] ? is_v1 : text_equal(parts[2], TEXT("cgroup2"))) {
            return text_copy(parts[1]);
        }
    }
    return NULL;
}

// `mount`/`path of this process`/`name`, made; NULL when that cannot be.
static char *make_base(struct text groups, struct text mounts, const char *controller,
                       const char *name)
{
    AUTO_FREE char *mount = mount_folder(mounts, controller);
    AUTO_FREE char *path = own_path(groups, controller);
    if (!mount || !path) {
        return NULL;
    }
    char *folder = memory_format("%s%s/%s", mount, path, name);
    remove_inner_groups(folder);
    if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
        free(folder);
        return NULL;
    }
    return folder;
}

static bool has_file(const char *folder, const char *name)
{
    AUTO_FREE char *path = memory_format("%s/%s", folder, name);
    return access(path, W_OK) == 0;
}

// A v2 hierarchy beside those of v1 has only the controllers that those have left.
static bool has_own_controllers(const char *folder)
{
    AUTO_FREE char *path = memory_format("%s/cgroup.controllers", folder);
    AUTO_BUFFER struct buffer content = {0};
    if (file_read(path, FILE_MAX, &content, NULL) != OK) {
        return false;
    }
    struct text rest = text_trim(buffer_text(&content));
    struct text word;
    while (text_next_part(&rest, ' ', &word)) {
        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
            if (text_equal(word, text_of(names[i]))) {
                return true;
            }
        }
    }
    return false;
}

// v2: a group with members may not hand controllers down, so this process moves into a leaf beside the tasks' groups.
static void prepare_v2(struct cgroups *cgroups, struct text groups, struct text mounts,
                       const char *name)
{
    static const char *const marks[CGROUP_CONTROLLERS] = {"memory.max", "pids.max", "cpu.max"};
    AUTO_FREE char *base = make_base(groups, mounts, "", name);
    if (!base) {
        return;
    }
    AUTO_FREE char *leaf = memory_format("%s/worker", base);
    AUTO_FREE char *own = memory_copy_bytes(base, strlen(base) - strlen(name) - 1);
    if (!has_own_controllers(own)) {
        remove_group(base);
        return;
    }
    if (!has_file(base, marks[CGROUP_MEMORY]) &&
        write_value(own, "cgroup.subtree_control", "+memory +pids +cpu", NULL) != OK) {
        (void)mkdir(leaf, 0755);
        (void)write_number(leaf, "cgroup.procs", getpid(), NULL);
        (void)write_value(own, "cgroup.subtree_control", "+memory +pids +cpu", NULL);
    }
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        AUTO_FREE char *hand_down = memory_format("+%s", names[i]);
        if (has_file(base, marks[i]) &&
            write_value(base, "cgroup.subtree_control", hand_down, NULL) == OK) {
            cgroups->folders[i] = memory_copy_string(base);
            cgroups->is_v2 = true;
        }
    }
    if (!cgroups->is_v2) {
        remove_group(base);
    }
}

struct cgroups *cgroups_new(const char *name)
{
    struct cgroups *cgroups = NEW(struct cgroups);
    AUTO_BUFFER struct buffer groups = {0};
    AUTO_BUFFER struct buffer mounts = {0};
    if (file_read("/proc/self/cgroup", FILE_MAX, &groups, NULL) != OK ||
        file_read("/proc/self/mounts", FILE_MAX, &mounts, NULL) != OK) {
        return cgroups;
    }
    prepare_v2(cgroups, buffer_text(&groups), buffer_text(&mounts), name);
    for (size_t i = 0; i < CGROUP_CONTROLLERS && !cgroups->is_v2; i++) {
        cgroups->folders[i] = make_base(buffer_text(&groups), buffer_text(&mounts), names[i], name);
    }
    return cgroups;
}

void cgroups_free(struct cgroups *cgroups)
{
    if (!cgroups) {
        return;
    }
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (cgroups->folders[i]) {
            remove_inner_groups(cgroups->folders[i]);
            (void)rmdir(cgroups->folders[i]);
        }
        free(cgroups->folders[i]);
    }
    free(cgroups);
}

bool cgroups_has(const struct cgroups *cgroups, enum cgroup_controller controller)
{
    return cgroups->folders[controller] != NULL;
}

static enum status set_limits_v2(const struct cgroup *cgroup, const struct cgroup_limits *limits,
                                 struct error *error)
{
    const char *folder = cgroup->folders[0];
    if (cgroup->has[CGROUP_MEMORY] && limits->memory_bytes > 0) {
        TRY(write_number(folder, "memory.max", limits->memory_bytes, error));
        (void)write_value(folder, "memory.swap.max", "0", NULL);
    }
    if (cgroup->has[CGROUP_PIDS] && limits->pids > 0) {
        TRY(write_number(folder, "pids.max", limits->pids, error));
    }
    if (cgroup->has[CGROUP_CPU] && limits->cpu_millis > 0) {
        AUTO_FREE char *quota = memory_format(
            "%" PRId64 " %d", limits->cpu_millis * CPU_PERIOD_US / 1000, CPU_PERIOD_US);
        TRY(write_value(folder, "cpu.max", quota, error));
    }
    return OK;
}

static enum status set_limits_v1(const struct cgroup *cgroup, const struct cgroup_limits *limits,
                                 struct error *error)
{
    if (cgroup->has[CGROUP_MEMORY] && limits->memory_bytes > 0) {
        const char *folder = cgroup->folders[CGROUP_MEMORY];
        TRY(write_number(folder, "memory.limit_in_bytes", limits->memory_bytes, error));
        (void)write_number(folder, "memory.memsw.limit_in_bytes", limits->memory_bytes, NULL);
    }
    if (cgroup->has[CGROUP_PIDS] && limits->pids > 0) {
        TRY(write_number(cgroup->folders[CGROUP_PIDS], "pids.max", limits->pids, error));
    }
    if (cgroup->has[CGROUP_CPU] && limits->cpu_millis > 0) {
        const char *folder = cgroup->folders[CGROUP_CPU];
        TRY(write_number(folder, "cpu.cfs_period_us", CPU_PERIOD_US, error));
        TRY(write_number(folder, "cpu.cfs_quota_us", limits->cpu_millis * CPU_PERIOD_US / 1000,
                         error));
    }
    return OK;
}

// Makes the folder of one controller and opens its list of processes.
static enum status make_group(struct cgroup *cgroup, size_t at, const char *base, const char *name,
                              struct error *error)
{
    cgroup->folders[at] = memory_format("%s/%s", base, name);
    if (mkdir(cgroup->folders[at], 0755) < 0) {
        return error_set_errno(error, errno, "cannot make the cgroup %s", cgroup->folders[at]);
    }
    // A thread that moves itself takes no lock that all others wait for, as a process does (10 ms): who joins has one thread. With v2
    // only processes may move.
    AUTO_FREE char *path =
        memory_format("%s/%s", cgroup->folders[at], cgroup->is_v2 ? "cgroup.procs" : "tasks");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(error, errno, "cannot open %s", path);
    }
    cgroup->join_fds[cgroup->join_count++] = fd;
    return OK;
}

enum status cgroup_set_limits(struct cgroup *cgroup, const struct cgroup_limits *limits,
                              struct error *error)
{
    return cgroup->is_v2 ? set_limits_v2(cgroup, limits, error)
                         : set_limits_v1(cgroup, limits, error);
}

enum status cgroup_new(struct cgroups *cgroups, const char *name,
                       const struct cgroup_limits *limits, struct cgroup **out, struct error *error)
{
    struct cgroup *cgroup = NEW(struct cgroup);
    enum status status = OK;
    cgroup->is_v2 = cgroups->is_v2;
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        cgroup->has[i] = cgroups->folders[i] != NULL;
        size_t at = cgroups->is_v2 ? 0 : i;
        if (status == OK && cgroup->has[i] && !cgroup->folders[at]) {
            status = make_group(cgroup, at, cgroups->folders[i], name, error);
        }
    }
    if (status == OK) {
        status = cgroup_set_limits(cgroup, limits, error);
    }
    if (status != OK) {
        cgroup_free(cgroup);
        return status;
    }
    *out = cgroup;
    return OK;
}

void cgroup_free(struct cgroup *cgroup)
{
    if (!cgroup) {
        return;
    }
    for (size_t i = 0; i < cgroup->join_count; i++) {
        (void)close(cgroup->join_fds[i]);
    }
    for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
        if (cgroup->folders[i]) {
            remove_group(cgroup->folders[i]);
        }
        free(cgroup->folders[i]);
    }
    free(cgroup);
}

const int *cgroup_join_fds(const struct cgroup *cgroup, size_t *count)
{
    *count = cgroup->join_count;
    return cgroup->join_fds;
}

int64_t cgroup_memory_kills(const struct cgroup *cgroup)
{
    if (!cgroup->has[CGROUP_MEMORY]) {
        return 0;
    }
    return cgroup->is_v2
               ? read_number(cgroup->folders[0], "memory.events", "oom_kill")
               : read_number(cgroup->folders[CGROUP_MEMORY], "memory.oom_control", "oom_kill");
}

int cgroup_open_events(const struct cgroup *cgroup, enum cgroup_controller controller)
{
    if (!cgroup->has[controller]) {
        return -1;
    }
    const char *name = controller == CGROUP_PIDS ? "pids.events"
                       : cgroup->is_v2           ? "memory.events"
                                                 : "memory.oom_control";
    AUTO_FREE char *path =
        memory_format("%s/%s", cgroup->folders[cgroup->is_v2 ? 0 : (size_t)controller], name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

int64_t cgroup_memory_peak(const struct cgroup *cgroup)
{
    if (!cgroup->has[CGROUP_MEMORY]) {
        return 0;
    }
    return cgroup->is_v2
               ? read_number(cgroup->folders[0], "memory.peak", "")
               : read_number(cgroup->folders[CGROUP_MEMORY], "memory.max_usage_in_bytes", "");
}
