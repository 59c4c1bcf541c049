#include "../cmocka_all.h"

#include "base/memory.h"
#include "jobs/spec.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
// A document with a command and the fields given.
#define WITH(fields) "{\"command\": [\"x\"], " fields "}"

static struct job_spec *parse(const char *text)
{
    struct job_spec *spec = NULL;
    struct error error = {0};
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(json_parse(text_of(text), &document, &error), OK);
    if (spec_parse(document, &spec, &error) != OK) {
        fail_msg("%s", error.detail);
    }
    return spec;
}

// The document is refused, and the error's text has `part`.
static void refuse_value(const json_t *document, const char *part)
{
    struct job_spec *spec = NULL;
    struct error error = {0};
    assert_int_equal(spec_parse(document, &spec, &error), INVALID);
    assert_int_equal(spec_parse(document, &spec, NULL), INVALID);
    assert_null(spec);
    if (!strstr(error.detail, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, error.detail);
    }
}

static void refuse(const char *text, const char *part)
{
    AUTO_JSON json_t *document = NULL;
    assert_int_equal(json_parse(text_of(text), &document, NULL), OK);
    refuse_value(document, part);
}

static void a_command_alone_gets_the_defaults(void **state)
{
    (void)state;
    struct job_spec *spec = parse("{\"command\": [\"true\"]}");
    assert_string_equal(spec->name, "");
    assert_int_equal(spec->mode, SPEC_COMMAND);
    assert_int_equal(spec->index, SPEC_INDEX_COUNT);
    assert_int_equal(spec->count, 1);
    assert_int_equal(spec->argument_count, 1);
    assert_string_equal(spec->command[0], "true");
    assert_null(spec->command[1]);
    assert_int_equal(spec->need.cpu_millis, 1000);
    assert_int_equal(spec->need.memory_bytes, 1 << 30);
    assert_int_equal(spec->need.disk_bytes, INT64_C(1) << 30);
    assert_int_equal(spec->walltime_us, INT64_C(86400000000));
    assert_int_equal(spec->retries.times[CAUSE_FAIL], 0);
    assert_false(spec->has_network);
    assert_int_equal(spec->cache, SPEC_CACHE_USE);
    spec_free(spec);
}

static void a_full_document_survives_the_round_trip(void **state)
{
    (void)state;
    static const char full[] =
        "{\"name\": \"sst\", \"mode\": \"command\", \"command\": [\"nco\", \"{file}\"],"
        " \"over\": \"doi:10.1/coads\", \"over_name\": \"in\","
        " \"over_digest\": \"" DIGEST "\","
        " \"data\": [{\"id\": \"site:mask\", \"name\": \"mask\", \"digest\": \"" DIGEST "\"}],"
        " \"files\": [{\"name\": \"x.py\", \"blob\": \"" DIGEST "\", \"executable\": true}],"
        " \"outputs\": [\"*.nc\", \"plots/**\"], \"environment\": {\"A\": \"1\", \"B\": \"2\"},"
        " \"after\": [3, 4], \"cpus\": 0.5, \"memory_bytes\": 2097152, \"disk_bytes\": 0,"
        " \"walltime_seconds\": 1.5, \"retries\": 2, \"priority\": -3, \"network\": true,"
        " \"cache\": \"refresh\", \"first_index\": 7, \"count\": 5, \"input_from\": [2, 1],"
        " \"at\": \"ocean\", \"merge\": [\"cat\", \"inputs/0/x\"], \"stage\": \"never\","
        " \"offer\": \"o-1\"}";
    struct job_spec *spec = parse(full);
    AUTO_JSON json_t *before = NULL;
    assert_int_equal(json_parse(text_of(full), &before, NULL), OK);
    AUTO_JSON json_t *after = spec_to_json(spec);
    assert_true(json_equal(before, after));
    spec_free(spec);
}

static void files_may_lie_in_folders(void **state)
{
    (void)state;
    struct job_spec *spec =
        parse(WITH("\"files\": [{\"name\": \"a/b/c\", \"blob\": \"" DIGEST "\"},"
                   " {\"name\": \"a-b\", \"blob\": \"" DIGEST "\"},"
                   " {\"name\": \"a/b/d\", \"blob\": \"" DIGEST "\"}]"));
    assert_int_equal(spec->file_count, 3);
    assert_string_equal(spec->files[0].name, "a/b/c");
    spec_free(spec);
}

static void a_part_of_an_index_set_has_a_first_index(void **state)
{
    (void)state;
    struct job_spec *spec = parse(WITH("\"first_index\": 10"));
    assert_int_equal(spec->first_index, 10);
    assert_int_equal(spec->count, 1);
    assert_int_equal(spec->part_count, 0);
    spec_free(spec);
    spec = parse(WITH("\"first_index\": 0, \"count\": 4, \"items\": \"" DIGEST "\""));
    assert_int_equal(spec->index, SPEC_INDEX_ITEMS);
    assert_int_equal(spec->part_count, 4);
    spec_free(spec);
    spec = parse(WITH("\"first_index\": 3, \"over\": \"a:b\""));
    assert_int_equal(spec->index, SPEC_INDEX_OVER);
    assert_int_equal(spec->part_count, 0);
    spec_free(spec);
}

// The results of a part are those of its own indices.
static void the_first_index_is_part_of_the_identity(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer plain = {0};
    AUTO_BUFFER struct buffer zero = {0};
    AUTO_BUFFER struct buffer part = {0};
    struct job_spec *specs[] = {parse(WITH("\"count\": 2")),
                                parse(WITH("\"count\": 2, \"first_index\": 0, \"at\": \"x\"")),
                                parse(WITH("\"count\": 2, \"first_index\": 2"))};
    struct buffer *identities[] = {&plain, &zero, &part};
    for (size_t i = 0; i < 3; i++) {
        spec_write_identity(specs[i], identities[i]);
        spec_free(specs[i]);
    }
    assert_true(text_equal(buffer_text(&plain), buffer_text(&zero)));
    assert_false(text_equal(buffer_text(&plain), buffer_text(&part)));
}

static void names_of_data_come_from_their_ids(void **state)
{
    (void)state;
    struct job_spec *spec =
        parse(WITH("\"over\": \"https://x.org/a/coads.nc/\", \"data\": [{\"id\": \"doi:10.1/abc\"},"
                   " {\"id\": \"urn:x:.h?d\"}, {\"id\": \"///\"}]"));
    assert_string_equal(spec->over_name, "coads.nc");
    assert_string_equal(spec->data[0].name, "abc");
    assert_string_equal(spec->data[1].name, "_h_d");
    assert_string_equal(spec->data[2].name, "data");
    spec_free(spec);
}

static void every_wrong_plain_field_is_refused_by_its_name(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", "object"},
        {"{}", "\"command\" is missing"},
        {"{\"command\": []}", "\"command\" is empty"},
        {"{\"command\": [\"\"]}", "\"command\" is empty"},
        {"{\"command\": [\"x\", 3]}", "command[1] must be a string"},
        {"{\"command\": \"x\"}", "\"command\" must be an array"},
        {WITH("\"comand\": 1"), "unknown field \"comand\""},
        {WITH("\"mode\": \"fast\""), "field \"mode\" is \"fast\""},
        {WITH("\"cache\": \"no\""), "field \"cache\" is \"no\""},
        {WITH("\"name\": \"a\\nb\""), "\"name\" has a control character"},
        {WITH("\"count\": 0"), "\"count\" must be"},
        {WITH("\"count\": 1000000001"), "\"count\" must be"},
        {WITH("\"count\": 1.5"), "\"count\" must be"},
        {WITH("\"count\": 2, \"over\": \"a:b\""), "two index sets"},
        {WITH("\"first_index\": 1, \"items\": \"" DIGEST "\", \"over\": \"a:b\""),
         "two index sets"},
        {WITH("\"first_index\": -1"), "\"first_index\" must be"},
        {WITH("\"first_index\": 999999990, \"count\": 11"), "\"first_index\" must be"},
        {WITH("\"at\": \"\""), "\"at\" must be a site's name"},
        {WITH("\"at\": \"a\\u0001\""), "\"at\" must be a site's name"},
        {WITH("\"at\": 3"), "\"at\" must be"},
        {WITH("\"stage\": \"always\""), "field \"stage\" is \"always\""},
        {WITH("\"offer\": \"\""), "\"offer\""},
        {WITH("\"merge\": []"), "\"merge\" is empty"},
        {WITH("\"merge\": [\"\"]"), "\"merge\" is empty"},
        {WITH("\"merge\": [\"x\", 1]"), "merge[1] must be a string"},
        {WITH("\"items\": \"" DIGEST "\", \"over\": \"a:b\""), "two index sets"},
        {WITH("\"items\": \"sha256:00\""), "\"items\" must be \"sha256:\""},
        {WITH("\"over\": \"\""), "identifier has 1 to"},
        {WITH("\"over\": \"a b\""), "space"},
        {WITH("\"over_name\": \"a\""), "\"over_name\" without"},
        {WITH("\"over_digest\": \"" DIGEST "\""), "\"over_digest\" without"},
        {WITH("\"over\": \"a:b\", \"over_digest\": \"md5:0\""), "\"over_digest\" must be"},
        {WITH("\"data\": [{\"id\": \"a:b\", \"digest\": \"sha256:0\"}]"), "data[0].digest must be"},
        {"{\"command\": [\"rm\", \"x/{file}\"], \"count\": 2}",
         "{file}, but the job runs over no dataset"},
        {WITH("\"over\": \"a:b\", \"over_name\": \"..\""), "single file name"},
        {WITH("\"cpus\": 0"), "\"cpus\" must be"},
        {WITH("\"memory_bytes\": 5"), "\"memory_bytes\" must be"},
        {WITH("\"disk_bytes\": -1"), "\"disk_bytes\" must be"},
        {WITH("\"walltime_seconds\": 0"), "\"walltime_seconds\" must be"},
        {WITH("\"retries\": 101"), "\"retries\" must be"},
        {WITH("\"priority\": 101"), "\"priority\" must be"},
        {WITH("\"network\": \"yes\""), "\"network\" must be true"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refuse(cases[i][0], cases[i][1]);
    }
}

static void every_wrong_element_of_a_list_is_refused_by_its_place(void **state)
{
    (void)state;
#define GOOD_BLOB "\"blob\": \"" DIGEST "\""
    static const char *const cases[][2] = {
        {WITH("\"data\": [3]"), "object"},
        {WITH("\"data\": [{\"name\": \"a\"}]"), "\"id\" is missing"},
        {WITH("\"data\": [{\"id\": \"a:b\", \"x\": 1}]"), "unknown field"},
        {WITH("\"data\": [{\"id\": \"a:b\", \"name\": \"a/b\"}]"), "data[0].name"},
        {WITH("\"data\": [{\"id\": \"a:b\"}, {\"id\": \"c:b\"}]"), "/data/b"},
        {WITH("\"over\": \"a:b\", \"data\": [{\"id\": \"c:b\"}]"), "/data/b"},
        {WITH("\"files\": [{\"name\": \"a\"}]"), "\"blob\" is missing"},
        {WITH("\"files\": [{\"name\": \"a\", \"blob\": \"md5:1\"}]"), "files[0].blob"},
        {WITH("\"files\": [{\"name\": \"../a\", " GOOD_BLOB "}]"), "files[0].name"},
        {WITH("\"files\": [{\"name\": \"\", " GOOD_BLOB "}]"), "files[0].name"},
        {WITH("\"files\": [{\"name\": \"a\", " GOOD_BLOB "}, {\"name\": \"a\", " GOOD_BLOB "}]"),
         "two files"},
        {WITH("\"files\": [{\"name\": \"/a\", " GOOD_BLOB "}]"),
         "no path below the working folder"},
        {WITH("\"files\": [{\"name\": \"a//b\", " GOOD_BLOB "}]"), "no path below"},
        {WITH("\"files\": [{\"name\": \"a/\", " GOOD_BLOB "}]"), "files[0].name"},
        {WITH("\"files\": [{\"name\": \"a/./b\", " GOOD_BLOB "}]"), "no path below"},
        {WITH("\"files\": [{\"name\": \"a/../b\", " GOOD_BLOB "}]"), "no path below"},
        {WITH("\"files\": [{\"name\": \"a/b/c\", " GOOD_BLOB "}, {\"name\": \"a/b-d\", " GOOD_BLOB
              "}, {\"name\": \"a/b\", " GOOD_BLOB "}]"),
         "\"a/b\" would be the folder of file \"a/b/c\""},
        {WITH("\"input_from\": [1], \"files\": [{\"name\": \"inputs/x\", " GOOD_BLOB "}]"),
         "would lie where the outputs"},
        {WITH("\"input_from\": [1], \"files\": [{\"name\": \"inputs\", " GOOD_BLOB "}]"),
         "would lie where the outputs"},
        {WITH("\"input_from\": [0]"), "input_from[0]"},
        {WITH("\"input_from\": [4, 4]"), "job 4 twice"},
        {WITH("\"outputs\": [\"/etc/*\"]"), "outputs[0]"},
        {WITH("\"outputs\": [\"a/../../b\"]"), "outputs[0]"},
        {WITH("\"outputs\": [\"a\", \"\"]"), "outputs[1]"},
        {WITH("\"outputs\": [\"a/\"]"), "outputs[0]"},
        {WITH("\"outputs\": [\"a\\u0007\"]"), "outputs[0]"},
        {WITH("\"mode\": \"stream\", \"outputs\": [\"a\"]"), "streamed"},
        {WITH("\"environment\": {\"1A\": \"\"}"), "\"1A\" has no valid name"},
        {WITH("\"environment\": {\"A=B\": \"\"}"), "no valid name"},
        {WITH("\"environment\": {\"\": \"\"}"), "no valid name"},
        {WITH("\"checkpoint\": {\"files\": []}"), "names no files"},
        {WITH("\"checkpoint\": {\"files\": [\"/x\"]}"), "files[0]"},
        {WITH("\"checkpoint\": {\"files\": [\"x\"], \"interval_seconds\": 0}"), "interval_seconds"},
        {WITH("\"checkpoint\": {\"files\": [\"x\"], \"signal\": \"SIGKILL\"}"), "SIGKILL"},
        {WITH("\"mode\": \"stream\", \"checkpoint\": {\"files\": [\"x\"]}"), "streamed job"},
        {WITH("\"environment\": {\"LODE_JOB\": \"\"}"), "set by Lode"},
        {WITH("\"environment\": {\"A\": 1}"), "\"A\" must be a string"},
        {WITH("\"after\": [0]"), "after[0]"},
        {WITH("\"after\": [\"1\"]"), "after[0]"},
        {WITH("\"after\": [1, 2, 1]"), "job 1 twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refuse(cases[i][0], cases[i][1]);
    }
}

static json_t *document_with(const char *field, json_t *value)
{
    json_t *document = json_pack("{s:[s]}", "command", "x");
    (void)json_object_set_new(document, field, value);
    return document;
}

static void bytes_that_parsed_json_cannot_have_are_refused_too(void **state)
{
    (void)state;
    AUTO_JSON json_t *nul =
        document_with("command", json_pack("[s, o]", "x", json_stringn_nocheck("a\0b", 3)));
    AUTO_JSON json_t *latin =
        document_with("command", json_pack("[s, o]", "x", json_stringn_nocheck("\xE4", 1)));
    AUTO_JSON json_t *name = document_with("name", json_stringn_nocheck("\xE4", 1));
    AUTO_JSON json_t *over = document_with("over", json_stringn_nocheck("a\0b", 3));
    refuse_value(nul, "command[1] has a NUL byte");
    refuse_value(latin, "command[1] is not UTF-8");
    refuse_value(name, "\"name\" is not UTF-8");
    refuse_value(over, "NUL");
}

static json_t *repeated(json_t *value, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append(array, value);
    }
    json_decref(value);
    return array;
}

static json_t *text_of_size(size_t size)
{
    AUTO_FREE char *bytes = memory_new(size, 1);
    memset(bytes, 'a', size);
    return json_stringn(bytes, size);
}

static json_t *variables_of_count(int count)
{
    json_t *variables = json_object();
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *key = memory_format("V%d", i);
        (void)json_object_set_new(variables, key, json_string(""));
    }
    return variables;
}

static json_t *files_of_count(int count)
{
    json_t *files = json_array();
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *name = memory_format("f%d", i);
        (void)json_array_append_new(files, json_pack("{s:s, s:s}", "name", name, "blob", DIGEST));
    }
    return files;
}

static void every_limit_holds(void **state)
{
    (void)state;
    struct {
        const char *field;
        json_t *value;
        const char *part;
    } cases[] = {
        {"command", repeated(json_string("x"), SPEC_ARGUMENTS_MAX + 1), "array of at most 4096"},
        {"command", repeated(text_of_size(SPEC_ARGUMENTS_SIZE_MAX / 2), 2), "command is longer"},
        {"name", text_of_size(SPEC_NAME_MAX + 1), "\"name\" has 201 bytes"},
        {"over", text_of_size(SPEC_ID_MAX + 1), "\"over\" has 2049 bytes"},
        {"outputs", repeated(json_string("a"), SPEC_OUTPUTS_MAX + 1), "array of at most 64"},
        {"outputs", repeated(text_of_size(SPEC_PATTERN_MAX + 1), 1), "outputs[0] must have 1 to"},
        {"files", repeated(json_object(), SPEC_FILES_MAX + 1), "array of at most 4096"},
        {"data", repeated(json_object(), SPEC_DATA_MAX + 1), "array of at most 64"},
        {"after", repeated(json_integer(1), SPEC_AFTER_MAX + 1), "array of at most 64"},
        {"input_from", repeated(json_integer(1), SPEC_INPUTS_MAX + 1), "array of at most 64"},
        {"at", text_of_size(SPEC_NAME_MAX + 1), "\"at\" has 201 bytes"},
        {"offer", text_of_size(SPEC_OFFER_MAX + 1), "\"offer\" has 201 bytes"},
        {"merge", repeated(text_of_size(SPEC_ARGUMENTS_SIZE_MAX / 2), 2), "merge is longer"},
        {"files", files_of_count(SPEC_FILES_TOP_MAX + 1), "257 different names at the top"},
        {"environment", json_pack("{s:o}", "A", text_of_size(SPEC_ARGUMENTS_SIZE_MAX)),
         "environment is longer"},
        {"environment", variables_of_count(SPEC_ENVIRONMENT_MAX + 1), "has 257 variables"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_JSON json_t *document = document_with(cases[i].field, cases[i].value);
        refuse_value(document, cases[i].part);
    }
}

static char *identity_of(const char *document)
{
    struct job_spec *spec = parse(document);
    struct buffer out = {0};
    spec_write_identity(spec, &out);
    spec_free(spec);
    return buffer_take_string(&out);
}

static void the_identity_has_what_the_result_depends_on_and_nothing_else(void **state)
{
    (void)state;
    AUTO_FREE char *plain = identity_of(
        WITH("\"environment\": {\"A\": \"1\", \"B\": \"2\"}, \"outputs\": [\"a\", \"b\"]"));
    AUTO_FREE char *same = identity_of(
        WITH("\"environment\": {\"B\": \"2\", \"A\": \"1\"}, \"outputs\": [\"b\", \"a\"],"
             " \"name\": \"n\", \"count\": 7, \"cpus\": 2, \"retries\": 3, \"priority\": 4,"
             " \"after\": [1], \"cache\": \"off\", \"walltime_seconds\": 5"));
    AUTO_FREE char *other = identity_of(
        WITH("\"environment\": {\"A\": \"1\", \"B\": \"3\"}, \"outputs\": [\"a\", \"b\"]"));
    assert_string_equal(plain, "{\"command\":[\"x\"],\"environment\":{\"A\":\"1\",\"B\":\"2\"},"
                               "\"files\":{},\"mode\":\"command\",\"network\":false,"
                               "\"outputs\":[\"a\",\"b\"],\"over_name\":null}");
    assert_string_equal(plain, same);
    assert_string_not_equal(plain, other);
}

static void expand_to(const char *argument, const char *wanted)
{
    AUTO_BUFFER struct buffer out = {0};
    buffer_append_string(&out, "");
    spec_expand(text_of(argument), 12, TEXT("an item"), TEXT("/data/d/a.nc"), &out);
    assert_string_equal(out.bytes, wanted);
}

static void words_in_braces_are_replaced_and_unknown_ones_stay(void **state)
{
    (void)state;
    expand_to("", "");
    expand_to("plain", "plain");
    expand_to("{index}-{file}-{}", "12-/data/d/a.nc-an item");
    expand_to("{print $1}", "{print $1}");
    expand_to("{{}}", "{}");
    expand_to("{{index}}", "{index}");
    expand_to("{index", "{index");
    expand_to("{", "{");
    expand_to("}", "}");
    expand_to("a{}{}b", "aan iteman itemb");
}

static void write_identity(const char *document, struct buffer *out)
{
    struct job_spec *spec = parse(document);
    spec_write_identity(spec, out);
    spec_free(spec);
}

static void software_is_part_of_the_identity_but_for_its_name(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer host = {0};
    AUTO_BUFFER struct buffer said_host = {0};
    AUTO_BUFFER struct buffer bundle = {0};
    AUTO_BUFFER struct buffer named = {0};
    AUTO_BUFFER struct buffer image = {0};
    write_identity(WITH("\"count\": 1"), &host);
    write_identity(WITH("\"software\": {\"kind\": \"host\"}"), &said_host);
    write_identity(WITH("\"software\": {\"kind\": \"bundle\", \"blob\": \"" DIGEST "\"}"), &bundle);
    write_identity(
        WITH("\"software\": {\"kind\": \"bundle\", \"blob\": \"" DIGEST "\", \"name\": \"tools\"}"),
        &named);
    write_identity(WITH("\"software\": {\"kind\": \"oci\", \"blob\": \"" DIGEST "\"}"), &image);
    assert_string_equal(host.bytes, said_host.bytes);
    assert_string_equal(bundle.bytes, named.bytes);
    assert_string_not_equal(host.bytes, bundle.bytes);
    assert_string_not_equal(bundle.bytes, image.bytes);
}

static void software_is_written_as_it_was_read(void **state)
{
    (void)state;
    struct job_spec *spec = parse(WITH("\"software\": {\"kind\": \"oci\", \"blob\": \"" DIGEST
                                       "\", \"name\": \"python:3\"}"));
    assert_int_equal(spec->need.software, SPEC_SOFTWARE_OCI);
    AUTO_JSON json_t *written = spec_to_json(spec);
    const json_t *software = json_object_get(written, "software");
    assert_true(text_equal(json_text(json_object_get(software, "kind")), TEXT("oci")));
    assert_true(text_equal(json_text(json_object_get(software, "blob")), TEXT(DIGEST)));
    assert_true(text_equal(json_text(json_object_get(software, "name")), TEXT("python:3")));
    spec_free(spec);
}

// What is registered at the site is not for computers of strangers, whatever the job says.
static void a_spare_job_brings_all_that_it_needs(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer plain = {0};
    AUTO_BUFFER struct buffer spare = {0};
    struct job_spec *spec =
        parse(WITH("\"spare\": true, \"input_from\": [3], \"files\": [{\"name\": "
                   "\"a\", \"blob\": \"" DIGEST "\"}]"));
    AUTO_JSON json_t *written = spec_to_json(spec);
    assert_true(spec->is_spare);
    assert_true(json_is_true(json_object_get(written, "spare")));
    spec_free(spec);
    spec = parse(WITH("\"spare\": false, \"data\": [{\"id\": \"s:a\"}]"));
    AUTO_JSON json_t *silent = spec_to_json(spec);
    assert_false(spec->is_spare);
    assert_null(json_object_get(silent, "spare"));
    spec_free(spec);
    refuse(WITH("\"spare\": true, \"data\": [{\"id\": \"s:a\"}]"), "kept back");
    refuse(WITH("\"spare\": true, \"over\": \"s:a\""), "kept back");
    refuse(WITH("\"spare\": 1"), "\"spare\"");
    // Who computes it is not part of what is computed.
    write_identity(WITH("\"count\": 1"), &plain);
    write_identity(WITH("\"count\": 1, \"spare\": true"), &spare);
    assert_string_equal(plain.bytes, spare.bytes);
}

static void software_that_is_none_is_refused(void **state)
{
    (void)state;
    refuse(WITH("\"software\": {\"kind\": \"vm\"}"), "\"vm\"");
    refuse(WITH("\"software\": {\"kind\": \"bundle\"}"), "needs a \"blob\"");
    refuse(WITH("\"software\": {\"kind\": \"oci\", \"blob\": \"latest\"}"), "software.blob");
    refuse(WITH("\"software\": {\"kind\": \"host\", \"blob\": \"" DIGEST "\"}"), "beside");
    refuse(WITH("\"software\": {\"kind\": \"host\", \"image\": \"x\"}"), "image");
    refuse(WITH("\"software\": \"bundle\""), "software");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_alone_gets_the_defaults),
        cmocka_unit_test(software_is_part_of_the_identity_but_for_its_name),
        cmocka_unit_test(software_is_written_as_it_was_read),
        cmocka_unit_test(software_that_is_none_is_refused),
        cmocka_unit_test(a_spare_job_brings_all_that_it_needs),
        cmocka_unit_test(a_full_document_survives_the_round_trip),
        cmocka_unit_test(files_may_lie_in_folders),
        cmocka_unit_test(a_part_of_an_index_set_has_a_first_index),
        cmocka_unit_test(the_first_index_is_part_of_the_identity),
        cmocka_unit_test(names_of_data_come_from_their_ids),
        cmocka_unit_test(every_wrong_plain_field_is_refused_by_its_name),
        cmocka_unit_test(every_wrong_element_of_a_list_is_refused_by_its_place),
        cmocka_unit_test(bytes_that_parsed_json_cannot_have_are_refused_too),
        cmocka_unit_test(every_limit_holds),
        cmocka_unit_test(the_identity_has_what_the_result_depends_on_and_nothing_else),
        cmocka_unit_test(words_in_braces_are_replaced_and_unknown_ones_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
