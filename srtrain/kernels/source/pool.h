/* Threads that share the tasks of one loop, and the memory that each of them works in. */
#ifndef SRK_POOL_H
#define SRK_POOL_H

#include <stddef.h>

/* One task: its number, and the number of the thread that runs it. */
typedef void (*pool_task)(void *argument, int index, int thread);

/* Enter and leave the library: one operation at a time uses the pool. */
void pool_acquire(void);
void pool_release(void);

/* Run tasks 0 to count - 1 on all threads and wait for them. */
void pool_run(int count, pool_task task, void *argument);
int pool_threads(void);

/* Memory that stays with a thread, or, with thread = POOL_SHARED, with the operation. NULL if there is none left. Slots are
 * numbered from 0; asking for more than before discards the content. */
enum { POOL_SHARED = -1, POOL_SLOTS = 8 };
float *pool_scratch(int thread, int slot, size_t n_floats);

#endif
