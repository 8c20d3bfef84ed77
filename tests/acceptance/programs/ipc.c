/* Every call of the family IPC. */
#include "raw.h"
#include <linux/fanotify.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/timerfd.h>

static char buffer[4096];
static uint32_t word;

static void descriptors(void)
{
	struct itimerspec when = {{0, 0}, {5, 0}};
	uint64_t mask = 1 << (SIGUSR1 - 1);
	int pipe[2];

	int event = CALL(SYS_eventfd, 3);
	CALL(SYS_eventfd2, 4, 0x80800);
	CALL(SYS_eventfd2, 4, 0x123);
	CALL(SYS_read, event, buffer, 8);
	CALL(SYS_write, event, "12345678", 8);
	CALL(SYS_dup, event);
	CALL(SYS_signalfd, -1, &mask, 8);
	CALL(SYS_signalfd4, -1, &mask, 8, 0x80000);
	int timer = CALL(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC);
	CALL(SYS_timerfd_create, 99, 0);
	CALL(SYS_timerfd_settime, timer, TFD_TIMER_ABSTIME, &when, NULL);
	CALL(SYS_timerfd_settime, timer, 0, &when, buffer);
	CALL(SYS_timerfd_gettime, timer, buffer);
	CALL(SYS_timerfd_gettime, 999, buffer);
	CALL(SYS_pipe, pipe);
	CALL(SYS_pipe2, pipe, O_CLOEXEC | O_NONBLOCK);
	CALL(SYS_pipe2, pipe, 0x123);
	CALL(SYS_read, pipe[0], buffer, 10);
	CALL(SYS_memfd_create, "of memory", 1);
	int memory = CALL(SYS_memfd_create, "sealed", 2);
	CALL(SYS_write, memory, "abc", 3);
	CALL(SYS_close, memory);
	CALL(SYS_memfd_secret, 0);
	CALL(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
}

static void watches(void)
{
	CALL(SYS_mkdir, "watched", 0755);
	int dir = CALL(SYS_open, "watched", O_RDONLY);
	int watch = CALL(SYS_inotify_init);
	CALL(SYS_inotify_init1, IN_NONBLOCK | IN_CLOEXEC);
	int number = CALL(SYS_inotify_add_watch, watch, "watched", IN_CREATE | IN_DELETE);
	CALL(SYS_inotify_add_watch, watch, "missing", IN_CREATE);
	CALL(SYS_inotify_rm_watch, watch, number);
	CALL(SYS_inotify_rm_watch, watch, 77);
	int events = CALL(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);
	CALL(SYS_fanotify_mark, events, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "watched");
	CALL(SYS_fanotify_mark, events, FAN_MARK_ADD, FAN_CLOSE, dir, ".");
	CALL(SYS_fanotify_mark, events, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "missing");
}

static void queues(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = 64};
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	struct timespec past = {1, 0};
	char name[32];

	sprintf(name, "ior-%d", getpid());
	int queue = CALL(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	CALL(SYS_mq_open, "missing", O_RDONLY, 0, NULL);
	CALL(SYS_mq_notify, queue, &event);
	CALL(SYS_mq_timedsend, queue, "hello", 5, 1, NULL);
	CALL(SYS_mq_timedreceive, queue, buffer, 64, NULL, NULL);
	CALL(SYS_mq_timedreceive, queue, buffer, 64, NULL, &past);
	CALL(SYS_mq_timedreceive, 999, buffer, 64, NULL, NULL);
	CALL(SYS_mq_getsetattr, queue, NULL, &attributes);
	CALL(SYS_mq_unlink, name);
	CALL(SYS_mq_unlink, "missing");
}

static void system_v(void)
{
	struct { long type; char text[16]; } message = {7, "message"};
	struct sembuf up = {0, 1, 0}, down = {0, -9, 0};
	struct timespec wait = {0, 1000000};

	int queue = CALL(SYS_msgget, IPC_PRIVATE, 0600);
	CALL(SYS_msgget, 0x12345678, 0);
	CALL(SYS_msgsnd, queue, &message, 8, IPC_NOWAIT);
	CALL(SYS_msgrcv, queue, &message, 16, 0, 0);
	CALL(SYS_msgrcv, queue, &message, 16, 3, IPC_NOWAIT);
	CALL(SYS_msgctl, queue, IPC_STAT, buffer);
	CALL(SYS_msgctl, queue, IPC_RMID, NULL);
	int semaphores = CALL(SYS_semget, IPC_PRIVATE, 2, 0600);
	CALL(SYS_semget, 0x12345679, 1, 0);
	CALL(SYS_semctl, semaphores, 1, SETVAL, 3);
	CALL(SYS_semop, semaphores, &up, 1);
	CALL(SYS_semtimedop, semaphores, &down, 1, &wait);
	CALL(SYS_semtimedop, semaphores, &up, 1, NULL);
	CALL(SYS_semctl, semaphores, 0, IPC_RMID, 0);
	CALL(SYS_semop, semaphores, &up, 1);
	int memory = CALL(SYS_shmget, IPC_PRIVATE, 8192, IPC_CREAT | 0600);
	CALL(SYS_shmget, 0x1234567a, 4096, 0);
	void *at = (void *)CALL(SYS_shmat, memory, NULL, SHM_RDONLY);
	CALL(SYS_shmctl, memory, IPC_STAT, buffer);
	CALL(SYS_shmctl, memory, IPC_RMID, NULL);
	CALL(SYS_shmdt, at);
	CALL(SYS_shmdt, 4097);
}

static void futexes(void)
{
	struct timespec wait = {0, 1000000}, past = {1, 0};
	struct { uint64_t value, address; uint32_t flags, reserved; } one = {5, W(&word), 2, 0};

	CALL(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
	CALL(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait, NULL, 0);
	CALL(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, -1);
	CALL(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
	CALL(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 2, &word, 7);
	CALL(SYS_futex, &word, 99, 0, NULL, NULL, 0);
	CALL(SYS_futex_waitv, &one, 1, 0, NULL, CLOCK_MONOTONIC);
	CALL(SYS_futex_waitv, NULL, 0, 0, NULL, 0);
}

static void processes(void)
{
	int own = CALL(SYS_pidfd_open, getpid(), 0);
	CALL(SYS_pidfd_open, getpid(), O_NONBLOCK);
	CALL(SYS_pidfd_open, 1 << 30, 0);
	CALL(SYS_pidfd_getfd, own, 0, 0);
	CALL(SYS_pidfd_getfd, own, 990, 0);
	CALL(SYS_pidfd_send_signal, own, 0, NULL, 0);
	CALL(SYS_pidfd_send_signal, 998, SIGTERM, NULL, 0);
}

int main(void)
{
	descriptors();
	watches();
	queues();
	system_v();
	futexes();
	processes();
	return 0;
}
