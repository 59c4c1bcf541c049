// Images of containers: unpacks an archive of one, layer over layer, into a folder that is the root of a file system.
#ifndef LODE_SOFTWARE_IMAGE_H
#define LODE_SOFTWARE_IMAGE_H

#include "base/json.h"
#include "software/unpack.h"

enum {
    IMAGE_LAYERS_MAX = 512,
    IMAGE_DOCUMENT_MAX = 4 << 20, // Bytes of a manifest, an index or a configuration.
    IMAGE_VARIABLES_MAX = 256,
    IMAGE_INDEXES_MAX = 4, // One naming the next.
};

// `parts` is a folder with the files of an image: an OCI layout ("index.json", OCI image specification 1.0, image-layout.md), as `podman save
// --format oci-archive` and `skopeo copy` make it, or what `docker save` writes ("manifest.json"). Of an index the manifest for this
// machine's architecture is taken. In an OCI layout each part must have the digest that names it. The layers go into the root folder; *environment is what the image sets, an array of "NAME=value" for the caller. INVALID: it is no image that can be used; NOT_FOUND: a part of it is
// missing; CORRUPT: a part has another digest; and the statuses of unpack_layer.
enum status image_unpack(int parts_fd, int root_fd, struct unpack_quota *quota,
                         json_t **environment, struct error *error);

#endif
