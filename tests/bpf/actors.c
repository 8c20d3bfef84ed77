/* Four actors do the steps of a script in turn, one at a time, and say what is true.
 *
 * Actors 0 and 1 are threads of one process and share descriptors and directory; 2 is another
 * process; 3 a thread of that one with descriptors and a directory of its own. Arguments: the
 * directory of the files, the script, how many busy processes run beside it. A step is a line
 * "ACTOR OPERATION A B" with numbers for slots, files and directories. */
#include <semaphore.h>
#include <stdbool.h>
#include <sys/resource.h>

#define FIRST_FD 100
#define STEPS 1024

struct step {
	int actor;
	char operation[8];
	int a, b;
};

struct shared {
	sem_t turn[4], done;
	volatile int now; /* the step; -1: the end */
	volatile long calls[8]; /* of each busy process */
};

static struct shared *shared;
static struct step steps[STEPS];
static int count, sockets[2];

static const char *files[] = {"d0/f", "d1/f", "d0/sub/g", "h", "d1/h", "d0/sub/f"};
static const char *folders[] = {"d0", "d1", "d0/sub", "."};
static char root[PATH_MAX];

static const char *at_root(char *text, const char *name)
{
	snprintf(text, PATH_MAX, "%s/%s", root, name);
	return text;
}

/* What /proc says of this thread: a descriptor's file, or where it is. */
static bool proc(const char *what, char *name)
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/thread-self/%s", what);
	int n = readlink(link, name, PATH_MAX - 1);
	name[n < 0 ? 0 : n] = 0;
	return n >= 0;
}

/* A row at offset `step` must be called `name`. */
static void probe(int step, int fd)
{
	char what[32], name[PATH_MAX], after[PATH_MAX];
	snprintf(what, sizeof(what), "fd/%d", fd);
	proc(what, name);
	long ret = syscall(SYS_pwrite64, fd, "x", 1L, (long)step);
	ret = ret < 0 ? -errno : ret;
	proc(what, after);
	must(!strcmp(name, after), "the name has changed");
	printf("fd-%d %ld %d %d %s\n", step, ret, getpid(), gettid(), name);
	fflush(stdout);
}

static void look(int step)
{
	char name[PATH_MAX], path[32];
	proc("cwd", name);
	snprintf(path, sizeof(path), "probe-%d", step);
	syscall(SYS_access, path, 0L);
	printf("cwd-%d -2 %d %d %s/%s\n", step, getpid(), gettid(), name, path);
	fflush(stdout);
}

static void send_fd(int fd)
{
	char byte = 'x', space[CMSG_SPACE(sizeof(int))] = {};
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &fd, sizeof(int));
	sendmsg(sockets[0], &message, MSG_DONTWAIT);
}

static void receive_fd(int slot)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
	if (recvmsg(sockets[1], &message, MSG_DONTWAIT) < 0 || !CMSG_FIRSTHDR(&message))
		return;
	int fd;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	dup2(fd, slot);
	close(fd);
}

static void act(int number)
{
	struct step *s = &steps[number];
	char one[PATH_MAX], two[PATH_MAX];
	int fd = FIRST_FD + s->a;

	if (!strcmp(s->operation, "open") || !strcmp(s->operation, "near")) {
		const char *name = s->operation[0] == 'o' ? at_root(one, files[s->b]) : "near";
		int opened = open(name, O_RDWR | O_CREAT, 0600);
		if (opened >= 0) {
			dup2(opened, fd);
			close(opened);
		}
	} else if (!strcmp(s->operation, "dup")) {
		dup2(fd, FIRST_FD + s->b);
	} else if (!strcmp(s->operation, "close")) {
		close(fd);
	} else if (!strcmp(s->operation, "move")) {
		rename(at_root(one, files[s->a]), at_root(two, files[s->b]));
	} else if (!strcmp(s->operation, "swap")) {
		renameat2(AT_FDCWD, at_root(one, folders[s->a]), AT_FDCWD,
			  at_root(two, folders[s->b]), RENAME_EXCHANGE);
	} else if (!strcmp(s->operation, "unlink")) {
		unlink(at_root(one, files[s->b]));
	} else if (!strcmp(s->operation, "chdir")) {
		chdir(at_root(one, folders[s->b]));
	} else if (!strcmp(s->operation, "send")) {
		send_fd(fd);
	} else if (!strcmp(s->operation, "receive")) {
		receive_fd(fd);
	} else if (!strcmp(s->operation, "fork")) {
		pid_t child = fork();
		if (child == 0) {
			probe(number, fd);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	} else if (!strcmp(s->operation, "probe")) {
		probe(number, fd);
	} else if (!strcmp(s->operation, "look")) {
		look(number);
	}
}

static void *plays(void *number)
{
	long me = (long)number;

	if (me == 3)
		must(unshare(CLONE_FILES | CLONE_FS) == 0, "unshare");
	for (;;) {
		sem_wait(&shared->turn[me]);
		if (shared->now < 0)
			return NULL;
		act(shared->now);
		sem_post(&shared->done);
	}
}

static void process(long first)
{
	pthread_t thread;
	pthread_create(&thread, NULL, plays, (void *)(first + 1));
	plays((void *)first);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	pid_t children[8];
	int n = 0, busy = atoi(argv[3]);
	char end[PATH_MAX];

	must(realpath(argv[1], root) != NULL && chdir(root) == 0, "chdir");
	FILE *script = fopen(argv[2], "r");
	while (fscanf(script, "%d %7s %d %d", &steps[count].actor, steps[count].operation,
		      &steps[count].a, &steps[count].b) == 4)
		count++;
	fclose(script);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sem_init(&shared->done, 1, 0);
	for (int i = 0; i < 4; i++)
		sem_init(&shared->turn[i], 1, 0);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) == 0, "socketpair");
	for (; n < 2 + busy; n++) {
		children[n] = fork();
		if (children[n] == 0 && n >= 2)
			for (;; shared->calls[n]++)
				syscall(SYS_fsync, -1L);
		if (children[n] == 0) {
			process(n * 2);
			_exit(0);
		}
	}
	for (int i = 0; i < count; i++) {
		shared->now = i;
		sem_post(&shared->turn[steps[i].actor]);
		sem_wait(&shared->done);
	}
	shared->now = -1;
	for (int i = 0; i < 4; i++)
		sem_post(&shared->turn[i]);
	for (int i = 0; i < 2; i++)
		waitpid(children[i], NULL, 0);
	for (int i = 2; i < n; i++) {
		struct rusage used;
		kill(children[i], SIGKILL);
		must(wait4(children[i], NULL, 0, &used) == children[i], "wait4");
		printf("busy-%d %ld %ld\n", i, shared->calls[i],
		       (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
			       used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	}
	return 0;
}
