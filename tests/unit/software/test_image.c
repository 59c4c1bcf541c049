// Images of containers: layer over layer, as podman and docker save them.
#include "../folder.h"
#include "tar.h"

#include "crypto/digest.h"
#include "software/image.h"
#include "software/tree.h"

#include <sys/utsname.h>

#define COUNT_OF(list) (sizeof(list) / sizeof(list)[0])
#define CONFIG "{\"config\":{\"Env\":[\"PATH=/usr/bin:/bin\",\"LANG=C\"]}}"

// The bytes of a layer.
static void layer_of(const struct tar_entry *entries, size_t count, struct buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        tar_put(out, &entries[i]);
    }
    tar_end(out);
}

// Appends a file of any bytes to an archive.
static void put_bytes(struct buffer *archive, const char *name, const struct buffer *bytes)
{
    static const char zeros[TAR_BLOCK];
    tar_put(archive, &(struct tar_entry){.name = name, .type = '0', .size = bytes->length});
    buffer_append_text(archive, buffer_text(bytes));
    buffer_append(archive, zeros, (TAR_BLOCK - bytes->length % TAR_BLOCK) % TAR_BLOCK);
}

// Appends a blob of an OCI layout, and writes its descriptor.
static void put_blob(struct buffer *archive, struct text bytes, struct buffer *descriptor)
{
    char text[DIGEST_TEXT_SIZE];
    const struct digest digest = digest_of(bytes.bytes, bytes.length);
    AUTO_BUFFER struct buffer content = {0};
    buffer_append_text(&content, bytes);
    (void)digest_to_text(&digest, text);
    AUTO_FREE char *name = memory_format("blobs/sha256/%s", text + 7);
    put_bytes(archive, name, &content);
    buffer_printf(descriptor, "{\"mediaType\":\"x\",\"digest\":\"%s\",\"size\":%zu}", text,
                  bytes.length);
}

static char *write_archive(const struct buffer *archive)
{
    char *path = memory_format("%s/archive.tar", folder);
    assert_int_equal(file_write_atomic(path, buffer_text(archive), 0600, NULL), OK);
    return path;
}

static enum status unpack(const struct buffer *archive, struct error *error)
{
    AUTO_FREE char *path = write_archive(archive);
    AUTO_FREE char *tree = memory_format("%s/tree", folder);
    assert_int_equal(file_remove_tree(tree, NULL), OK);
    const struct tree_order order = {.archive = path,
                                     .folder = tree,
                                     .is_image = true,
                                     .quota = {.bytes = 1 << 20, .entries = 1000}};
    return tree_unpack(&order, error);
}

static int open_root(void)
{
    AUTO_FREE char *root = memory_format("%s/tree/" TREE_ROOT, folder);
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static const struct tar_entry lower[] = {
    {.name = "usr/bin/tool", .type = '0', .content = "first", .mode = 0755},
    {.name = "usr/old", .type = '0', .content = "old"},
    {.name = "opt/a", .type = '0', .content = "a"},
    {.name = "opt/sub/b", .type = '0', .content = "b"},
    {.name = "tmp", .type = '2', .target = "/var/tmp"},
    {.name = "etc/resolv.conf", .type = '2', .target = "../run/resolv.conf"},
};
static const struct tar_entry upper[] = {
    {.name = "usr/bin/tool", .type = '0', .content = "second", .mode = 0755},
    {.name = "opt/c", .type = '0', .content = "c"}, // Stands before what takes away its neighbours.
    {.name = "opt/.wh..wh..opq", .type = '0'},
    {.name = "usr/.wh.old", .type = '0'},
    {.name = "nowhere/.wh.x", .type = '0'},
};

static void make_oci(struct buffer *archive, const char *platform)
{
    AUTO_BUFFER struct buffer first = {0};
    AUTO_BUFFER struct buffer second = {0};
    AUTO_BUFFER struct buffer descriptor = {0};
    AUTO_BUFFER struct buffer manifest = {0};
    AUTO_BUFFER struct buffer index = {0};
    layer_of(lower, COUNT_OF(lower), &first);
    layer_of(upper, COUNT_OF(upper), &second);
    buffer_append_string(&manifest, "{\"schemaVersion\":2,\"config\":");
    put_blob(archive, TEXT(CONFIG), &manifest);
    buffer_append_string(&manifest, ",\"layers\":[");
    put_blob(archive, buffer_text(&first), &manifest);
    buffer_append_byte(&manifest, ',');
    put_blob(archive, buffer_text(&second), &manifest);
    buffer_append_string(&manifest, "]}");
    put_blob(archive, buffer_text(&manifest), &descriptor);
    descriptor.length--; // To add the platform.
    buffer_printf(&index, "{\"schemaVersion\":2,\"manifests\":[%.*s%s}]}", (int)descriptor.length,
                  descriptor.bytes, platform);
    put_bytes(archive, "index.json", &index);
    tar_end(archive);
}

static void expect_both_layers(void)
{
    AUTO_CLOSE int root_fd = open_root();
    tar_expect(root_fd, "usr/bin/tool", "second");
    tar_expect(root_fd, "opt/c", "c");
    assert_false(tar_has(root_fd, "opt/a") || tar_has(root_fd, "opt/sub"));
    assert_false(tar_has(root_fd, "usr/old") || tar_has(root_fd, "nowhere"));
}

static void layers_lie_over_each_other(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer archive = {0};
    struct error error = {0};
    make_oci(&archive, "");
    assert_int_equal(unpack(&archive, &error), OK);
    expect_both_layers();
}

static void a_tree_has_places_for_what_is_the_sandboxs(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer archive = {0};
    struct arena arena AUTO_ARENA = {0};
    struct tree tree = {0};
    struct stat info;
    AUTO_FREE char *path = memory_format("%s/tree", folder);
    make_oci(&archive, "");
    assert_int_equal(unpack(&archive, NULL), OK);
    assert_int_equal(tree_read(path, &arena, &tree, NULL), OK);
    assert_true(tree.is_root);
    assert_int_equal(tree.environment_count, 2);
    assert_true(text_equal(tree.environment[0], TEXT("PATH=/usr/bin:/bin")));
    AUTO_CLOSE int root_fd = open_root();
    static const char *const folders[] = {"tmp", "work", "data", "dev", "proc", "run"};
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        assert_int_equal(fstatat(root_fd, folders[i], &info, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISDIR(info.st_mode));
    }
    assert_int_equal(fstatat(root_fd, "etc/resolv.conf", &info, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(info.st_mode));
}

static void of_several_architectures_the_machines_is_taken(void **state)
{
    (void)state;
    struct utsname machine;
    assert_int_equal(uname(&machine), 0);
    bool is_pc = strcmp(machine.machine, "x86_64") == 0;
    AUTO_BUFFER struct buffer right = {0};
    AUTO_BUFFER struct buffer wrong = {0};
    struct error error = {0};
    make_oci(&wrong, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"vax\"}");
    assert_int_equal(unpack(&wrong, &error), INVALID);
    assert_non_null(strstr(error.detail, "nothing for linux"));
    if (is_pc) {
        make_oci(&right, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}");
        assert_int_equal(unpack(&right, &error), OK);
        expect_both_layers();
    }
}

static void a_part_with_another_content_is_refused(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer archive = {0};
    struct error error = {0};
    make_oci(&archive, "");
    char *config = memmem(archive.bytes, archive.length, "LANG=C", 6);
    assert_non_null(config);
    config[5] = 'D';
    assert_int_equal(unpack(&archive, &error), CORRUPT);
    assert_non_null(strstr(error.detail, "another content"));
}

static void make_docker(struct buffer *archive, const char *manifest)
{
    AUTO_BUFFER struct buffer first = {0};
    AUTO_BUFFER struct buffer second = {0};
    layer_of(lower, COUNT_OF(lower), &first);
    layer_of(upper, COUNT_OF(upper), &second);
    tar_put(archive, &(struct tar_entry){.name = "c.json", .type = '0', .content = CONFIG});
    put_bytes(archive, "1.tar", &first);
    put_bytes(archive, "2.tar", &second);
    tar_put(archive, &(struct tar_entry){.name = "2/layer.tar", .type = '2', .target = "../2.tar"});
    tar_put(archive,
            &(struct tar_entry){.name = "manifest.json", .type = '0', .content = manifest});
    tar_end(archive);
}

static void what_docker_saves_is_unpacked_too(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer archive = {0};
    struct error error = {0};
    make_docker(&archive, "[{\"Config\":\"c.json\",\"Layers\":[\"1.tar\",\"2/layer.tar\"]}]");
    assert_int_equal(unpack(&archive, &error), OK);
    expect_both_layers();
}

static void a_manifest_names_nothing_outside(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer archive = {0};
    struct error error = {0};
    make_docker(&archive, "[{\"Config\":\"/etc/hostname\",\"Layers\":[\"1.tar\"]}]");
    assert_int_equal(unpack(&archive, &error), NOT_FOUND);
    AUTO_BUFFER struct buffer other = {0};
    make_docker(&other, "[{\"Config\":\"../../archive.tar\",\"Layers\":[\"1.tar\"]}]");
    assert_int_equal(unpack(&other, &error), NOT_FOUND);
}

static void what_is_no_image_is_said_to_be_none(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer archive = {0};
    struct error error = {0};
    tar_put(&archive, &(struct tar_entry){.name = "usr/bin/x", .type = '0', .content = "x"});
    tar_end(&archive);
    assert_int_equal(unpack(&archive, &error), INVALID);
    assert_non_null(strstr(error.detail, "no image"));
    assert_non_null(strstr(error.fix, "--bundle"));
}

static void a_missing_layer_is_named(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer archive = {0};
    struct error error = {0};
    make_docker(&archive, "[{\"Config\":\"c.json\",\"Layers\":[\"1.tar\",\"3.tar\"]}]");
    assert_int_equal(unpack(&archive, &error), NOT_FOUND);
    assert_non_null(strstr(error.detail, "3.tar"));
}

static void all_layers_share_one_quota(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer archive = {0};
    struct error error = {0};
    make_docker(&archive, "[{\"Config\":\"c.json\",\"Layers\":[\"1.tar\",\"2.tar\"]}]");
    AUTO_FREE char *path = write_archive(&archive);
    AUTO_FREE char *tree = memory_format("%s/tree", folder);
    assert_int_equal(file_remove_tree(tree, NULL), OK);
    const struct tree_order order = {
        .archive = path, .folder = tree, .is_image = true, .quota = {1 << 20, 12}};
    assert_int_equal(tree_unpack(&order, &error), QUOTA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_lie_over_each_other),
        cmocka_unit_test(a_tree_has_places_for_what_is_the_sandboxs),
        cmocka_unit_test(of_several_architectures_the_machines_is_taken),
        cmocka_unit_test(a_part_with_another_content_is_refused),
        cmocka_unit_test(what_docker_saves_is_unpacked_too),
        cmocka_unit_test(a_manifest_names_nothing_outside),
        cmocka_unit_test(what_is_no_image_is_said_to_be_none),
        cmocka_unit_test(a_missing_layer_is_named),
        cmocka_unit_test(all_layers_share_one_quota),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
