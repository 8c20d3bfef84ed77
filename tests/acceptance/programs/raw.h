/* Calls as the kernel sees them: by number, without a library in between. Every argument is
 * widened to 64 bits, so that no register holds the remains of something else. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define W(x) ((long)(x))
#define CALL_1(nr) syscall(nr)
#define CALL_2(nr, a) syscall(nr, W(a))
#define CALL_3(nr, a, b) syscall(nr, W(a), W(b))
#define CALL_4(nr, a, b, c) syscall(nr, W(a), W(b), W(c))
#define CALL_5(nr, a, b, c, d) syscall(nr, W(a), W(b), W(c), W(d))
#define CALL_6(nr, a, b, c, d, e) syscall(nr, W(a), W(b), W(c), W(d), W(e))
#define CALL_7(nr, a, b, c, d, e, f) syscall(nr, W(a), W(b), W(c), W(d), W(e), W(f))
#define NTH(a, b, c, d, e, f, g, n, ...) n
#define CALL(...)                                                                           \
	NTH(__VA_ARGS__, CALL_7, CALL_6, CALL_5, CALL_4, CALL_3, CALL_2, CALL_1)(__VA_ARGS__)

/* Do something in a process of its own, and wait for its end. */
#define IN_CHILD(...)                                                                       \
	do {                                                                                \
		if (fork() == 0) {                                                          \
			__VA_ARGS__;                                                        \
			_exit(0);                                                           \
		}                                                                           \
		wait(NULL);                                                                 \
	} while (0)
