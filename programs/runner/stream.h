// A streamed program and what is between it and the worker: the parts of streamed mode share this.
//
//     stream.c          turns: which range is served, limits, rest, the program's end and whom it is blamed on
//     stream_program.c  the process: start, pipes, what it has used
//     stream_feed.c     items on their way to it
//     stream_answers.c  answers on their way back
#ifndef LODE_PROGRAMS_RUNNER_STREAM_H
#define LODE_PROGRAMS_RUNNER_STREAM_H

#include "runner/runner.h"

#include "base/status.h"

struct stream {
    struct runner *runner;
    pid_t child; // 0: not running
    int input;   // What the program reads.
    int output;
    struct buffer feed; // Lines for the program that are not written yet.
    size_t feed_at;
    size_t feeding;  // The range (counted from the first) that items are taken from.
    int64_t taken;   // Items that the program was given and has not answered, of all ranges.
    bool is_refused; // The next item of `feeding` cannot be fed; `refusal` says why.
    struct error refusal;
    struct buffer answers; // Complete lines, and a part of one.
    size_t answers_end;    // End of the complete lines.
    int64_t answered_from; // Index of the first line of `answers`.
    int64_t since_us;      // Steady time: start of what the next message tells of.
    int64_t real_us;
    int64_t progress_us; // Steady time of the last answer, or of the first item after idleness.
    int64_t disk_look_us;
    int64_t memory_look_us;
    int64_t cpu_told_us;
    int64_t rest_us;       // Steady time since which the program has used no CPU time, and
    int64_t rest_cpu_us;   // how much it had then.
    int64_t rest_limit_us; // It rests when it has used none for so long.
    int64_t closed_us; // Steady time when its input was closed because it rested; 0: it was not.
    int64_t waited_us; // Of the time since since_us: what nothing was done in.
    bool is_ended;     // The program has ended, or must.
    int status;
    enum runner_outcome ending; // Why it is ended from here; OUTCOME_EXITED: it was not.
    char detail[RUNNER_DETAIL_MAX];
};

// Starts the program for the first range. Not OK: `code` is the exit status that stands for it.
enum status stream_start_program(struct stream *stream, int64_t *code, struct error *error);
void stream_close_pipes(struct stream *stream);
// CPU time and largest resident memory of a running program; 0 when they cannot be told.
int64_t stream_cpu_us(pid_t child);
int64_t stream_peak_bytes(pid_t child);
// Does the program sleep, so that only something from outside wakes it?
bool stream_is_asleep(pid_t child);
// The newest of what the program wrote to its standard error; the file is emptied.
void stream_take_errors(const struct runner *runner, struct buffer *out);

// Forgets what the program was given and has not answered: its successor gets it again.
void stream_rewind(struct stream *stream);
// Gives the program as much as it takes now.
void stream_feed(struct stream *stream);

// The program must end, for this reason; the first reason counts.
void stream_end_program(struct stream *stream, enum runner_outcome ending, const char *detail);
// The first range is through: its last answers are sent, and it goes.
void stream_end_range(struct stream *stream);
// Sends the complete answers that are there.
void stream_send_answers(struct stream *stream);
// Reads what the program has written; notes when that has ended.
void stream_read_answers(struct stream *stream);

#endif
