#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels.h"

/* A waiting thread looks this often for new work before it sleeps. Short loops follow each other within microseconds; longer
 * spinning takes time from other processes. */
enum { SPINS = 2000, MAX_THREADS = 256 };

typedef struct {
    float *data;
    size_t n_floats;
} buffer;

typedef struct {
    int n_threads;
    pid_t process; /* threads do not survive a fork: the child makes a pool of its own */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_uint_fast64_t generation; /* of the loop: a change means new work */
    atomic_int next, n_busy;
    int is_open, count;
    pool_task task;
    void *argument;
    buffer scratch[MAX_THREADS + 1][POOL_SLOTS];
} pool;

static pthread_mutex_t operation = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static pool *current;
static int wanted_threads = 1;

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* ---- the threads ---- */

static void take_tasks(pool *p, int thread) {
    int index;
    while ((index = atomic_fetch_add(&p->next, 1)) < p->count) p->task(p->argument, index, thread);
}

typedef struct {
    pool *owner;
    int thread;
} start;

static void *work(void *argument) {
    start begun = *(start *)argument;
    pool *p = begun.owner;
    uint64_t seen = 0;
    free(argument);
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load(&p->generation) == seen; spin++) pause_briefly();
        pthread_mutex_lock(&p->mutex);
        while (atomic_load(&p->generation) == seen) pthread_cond_wait(&p->wake, &p->mutex);
        seen = atomic_load(&p->generation);
        if (!p->is_open) { /* the others have finished the loop already */
            pthread_mutex_unlock(&p->mutex);
            continue;
        }
        atomic_fetch_add(&p->n_busy, 1);
        pthread_mutex_unlock(&p->mutex);
        take_tasks(p, begun.thread);
        atomic_fetch_sub(&p->n_busy, 1);
    }
    return NULL;
}

static pool *pool_new(int n_threads) {
    pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->process = getpid();
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->n_threads = 1;
    while (p->n_threads < n_threads) {
        pthread_t thread;
        start *argument = malloc(sizeof *argument);
        if (!argument) break;
        *argument = (start){p, p->n_threads};
        if (pthread_create(&thread, NULL, work, argument) != 0) { /* fewer threads give the same result */
            free(argument);
            break;
        }
        pthread_detach(thread);
        p->n_threads++;
    }
    return p;
}

/* ---- forks ---- */

/* Another thread may hold the lock while this one forks: nobody would ever release it in the child. */
static void before_fork(void) { pthread_mutex_lock(&operation); }
static void after_fork(void) { pthread_mutex_unlock(&operation); }
static void prepare(void) { pthread_atfork(before_fork, after_fork, after_fork); }

/* ---- what the rest of the library calls ---- */

void pool_acquire(void) {
    pthread_once(&prepared, prepare);
    pthread_mutex_lock(&operation);
    if (!current || current->process != getpid() || current->n_threads != wanted_threads) {
        pool *made = pool_new(wanted_threads);
        if (made) {
            current = made; /* an older pool is left to its sleeping threads: this happens once or twice in a process */
            wanted_threads = made->n_threads;
        }
    }
}

void pool_release(void) { pthread_mutex_unlock(&operation); }

void srk_set_threads(int n_threads) {
    pthread_mutex_lock(&operation);
    wanted_threads = n_threads < 1 ? 1 : n_threads > MAX_THREADS ? MAX_THREADS : n_threads;
    pthread_mutex_unlock(&operation);
}

int pool_threads(void) { return current->n_threads; }

void pool_run(int count, pool_task task, void *argument) {
    pool *p = current;
    if (p->n_threads == 1 || count <= 1) {
        for (int index = 0; index < count; index++) task(argument, index, 0);
        return;
    }
    pthread_mutex_lock(&p->mutex);
    p->task = task;
    p->argument = argument;
    p->count = count;
    atomic_store(&p->next, 0);
    p->is_open = 1;
    atomic_fetch_add(&p->generation, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    take_tasks(p, 0);
    pthread_mutex_lock(&p->mutex);
    p->is_open = 0; /* a thread that wakes up from now on finds nothing to do */
    pthread_mutex_unlock(&p->mutex);
    while (atomic_load(&p->n_busy)) pause_briefly();
}

float *pool_scratch(int thread, int slot, size_t n_floats) {
    buffer *b = &current->scratch[thread == POOL_SHARED ? MAX_THREADS : thread][slot];
    if (b->n_floats < n_floats) {
        size_t n_bytes = (n_floats * sizeof(float) + 4095) / 4096 * 4096;
        free(b->data);
        b->data = aligned_alloc(4096, n_bytes);
        b->n_floats = b->data ? n_floats : 0;
        if (b->data) memset(b->data, 0, n_bytes);
    }
    return b->data;
}
