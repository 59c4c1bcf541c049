// RocksDB, loaded when the first ordered map is opened: with the C++ library and the compressors that it brings along it
// takes 9 MB of a process, which a site that mirrors no one never needs.
#ifndef LODE_STORE_ROCKSDB_LIBRARY_H
#define LODE_STORE_ROCKSDB_LIBRARY_H

#include "base/status.h"

#include <rocksdb/c.h>

// The functions in use, under their names without "rocksdb_".
#define ROCKSDB_LIBRARY_FUNCTIONS(X)                                                               \
    X(block_based_options_create)                                                                  \
    X(block_based_options_destroy)                                                                 \
    X(block_based_options_set_block_size)                                                          \
    X(block_based_options_set_cache_index_and_filter_blocks)                                       \
    X(block_based_options_set_filter_policy)                                                       \
    X(block_based_options_set_format_version)                                                      \
    X(block_based_options_set_no_block_cache)                                                      \
    X(block_based_options_set_whole_key_filtering)                                                 \
    X(close)                                                                                       \
    X(compactionfilter_create)                                                                     \
    X(compactionfilter_destroy)                                                                    \
    X(create_default_env)                                                                          \
    X(create_iterator)                                                                             \
    X(env_lower_thread_pool_cpu_priority)                                                          \
    X(env_set_background_threads)                                                                  \
    X(env_set_high_priority_background_threads)                                                    \
    X(filterpolicy_create_bloom_full)                                                              \
    X(flush)                                                                                       \
    X(flushoptions_create)                                                                         \
    X(flushoptions_destroy)                                                                        \
    X(flushoptions_set_wait)                                                                       \
    X(free)                                                                                        \
    X(get_pinned)                                                                                  \
    X(iter_destroy)                                                                                \
    X(iter_get_error)                                                                              \
    X(iter_key)                                                                                    \
    X(iter_next)                                                                                   \
    X(iter_seek)                                                                                   \
    X(iter_valid)                                                                                  \
    X(iter_value)                                                                                  \
    X(mergeoperator_create)                                                                        \
    X(open)                                                                                        \
    X(options_create)                                                                              \
    X(options_destroy)                                                                             \
    X(options_set_advise_random_on_open)                                                           \
    X(options_set_allow_mmap_reads)                                                                \
    X(options_set_block_based_table_factory)                                                       \
    X(options_set_bytes_per_sync)                                                                  \
    X(options_set_compaction_filter)                                                               \
    X(options_set_compression)                                                                     \
    X(options_set_create_if_missing)                                                               \
    X(options_set_info_log_level)                                                                  \
    X(options_set_keep_log_file_num)                                                               \
    X(options_set_level_compaction_dynamic_level_bytes)                                            \
    X(options_set_max_background_jobs)                                                             \
    X(options_set_max_bytes_for_level_base)                                                        \
    X(options_set_max_file_opening_threads)                                                        \
    X(options_set_max_open_files)                                                                  \
    X(options_set_max_write_buffer_number)                                                         \
    X(options_set_memtable_prefix_bloom_size_ratio)                                                \
    X(options_set_merge_operator)                                                                  \
    X(options_set_prefix_extractor)                                                                \
    X(options_set_stats_dump_period_sec)                                                           \
    X(options_set_stats_persist_period_sec)                                                        \
    X(options_set_target_file_size_base)                                                           \
    X(options_set_write_buffer_size)                                                               \
    X(pinnableslice_destroy)                                                                       \
    X(pinnableslice_value)                                                                         \
    X(property_int)                                                                                \
    X(readoptions_create)                                                                          \
    X(readoptions_destroy)                                                                         \
    X(readoptions_set_prefix_same_as_start)                                                        \
    X(readoptions_set_total_order_seek)                                                            \
    X(slicetransform_create)                                                                       \
    X(write)                                                                                       \
    X(writebatch_clear)                                                                            \
    X(writebatch_count)                                                                            \
    X(writebatch_create)                                                                           \
    X(writebatch_delete)                                                                           \
    X(writebatch_destroy)                                                                          \
    X(writebatch_merge)                                                                            \
    X(writebatch_put)                                                                              \
    X(writeoptions_create)                                                                         \
    X(writeoptions_destroy)                                                                        \
    X(writeoptions_disable_WAL)

struct rocksdb_library {
#define ROCKSDB_LIBRARY_MEMBER(name) __typeof__(&rocksdb_##name) name;
    ROCKSDB_LIBRARY_FUNCTIONS(ROCKSDB_LIBRARY_MEMBER)
#undef ROCKSDB_LIBRARY_MEMBER
};

// The library, loaded once for the program, with the threads that all maps share for what they do in the background; from
// any thread. UNAVAILABLE when it is not installed.
enum status rocksdb_library_get(const struct rocksdb_library **out, struct error *error);

#endif
