// The description of the HTTP API, docs/openapi.json, as it was when the program was built.
#ifndef LODE_PROGRAMS_SITE_OPENAPI_H
#define LODE_PROGRAMS_SITE_OPENAPI_H

#include "base/text.h"

#define OPENAPI_DOCUMENT ((struct text){(const char *)openapi_bytes, openapi_length})

extern const unsigned char openapi_bytes[];
extern const size_t openapi_length;

#endif
