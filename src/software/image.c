#include "software/image.h"

#include "base/arena.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "os/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>

enum { TEXT_MAX = 1024, PATH_SIZE = 1100, VARIABLE_MAX = 64 << 10 };

// Where the parts of an image lie, once the manifest is found.
struct image {
    int parts_fd;
    const char *config; // Paths below the folder of the parts; of the arena.
    const char **layers;
    size_t layer_count;
    struct arena arena;
};

static enum status open_part(const struct image *image, const char *path, int *fd,
                             struct error *error)
{
    struct stat info;
    AUTO_CLOSE int opened = -1;
    enum status status =
        file_open_in_root(image->parts_fd, path, O_RDONLY | O_NONBLOCK, 0, &opened, error);
    if (status == OK && (fstat(opened, &info) < 0 || !S_ISREG(info.st_mode))) {
        return error_set(error, INVALID, "\"%.200s\" in the image is no file", path);
    }
    if (status == NOT_FOUND) {
        (void)error_set(error, NOT_FOUND, "the image lacks its part \"%.200s\"", path);
        error_fix(error, "save it with all its layers: podman save --format oci-archive");
        return NOT_FOUND;
    }
    TRY(status);
    *fd = file_take_fd(&opened);
    return OK;
}

static enum status read_document(const struct image *image, const char *path, json_t **out,
                                 struct error *error)
{
    AUTO_CLOSE int fd = -1;
    AUTO_BUFFER struct buffer content = {0};
    TRY(open_part(image, path, &fd, error));
    AUTO_FREE char *opened = memory_format("/proc/self/fd/%d", fd);
    TRY(file_read(opened, IMAGE_DOCUMENT_MAX, &content, error));
    return json_parse(buffer_text(&content), out, error);
}

// The path of the part with the digest in a descriptor; its content is looked at.
static enum status find_blob(struct image *image, const json_t *descriptor, const char **path,
                             struct error *error)
{
    struct text named = TEXT_NONE;
    struct digest digest;
    struct digest found;
    int64_t size = 0;
    AUTO_CLOSE int fd = -1;
    TRY(json_field_text(descriptor, "digest", JSON_REQUIRED, TEXT_MAX, &named, error));
    TRY(digest_from_text(named, &digest, error));
    char text[DIGEST_TEXT_SIZE];
    const char *hex = digest_to_text(&digest, text) + sizeof "sha256:" - 1;
    *path = arena_format(&image->arena, "blobs/sha256/%s", hex);
    TRY(open_part(image, *path, &fd, error));
    TRY(digest_file(fd, &found, &size, error));
    if (!digest_equal(&digest, &found)) {
        return error_set(error, CORRUPT, "the image's part %s has another content", text);
    }
    return OK;
}

// This machine's architecture in the words of Go, which images use.
static const char *architecture(const struct utsname *machine)
{
    static const char *const NAMES[][2] = {{"x86_64", "amd64"},
                                           {"aarch64", "arm64"},
                                           {"armv7l", "arm"},
                                           {"i686", "386"},
                                           {"ppc64le", "ppc64le"}};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strcmp(machine->machine, NAMES[i][0]) == 0) {
            return NAMES[i][1];
        }
    }
    return machine->machine;
}

// The manifest in an index that is for this machine: the only one, or that which says so.
static enum status choose_manifest(const json_t *index, const json_t **chosen, struct error *error)
{
    json_t *manifests = NULL;
    struct utsname machine;
    TRY(json_field_array(index, "manifests", JSON_REQUIRED, IMAGE_LAYERS_MAX, &manifests, error));
    if (uname(&machine) < 0) {
        return error_set(error, INTERNAL, "cannot find out the machine's architecture");
    }
    const char *wanted = architecture(&machine);
    size_t count = json_array_size(manifests);
    for (size_t i = 0; i < count; i++) {
        const json_t *each = json_array_get(manifests, i);
        const json_t *platform = json_object_get(each, "platform");
        bool is_right =
            text_equal(json_text(json_object_get(platform, "os")), TEXT("linux")) &&
            text_equal(json_text(json_object_get(platform, "architecture")), text_of(wanted));
        if (is_right || (count == 1 && !platform)) {
            *chosen = each;
            return OK;
        }
    }
    (void)error_set(error, INVALID, "the image has nothing for linux on %s", wanted);
    error_fix(error, "save the one for that architecture");
    return INVALID;
}

static enum status read_oci_manifest(struct image *image, const json_t *manifest,
                                     struct error *error)
{
    json_t *config = NULL;
    json_t *layers = NULL;
    TRY(json_field_object(manifest, "config", JSON_REQUIRED, &config, error));
    TRY(json_field_array(manifest, "layers", JSON_REQUIRED, IMAGE_LAYERS_MAX, &layers, error));
    TRY(find_blob(image, config, &image->config, error));
    image->layers = arena_new(&image->arena, (json_array_size(layers) + 1) * sizeof *image->layers);
    for (size_t i = 0; i < json_array_size(layers); i++) {
        TRY(find_blob(image, json_array_get(layers, i), &image->layers[image->layer_count++],
                      error));
    }
    return OK;
}

// From the index of the layout down to the manifest.
static enum status read_oci(struct image *image, struct error *error)
{
    const char *path = "index.json";
    for (int i = 0; i < IMAGE_INDEXES_MAX; i++) {
        AUTO_JSON json_t *document = NULL;
        const json_t *chosen = NULL;
        TRY(read_document(image, path, &document, error));
        if (!json_object_get(document, "manifests")) {
            return read_oci_manifest(image, document, error);
        }
        TRY(choose_manifest(document, &chosen, error));
        TRY(find_blob(image, chosen, &path, error));
    }
    return error_set(error, INVALID, "the image has no manifest below %d indexes",
                     IMAGE_INDEXES_MAX);
}

static enum status read_docker(struct image *image, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    json_t *layers = NULL;
    struct text config = TEXT_NONE;
    TRY(read_document(image, "manifest.json", &document, error));
    if (json_array_size(document) != 1) {
        (void)error_set(error, INVALID, "the archive has %zu images", json_array_size(document));
        error_fix(error, "save one image alone");
        return INVALID;
    }
    const json_t *manifest = json_array_get(document, 0);
    TRY(json_field_text(manifest, "Config", JSON_REQUIRED, TEXT_MAX, &config, error));
    TRY(json_field_array(manifest, "Layers", JSON_REQUIRED, IMAGE_LAYERS_MAX, &layers, error));
    image->config = arena_copy(&image->arena, config);
    image->layers = arena_new(&image->arena, (json_array_size(layers) + 1) * sizeof *image->layers);
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        if (!json_is_string(layer)) {
            return error_set(error, INVALID, "\"Layers\" of the image's manifest has no text");
        }
        image->layers[image->layer_count++] = arena_copy(&image->arena, json_text(layer));
    }
    return OK;
}

static enum status read_environment(const struct image *image, json_t **out, struct error *error)
{
    AUTO_JSON json_t *document = NULL;
    AUTO_JSON json_t *environment = json_array();
    json_t *config = NULL;
    json_t *variables = NULL;
    TRY(read_document(image, image->config, &document, error));
    TRY(json_field_object(document, "config", JSON_OPTIONAL, &config, error));
    if (config) {
        TRY(json_field_array(config, "Env", JSON_OPTIONAL, IMAGE_VARIABLES_MAX, &variables, error));
    }
    for (size_t i = 0; i < json_array_size(variables); i++) {
        json_t *variable = json_array_get(variables, i);
        struct text text = json_text(variable);
        size_t equals = text_find_byte(text, 0, '=');
        if (equals == 0 || equals == text.length || text.length > VARIABLE_MAX) {
            return error_set(error, INVALID, "\"Env\" of the image is not of NAME=value");
        }
        (void)json_array_append(environment, variable);
    }
    *out = TAKE(environment);
    return OK;
}

static enum status unpack_layers(const struct image *image, int root_fd, struct unpack_quota *quota,
                                 struct error *error)
{
    for (size_t i = 0; i < image->layer_count; i++) {
        AUTO_CLOSE int fd = -1;
        TRY(open_part(image, image->layers[i], &fd, error));
        TRY(unpack_layer(fd, root_fd, quota, error));
    }
    return OK;
}

enum status image_unpack(int parts_fd, int root_fd, struct unpack_quota *quota,
                         json_t **environment, struct error *error)
{
    struct image image = {.parts_fd = parts_fd};
    bool is_oci = faccessat(parts_fd, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    bool is_docker = faccessat(parts_fd, "manifest.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    enum status status = OK;
    if (!is_oci && !is_docker) {
        (void)error_set(error, INVALID,
                        "the archive is no image: it has neither index.json nor manifest.json");
        error_fix(error, "save one with: podman save --format oci-archive -o FILE.tar NAME; "
                         "a file system as a plain tar is given with --bundle");
        return INVALID;
    }
    status = is_oci ? read_oci(&image, error) : read_docker(&image, error);
    if (status == OK) {
        status = read_environment(&image, environment, error);
    }
    if (status == OK) {
        status = unpack_layers(&image, root_fd, quota, error);
        if (status != OK) {
            json_decref(TAKE(*environment));
        }
    }
    arena_done(&image.arena);
    return status;
}
