/* Tests of queues: messages, groups, back-pressure, wrong calls, threads, and processes of which one dies with messages in
 * flight. Compiled twice, as behaviour.c. The arguments are a unique name and the part to run. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

enum { SLOTS = 400, LONGEST = 256, MAX_LEN = 40, CAPACITY = 8, SENDERS = 20, EACH = 60, MINUTE = 60000 };

static splinter_queue_message_t message;
static int is_file;

/* Receives a message, which must come within a minute. Returns its text, which the next call overwrites. */
static const char *next(splinter_consumer_t *consumer)
{
    static char text[MAX_LEN + 1];
    size_t len = SIZE_MAX;
    memset(&message, 0xa5, sizeof(message));
    CHECK(splinter_queue_recv(consumer, text, MAX_LEN, &len, MINUTE, &message) == 0);
    CHECK(len <= MAX_LEN && message.reserved == 0);
    text[len] = '\0';
    return text;
}

static int send_text(splinter_queue_t *queue, const char *text)
{
    return splinter_queue_send(queue, text, strlen(text), 0, NULL);
}

static int recv_any(splinter_consumer_t *consumer, uint64_t timeout_ms)
{
    char text[MAX_LEN];
    return splinter_queue_recv(consumer, text, MAX_LEN, NULL, timeout_ms, NULL);
}

static uint64_t backlog(splinter_queue_t *queue, const char *group)
{
    uint64_t count = UINT64_MAX;
    CHECK(splinter_queue_backlog(queue, group, &count) == 0);
    return count;
}

static splinter_queue_t *created(const char *name)
{
    splinter_queue_t *queue = CALL(queue_create, name, CAPACITY, MAX_LEN, UINT64_MAX);
    CHECK(queue != NULL);
    return queue;
}

static void messages_come_once_and_in_order(void)
{
    splinter_queue_t *queue = created("jobs"), *again;
    splinter_consumer_t *consumer = splinter_queue_join(queue, "default");
    splinter_queue_snapshot_t terms;
    uint64_t position = 99;
    int is_death_noticed = splinter_queue_is_death_noticed(consumer);

    /* Not on each file system is it. */
    CHECK(consumer != NULL && (is_death_noticed == 1 || (is_file && is_death_noticed == 0)));
    FAILS(recv_any(consumer, 0), -1, EAGAIN);
    FAILS(recv_any(consumer, 1), -1, ETIMEDOUT);
    SETS(CHECK(splinter_queue_send(queue, "one", 3, 0, &position) == 0), 0);
    CHECK(position == 0 && splinter_queue_send(queue, "a\0b", 3, UINT64_MAX, &position) == 0 && position == 1);
    CHECK(splinter_queue_send(queue, "", 0, 0, NULL) == 0 && backlog(queue, "default") == 3);
    CHECK(strcmp(next(consumer), "one") == 0 && message.position == 0 && message.deliveries == 1);
    CHECK(memcmp(next(consumer), "a\0b", 4) == 0 && message.position == 1);
    CHECK(splinter_queue_ack(consumer) == 0 && backlog(queue, "default") == 1);
    SETS(CHECK(strcmp(next(consumer), "") == 0), 0);
    FAILS(recv_any(consumer, 0), -1, EAGAIN);
    CHECK(backlog(queue, "default") == 0);

    again = CALL(queue_open, "jobs");
    CHECK(again != NULL && again != queue);
    CHECK(splinter_queue_get_snapshot(again, &terms) == 0);
    CHECK(terms.capacity == CAPACITY && terms.max_len == MAX_LEN && terms.timeout_ms == UINT64_MAX);
    CHECK(terms.sent == 3 && terms.groups == 1);
    splinter_queue_close(again);
    /* A consumer outlives the handle that it was made by. */
    CHECK(send_text(queue, "last") == 0);
    splinter_queue_close(queue);
    CHECK(strcmp(next(consumer), "last") == 0);
    splinter_queue_leave(consumer);
    again = CALL(queue_open_or_create, "jobs", 2, 2, 2);
    CHECK(again != NULL && backlog(again, "default") == 1);
    splinter_queue_close(again);
    CHECK(CALL(queue_remove, "jobs") == 0);
    FAILS(CALL(queue_remove, "jobs"), -1, ENOENT);
    again = CALL(queue_open_or_create, "jobs", 2, 2, 2000);
    CHECK(again != NULL && splinter_queue_get_snapshot(again, &terms) == 0);
    CHECK(terms.capacity == 2 && terms.max_len == 2 && terms.timeout_ms == 2000 && terms.sent == 0);
    splinter_queue_close(again);
    CHECK(CALL(queue_remove, "jobs") == 0);
}

static void what_is_given_back_comes_again(void)
{
    splinter_queue_t *queue = created("jobs");
    splinter_consumer_t *one = splinter_queue_join(queue, "default"), *two = splinter_queue_join(queue, "default");

    CHECK(one != NULL && two != NULL && splinter_queue_set_batch(one, 8) == 0);
    CHECK(splinter_queue_nack(one, 0) == 0 && splinter_queue_ack(one) == 0);
    CHECK(send_text(queue, "0") == 0 && send_text(queue, "1") == 0);
    CHECK(strcmp(next(one), "0") == 0 && strcmp(next(one), "1") == 0);
    CHECK(splinter_queue_nack(one, 0) == 0);
    CHECK(strcmp(next(two), "1") == 0 && message.deliveries == 2);
    CHECK(splinter_queue_nack(two, 1000) == 0);
    FAILS(recv_any(two, 0), -1, EAGAIN);
    CHECK(strcmp(next(two), "1") == 0 && message.deliveries == 3);
    CHECK(splinter_queue_ack(two) == 0);
    CHECK(send_text(queue, "2") == 0 && send_text(queue, "3") == 0);
    CHECK(strcmp(next(one), "2") == 0);
    splinter_queue_leave(one);
    /* The last one, which was not finished, comes before the next one. */
    CHECK(strcmp(next(two), "2") == 0 && message.deliveries == 2);
    CHECK(strcmp(next(two), "3") == 0 && message.deliveries == 1);
    splinter_queue_leave(two);
    CHECK(backlog(queue, "default") == 1);
    splinter_queue_close(queue);
    CHECK(CALL(queue_remove, "jobs") == 0);

    /* After the timeout a message comes again though its consumer lives. */
    queue = CALL(queue_create, "jobs", CAPACITY, MAX_LEN, 50);
    one = splinter_queue_join(queue, "default");
    two = splinter_queue_join(queue, "default");
    CHECK(queue != NULL && one != NULL && two != NULL && send_text(queue, "late") == 0);
    CHECK(strcmp(next(one), "late") == 0);
    CHECK(strcmp(next(two), "late") == 0 && message.deliveries == 2);
    CHECK(splinter_queue_ack(one) == 0 && backlog(queue, "default") == 1);
    CHECK(splinter_queue_ack(two) == 0 && backlog(queue, "default") == 0);
    splinter_queue_leave(one);
    splinter_queue_leave(two);
    splinter_queue_close(queue);
    CHECK(CALL(queue_remove, "jobs") == 0);
}

static void every_group_gets_every_message(void)
{
    splinter_queue_t *queue = created("news");
    splinter_consumer_t *late, *all;
    char name[SPLINTER_KEY_MAX];

    CHECK(send_text(queue, "one") == 0);
    CHECK(splinter_queue_create_group(queue, "late", SPL_QUEUE_NEWEST) == 0);
    CHECK(splinter_queue_create_group(queue, "all", SPL_QUEUE_OLDEST) == 0);
    FAILS(splinter_queue_create_group(queue, "all", SPL_QUEUE_OLDEST), -1, EEXIST);
    FAILS(splinter_queue_create_group(queue, "more", 2), -1, EINVAL);
    FAILS(splinter_queue_create_group(queue, "more", -1), -1, EINVAL);
    FAILS(splinter_queue_create_group(queue, "", SPL_QUEUE_NEWEST), -1, EINVAL);
    FAILS(splinter_queue_create_group(queue, "\xff", SPL_QUEUE_NEWEST), -1, EINVAL);
    CHECK(CALL(set, "news:taken", "x", 1) == 0);
    FAILS(splinter_queue_create_group(queue, "taken", SPL_QUEUE_NEWEST), -1, EEXIST);
    CHECK(send_text(queue, "two") == 0);
    late = splinter_queue_join(queue, "late");
    all = splinter_queue_join(queue, "all");
    CHECK(late != NULL && all != NULL);
    CHECK(strcmp(next(late), "two") == 0 && strcmp(next(all), "one") == 0 && strcmp(next(all), "two") == 0);
    CHECK(backlog(queue, "default") == 2);
    CHECK(splinter_queue_get_group(queue, 2, name, sizeof(name)) == 0 && strcmp(name, "all") == 0);
    CHECK(splinter_queue_get_group(queue, 1, name, 5) == 0 && strcmp(name, "late") == 0);
    FAILS(splinter_queue_get_group(queue, 1, name, 4), -1, EMSGSIZE);
    FAILS(splinter_queue_get_group(queue, 3, name, sizeof(name)), -1, ENOENT);
    CHECK(splinter_queue_drop_group(queue, "late") == 0);
    FAILS(splinter_queue_drop_group(queue, "late"), -1, ENOENT);
    FAILS(recv_any(late, 0), -1, ENOENT);
    SETS(CHECK(splinter_queue_join(queue, "late") == NULL), ENOENT);
    splinter_queue_leave(late);
    splinter_queue_leave(all);
    splinter_queue_close(queue);
    CHECK(CALL(queue_remove, "news") == 0 && CALL(unset, "news:taken") == 1);
}

/* All that is wrong is an error that says so, and takes no message. */
static void wrong_calls_are_refused(void)
{
    splinter_queue_t *queue = created("jobs"), *gone = CALL(queue_open, "jobs");
    splinter_consumer_t *consumer = splinter_queue_join(queue, "default"), *left = splinter_queue_join(queue, "default");
    char buf[LONGEST] = {0}, long_name[SPLINTER_KEY_MAX + 1];
    size_t len = 0;
    uint64_t count;
    splinter_queue_snapshot_t terms;

    memset(long_name, 'k', sizeof(long_name));
    long_name[SPLINTER_KEY_MAX] = '\0';
    SETS(CHECK(CALL(queue_create, "jobs", CAPACITY, MAX_LEN, UINT64_MAX) == NULL), EEXIST);
    SETS(CHECK(CALL(queue_create, NULL, CAPACITY, MAX_LEN, UINT64_MAX) == NULL), EINVAL);
    SETS(CHECK(CALL(queue_create, "", CAPACITY, MAX_LEN, UINT64_MAX) == NULL), EINVAL);
    SETS(CHECK(CALL(queue_create, "\xff", CAPACITY, MAX_LEN, UINT64_MAX) == NULL), EINVAL);
    SETS(CHECK(CALL(queue_create, long_name, CAPACITY, MAX_LEN, UINT64_MAX) == NULL), ENAMETOOLONG);
    SETS(CHECK(CALL(queue_create, "other", 3, MAX_LEN, UINT64_MAX) == NULL), EINVAL);
    SETS(CHECK(CALL(queue_create, "other", 0, MAX_LEN, UINT64_MAX) == NULL), EINVAL);
    SETS(CHECK(CALL(queue_create, "other", CAPACITY, LONGEST, UINT64_MAX) == NULL), EINVAL);
    SETS(CHECK(CALL(queue_create, "other", CAPACITY, SIZE_MAX, UINT64_MAX) == NULL), EINVAL);
    SETS(CHECK(CALL(queue_create, "other", CAPACITY, MAX_LEN, 0) == NULL), EINVAL);
    SETS(CHECK(CALL(queue_create, "other", 512, MAX_LEN, UINT64_MAX) == NULL), ENOSPC);
    CHECK(CALL(set, "text", "x", 1) == 0);
    SETS(CHECK(CALL(queue_create, "text", CAPACITY, MAX_LEN, UINT64_MAX) == NULL), EPROTOTYPE);
    SETS(CHECK(CALL(queue_open, "text") == NULL), EPROTOTYPE);
    FAILS(CALL(queue_remove, "text"), -1, EPROTOTYPE);
    SETS(CHECK(CALL(queue_open, "other") == NULL), ENOENT);
    SETS(CHECK(CALL(queue_open, NULL) == NULL), EINVAL);
    FAILS(CALL(queue_remove, NULL), -2, EINVAL);

    FAILS(splinter_queue_send(queue, NULL, 1, 0, NULL), -2, EINVAL);
    FAILS(splinter_queue_send(queue, NULL, SIZE_MAX, 0, NULL), -2, EINVAL);
    FAILS(splinter_queue_send(queue, buf, MAX_LEN + 1, 0, NULL), -1, EMSGSIZE);
    FAILS(splinter_queue_send(queue, buf, SIZE_MAX, 0, NULL), -1, EMSGSIZE);
    FAILS(splinter_queue_create_group(queue, NULL, SPL_QUEUE_NEWEST), -2, EINVAL);
    FAILS(splinter_queue_drop_group(queue, NULL), -2, EINVAL);
    FAILS(splinter_queue_get_group(queue, 0, NULL, SIZE_MAX), -2, EINVAL);
    FAILS(splinter_queue_backlog(queue, "default", NULL), -2, EINVAL);
    FAILS(splinter_queue_backlog(queue, NULL, &count), -2, EINVAL);
    FAILS(splinter_queue_backlog(queue, "other", &count), -1, ENOENT);
    FAILS(splinter_queue_get_snapshot(queue, NULL), -2, EINVAL);
    SETS(CHECK(splinter_queue_join(queue, NULL) == NULL), EINVAL);
    SETS(CHECK(splinter_queue_join(queue, "other") == NULL), ENOENT);
    FAILS(splinter_queue_set_batch(consumer, 0), -1, EINVAL);

    /* A buffer that is too small takes no message. */
    CHECK(splinter_queue_send(queue, buf, MAX_LEN, 0, NULL) == 0);
    FAILS(splinter_queue_recv(consumer, buf, MAX_LEN - 1, &len, 0, &message), -1, EMSGSIZE);
    CHECK(len == MAX_LEN);
    FAILS(splinter_queue_recv(consumer, buf, 0, NULL, 0, NULL), -1, EMSGSIZE);
    FAILS(splinter_queue_recv(consumer, NULL, MAX_LEN, NULL, 0, NULL), -2, EINVAL);
    CHECK(splinter_queue_recv(consumer, buf, SIZE_MAX, NULL, 0, NULL) == 0);

    /* Handles that were closed, are of another kind, or were made up. */
    splinter_queue_close(gone);
    splinter_queue_leave(left);
    SETS(splinter_queue_close(gone), EINVAL);
    SETS(splinter_queue_leave(left), EINVAL);
    SETS(splinter_queue_close((splinter_queue_t *)consumer), EINVAL);
    SETS(splinter_queue_leave((splinter_consumer_t *)queue), EINVAL);
    splinter_queue_t *queues[] = {NULL, gone, (splinter_queue_t *)consumer, (splinter_queue_t *)buf};
    splinter_consumer_t *consumers[] = {NULL, left, (splinter_consumer_t *)queue, (splinter_consumer_t *)buf};
    for (int number = 0; number < 4; number++) {
        splinter_queue_t *no_queue = queues[number];
        splinter_consumer_t *none = consumers[number];
        FAILS(send_text(no_queue, "x"), -2, EINVAL);
        FAILS(splinter_queue_create_group(no_queue, "g", SPL_QUEUE_NEWEST), -2, EINVAL);
        FAILS(splinter_queue_drop_group(no_queue, "default"), -2, EINVAL);
        FAILS(splinter_queue_get_group(no_queue, 0, buf, sizeof(buf)), -2, EINVAL);
        FAILS(splinter_queue_backlog(no_queue, "default", &count), -2, EINVAL);
        FAILS(splinter_queue_get_snapshot(no_queue, &terms), -2, EINVAL);
        SETS(CHECK(splinter_queue_join(no_queue, "default") == NULL), EINVAL);
        FAILS(recv_any(none, UINT64_MAX), -2, EINVAL);
        FAILS(splinter_queue_ack(none), -2, EINVAL);
        FAILS(splinter_queue_nack(none, 0), -2, EINVAL);
        FAILS(splinter_queue_set_batch(none, 1), -2, EINVAL);
        FAILS(splinter_queue_is_death_noticed(none), -2, EINVAL);
    }

    /* A key of the queue that something else changed, and a queue that was removed. */
    CHECK(CALL(set, "jobs/1", "x", 1) == 0);
    FAILS(send_text(queue, "x"), -1, EBADMSG);
    CHECK(CALL(queue_remove, "jobs") == 0);
    FAILS(send_text(queue, "x"), -1, EIDRM);
    FAILS(recv_any(consumer, UINT64_MAX), -1, EIDRM);
    FAILS(splinter_queue_get_snapshot(queue, &terms), -1, EIDRM);
    splinter_queue_leave(consumer);
    splinter_queue_close(queue);
    CHECK(CALL(unset, "jobs/1") == 1 && CALL(unset, "text") == 1);
}

/* A call in another thread, and what came of it. */
typedef struct {
    splinter_queue_t *queue;
    splinter_consumer_t *consumer;
    int code, error;
} call_t;

static void *send_and_wait(void *arg)
{
    call_t *call = (call_t *)arg;
    call->code = splinter_queue_send(call->queue, "waited", 6, UINT64_MAX, NULL);
    call->error = errno;
    return NULL;
}

static void *recv_and_wait(void *arg)
{
    call_t *call = (call_t *)arg;
    call->code = recv_any(call->consumer, UINT64_MAX);
    call->error = errno;
    return NULL;
}

static pthread_t waiting(void *(*act)(void *), call_t *call)
{
    pthread_t thread;
    int before = sleepers();
    CHECK(pthread_create(&thread, NULL, act, call) == 0);
    while (sleepers() == before) {
        usleep(1000);
    }
    return thread;
}

static void a_full_queue_lets_its_senders_wait(void)
{
    splinter_queue_t *queue = created("jobs");
    splinter_consumer_t *consumer = splinter_queue_join(queue, "default");
    call_t call = {queue, consumer, 99, 0};
    pthread_t thread;

    for (int number = 0; number < CAPACITY; number++) {
        CHECK(send_text(queue, "x") == 0);
    }
    FAILS(send_text(queue, "x"), -1, EAGAIN);
    FAILS(splinter_queue_send(queue, "x", 1, 1, NULL), -1, ETIMEDOUT);
    thread = waiting(send_and_wait, &call);
    /* A sender that waits keeps no other thread from trying. */
    FAILS(send_text(queue, "x"), -1, EAGAIN);
    next(consumer);
    CHECK(call.code == 99 && splinter_queue_ack(consumer) == 0);
    CHECK(pthread_join(thread, NULL) == 0 && call.code == 0);
    for (int number = 1; number < CAPACITY; number++) {
        CHECK(strcmp(next(consumer), "x") == 0);
    }
    CHECK(strcmp(next(consumer), "waited") == 0);
    /* And a receiver that waits is woken by a message. */
    thread = waiting(recv_and_wait, &call);
    CHECK(send_text(queue, "x") == 0);
    CHECK(pthread_join(thread, NULL) == 0 && call.code == 0);
    splinter_queue_leave(consumer);
    splinter_queue_close(queue);
    CHECK(CALL(queue_remove, "jobs") == 0);
}

static void *send_many(void *arg)
{
    call_t *call = (call_t *)arg;
    for (int number = 0; number < EACH; number++) {
        char text[16];
        snprintf(text, sizeof(text), "%d %d", call->code, number);
        CHECK(splinter_queue_send(call->queue, text, strlen(text), UINT64_MAX, NULL) == 0);
    }
    return NULL;
}

/* More threads than a handle has producers send by it; two consumers get each message once, in the order of its sender. */
static void threads_send_by_one_handle(void)
{
    splinter_queue_t *queue = created("jobs");
    splinter_consumer_t *consumers[2] = {splinter_queue_join(queue, "default"), splinter_queue_join(queue, "default")};
    pthread_t threads[SENDERS];
    call_t calls[SENDERS];
    int got[SENDERS][EACH] = {{0}}, last[2][SENDERS], total = 0, turn = 0;

    memset(last, 0xff, sizeof(last));
    for (int number = 0; number < SENDERS; number++) {
        calls[number].queue = queue;
        calls[number].code = number;
        CHECK(pthread_create(&threads[number], NULL, send_many, &calls[number]) == 0);
    }
    while (total < SENDERS * EACH) {
        /* Both get their turn, since each may have taken what is left. */
        const int which = turn++ % 3 == 0;
        char text[MAX_LEN];
        size_t len = 0;
        int sender, number;
        if (splinter_queue_recv(consumers[which], text, sizeof(text), &len, 1, NULL) != 0) {
            CHECK(errno == ETIMEDOUT || errno == EAGAIN);
            continue;
        }
        text[len] = '\0';
        CHECK(sscanf(text, "%d %d", &sender, &number) == 2);
        CHECK(number > last[which][sender] && got[sender][number]++ == 0);
        last[which][sender] = number;
        CHECK(splinter_queue_ack(consumers[which]) == 0);
        total++;
    }
    for (int number = 0; number < SENDERS; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    CHECK(backlog(queue, "default") == 0);
    splinter_queue_leave(consumers[0]);
    splinter_queue_leave(consumers[1]);
    splinter_queue_close(queue);
    CHECK(CALL(queue_remove, "jobs") == 0);
}

/* Closing a queue, a consumer or their store ends waits, and gives back all that they took of the store. */
static void closing_ends_waits(const char *name)
{
    splinter_queue_t *queue = created("jobs"), *full = created("full");
    splinter_consumer_t *consumer = splinter_queue_join(queue, "default");
    call_t receiver = {queue, consumer, 99, 0}, sender = {full, NULL, 99, 0};
    pthread_t threads[2];

    while (send_text(full, "x") == 0) {
    }
    for (int round = 0; round < 2; round++) {
        threads[0] = waiting(recv_and_wait, &receiver);
        threads[1] = waiting(send_and_wait, &sender);
        if (round == 0) {
            splinter_queue_leave(consumer);
            splinter_queue_close(full);
        } else {
            CLOSE();
        }
        CHECK(pthread_join(threads[0], NULL) == 0 && receiver.code == -2 && receiver.error == EINVAL);
        CHECK(pthread_join(threads[1], NULL) == 0 && sender.code == -2 && sender.error == EINVAL);
        if (round == 0) {
            receiver.consumer = splinter_queue_join(queue, "default");
            sender.queue = CALL(queue_open, "full");
            CHECK(receiver.consumer != NULL && sender.queue != NULL);
        }
    }
    FAILS(send_text(queue, "x"), -2, EINVAL);
    FAILS(splinter_queue_ack(receiver.consumer), -2, EINVAL);
    SETS(splinter_queue_close(queue), EINVAL);
    SETS(splinter_queue_leave(receiver.consumer), EINVAL);
    SETS(CHECK(CALL(queue_open, "jobs") == NULL), EINVAL);
    /* More often than there are writers; on a disk that takes long. */
    for (int round = 0; round < (is_file ? 20 : 300); round++) {
        CHECK(OPEN(name) == 0);
        queue = CALL(queue_open, "jobs");
        CHECK(queue != NULL && send_text(queue, "x") == 0);
        consumer = splinter_queue_join(queue, "default");
        CHECK(consumer != NULL && recv_any(consumer, MINUTE) == 0 && splinter_queue_ack(consumer) == 0);
        CLOSE();
    }
    CHECK(OPEN(name) == 0 && CALL(queue_remove, "jobs") == 0 && CALL(queue_remove, "full") == 0);
}

static void end_well(pid_t child)
{
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Another program: answers each question, and dies by a signal with questions in flight. */
static void other(const char *name)
{
    splinter_queue_t *questions, *answers;
    splinter_consumer_t *consumer;

    CHECK(OPEN(name) == 0);
    questions = CALL(queue_open, "questions");
    answers = CALL(queue_open, "answers");
    consumer = splinter_queue_join(questions, "default");
    CHECK(questions != NULL && answers != NULL && consumer != NULL && splinter_queue_set_batch(consumer, 2) == 0);
    for (;;) {
        const char *text = next(consumer);
        CHECK(send_text(answers, text) == 0);
        if (strcmp(text, "die") == 0) {
            raise(SIGKILL);
        }
    }
}

static void a_program_that_dies_leaves_its_messages_to_others(const char *program, const char *name)
{
    splinter_queue_t *questions = created("questions"), *answers = created("answers");
    splinter_consumer_t *answered = splinter_queue_join(answers, "default"), *heir;
    int status = 0;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        execl(program, program, name, "other", (char *)NULL);
        _exit(127);
    }
    CHECK(send_text(questions, "one") == 0);
    CHECK(strcmp(next(answered), "one") == 0);
    /* The child acknowledges a message with the next batch, and takes two at once. */
    CHECK(send_text(questions, "two") == 0);
    CHECK(strcmp(next(answered), "two") == 0);
    CHECK(send_text(questions, "die") == 0 && send_text(questions, "never") == 0);
    CHECK(strcmp(next(answered), "die") == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    heir = splinter_queue_join(questions, "default");
    CHECK(heir != NULL && strcmp(next(heir), "die") == 0 && message.deliveries == 2 && message.position == 2);
    CHECK(strcmp(next(heir), "never") == 0 && message.position == 3);
    FAILS(recv_any(heir, 0), -1, EAGAIN);
    FAILS(recv_any(answered, 0), -1, EAGAIN);
    CHECK(backlog(questions, "default") == 0);
    splinter_queue_leave(heir);
    splinter_queue_leave(answered);
    splinter_queue_close(questions);
    splinter_queue_close(answers);
    CHECK(CALL(queue_remove, "questions") == 0 && CALL(queue_remove, "answers") == 0);
}

static volatile int busy = 1;

static void *send_on(void *arg)
{
    while (busy) {
        CHECK(send_text((splinter_queue_t *)arg, "parent") == 0 || errno == EAGAIN);
    }
    return NULL;
}

/* A child sends by its parent's handle, also while the parent's threads do, and receives by a consumer of its own. */
static void children_send_by_their_parents_handle(void)
{
    splinter_queue_t *queue = created("jobs");
    splinter_consumer_t *consumer = splinter_queue_join(queue, "default");
    pthread_t threads[2];

    /* After the first message the consumer takes two at once. */
    CHECK(send_text(queue, "zero") == 0 && strcmp(next(consumer), "zero") == 0);
    CHECK(send_text(queue, "one") == 0 && send_text(queue, "two") == 0);
    CHECK(strcmp(next(consumer), "one") == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        splinter_consumer_t *own;
        alarm(60);
        CHECK(send_text(queue, "three") == 0);
        FAILS(recv_any(consumer, 0), -1, EOPNOTSUPP);
        FAILS(splinter_queue_nack(consumer, 0), -1, EOPNOTSUPP);
        splinter_queue_leave(consumer);
        own = splinter_queue_join(queue, "default");
        CHECK(own != NULL && strcmp(next(own), "three") == 0 && message.deliveries == 1);
        /* It ends with its own message in flight, and the parent's are not touched. */
        _exit(0);
    }
    end_well(child);
    CHECK(strcmp(next(consumer), "two") == 0 && message.deliveries == 1);
    CHECK(strcmp(next(consumer), "three") == 0 && message.deliveries == 2);
    splinter_queue_leave(consumer);

    for (int number = 0; number < 2; number++) {
        CHECK(pthread_create(&threads[number], NULL, send_on, queue) == 0);
    }
    for (int round = 0; round < 20; round++) {
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            splinter_consumer_t *own;
            int sent = 0;
            alarm(60);
            own = splinter_queue_join(queue, "default");
            CHECK(own != NULL);
            while (!sent) {
                (void)recv_any(own, 0);
                sent = send_text(queue, "child") == 0;
                CHECK(sent || errno == EAGAIN);
            }
            CHECK(splinter_queue_ack(own) == 0);
            splinter_queue_leave(own);
            splinter_queue_close(queue);
            FAILS(send_text(queue, "x"), -2, EINVAL);
            _exit(0);
        }
        end_well(child);
    }
    busy = 0;
    for (int number = 0; number < 2; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    splinter_queue_close(queue);
    CHECK(CALL(queue_remove, "jobs") == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    if (strcmp(argv[2], "other") == 0) {
        other(argv[1]);
    }
    is_file = strchr(argv[1], '/') != NULL;
    CHECK(CREATE(argv[1], SLOTS, LONGEST) == 0);
    if (strcmp(argv[2], "processes") == 0) {
        a_program_that_dies_leaves_its_messages_to_others(argv[0], argv[1]);
        children_send_by_their_parents_handle();
    } else {
        messages_come_once_and_in_order();
        what_is_given_back_comes_again();
        every_group_gets_every_message();
        wrong_calls_are_refused();
        a_full_queue_lets_its_senders_wait();
        threads_send_by_one_handle();
        closing_ends_waits(argv[1]);
    }
    CLOSE();
    puts("held");
    return 0;
}
