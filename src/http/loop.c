#include "http/loop.h"

#include "base/memory.h"
#include "http/connection.h"
#include "os/clock.h"
#include "os/thread.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void loop_deliver(struct loop *loop)
{
    pthread_mutex_lock(&loop->mutex);
    struct mail *mail = loop->first;
    loop->first = NULL;
    loop->last = NULL;
    pthread_mutex_unlock(&loop->mutex);
    while (mail) {
        struct mail *next = mail->next;
        mail->deliver(loop, mail);
        mail = next;
    }
}

static void on_mail(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    uint64_t count;
    // Emptied before the mail is taken, so that none posted meanwhile is missed.
    ssize_t got = read(fd, &count, sizeof count);
    (void)got;
    loop_deliver(context);
}

void loop_post(struct loop *loop, struct mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&loop->mutex);
    bool is_first = loop->first == NULL;
    if (is_first) {
        loop->first = mail;
    } else {
        loop->last->next = mail;
    }
    loop->last = mail;
    pthread_mutex_unlock(&loop->mutex);
    if (is_first) {
        uint64_t one = 1;
        ssize_t put = write(loop->mailbox_fd, &one, sizeof one);
        (void)
            put; // Only a counter that is full already could fail, and that wakes the thread as well.
    }
}

enum status loop_new(struct http_server *server, struct loop **out, struct error *error)
{
    struct loop *loop = NEW(struct loop);
    loop->server = server;
    pthread_mutex_init(&loop->mutex, NULL);
    loop->mailbox_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct event_config *config = event_config_new();
    if (config) {
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        loop->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (loop->base && loop->mailbox_fd >= 0) {
        loop->mailbox_event =
            event_new(loop->base, loop->mailbox_fd, EV_READ | EV_PERSIST, on_mail, loop);
        loop->turn_event = event_new(loop->base, -1, 0, http_handshake_turns, loop);
    }
    if (!loop->mailbox_event || !loop->turn_event || event_add(loop->mailbox_event, NULL) < 0) {
        loop_free(loop);
        return error_set(error, INTERNAL, "cannot make an event loop");
    }
    loop->read_block = memory_new(1, LOOP_BLOCK_SIZE);
    loop->write_block = memory_new(1, LOOP_BLOCK_SIZE);
    *out = loop;
    return OK;
}

static void *run(void *context)
{
    struct loop *loop = context;
    (void)event_base_dispatch(loop->base);
    return NULL;
}

enum status loop_start(struct loop *loop, struct error *error)
{
    TRY(thread_start(&loop->thread, "http-loop", run, loop, error));
    loop->is_running = true;
    return OK;
}

static void break_loop(struct loop *loop, struct mail *mail)
{
    free(mail);
    (void)event_base_loopbreak(loop->base);
}

void loop_join(struct loop *loop)
{
    if (!loop->is_running) {
        return;
    }
    struct mail *mail = NEW(struct mail);
    mail->deliver = break_loop;
    loop_post(loop, mail);
    pthread_join(loop->thread, NULL);
    loop->is_running = false;
}

void loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    if (loop->mailbox_event) {
        event_free(loop->mailbox_event);
    }
    if (loop->turn_event) {
        event_free(loop->turn_event);
    }
    if (loop->base) {
        event_base_free(loop->base);
    }
    if (loop->mailbox_fd >= 0) {
        (void)close(loop->mailbox_fd);
    }
    pthread_mutex_destroy(&loop->mutex);
    free(loop->read_block);
    free(loop->write_block);
    free(loop);
}

const char *loop_date(struct loop *loop)
{
    time_t now = (time_t)(clock_real_us() / 1000000);
    if (now != loop->date_at) {
        struct tm parts;
        loop->date_at = now;
        (void)gmtime_r(&now, &parts);
        (void)strftime(loop->date, sizeof loop->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    }
    return loop->date;
}
