/* Every call of the family Process. What would change the process for good runs in a child. */
#include "raw.h"
#include <asm/prctl.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static char buffer[4096];

static void identity(void)
{
	CALL(SYS_getpid);
	CALL(SYS_gettid);
	CALL(SYS_getppid);
	CALL(SYS_getuid);
	CALL(SYS_geteuid);
	CALL(SYS_getgid);
	CALL(SYS_getegid);
	CALL(SYS_getresuid, buffer, buffer + 8, buffer + 16);
	CALL(SYS_getresgid, buffer, buffer + 8, buffer + 16);
	CALL(SYS_getgroups, 0, NULL);
	CALL(SYS_getpgid, 0);
	CALL(SYS_getpgid, 1 << 30);
	CALL(SYS_getpgrp);
	CALL(SYS_getsid, 0);
	CALL(SYS_getpriority, PRIO_PROCESS, 0);
	CALL(SYS_setpriority, PRIO_PROCESS, 0, 0);
	CALL(SYS_ioprio_get, 1, 0);
	CALL(SYS_ioprio_set, 1, 0, 0x4004);
	CALL(SYS_getrlimit, RLIMIT_NOFILE, buffer);
	CALL(SYS_setrlimit, 99, buffer);
	CALL(SYS_prlimit64, 0, RLIMIT_CORE, NULL, buffer);
	CALL(SYS_prlimit64, getpid(), RLIMIT_STACK, NULL, buffer);
	CALL(SYS_getrusage, RUSAGE_SELF, buffer);
	CALL(SYS_umask, 027);
	CALL(SYS_personality, 0xffffffff);
	CALL(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0, 1);
	CALL(SYS_kcmp, 1 << 30, getpid(), KCMP_VM, 0, 0);
	CALL(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	CALL(SYS_prctl, 123456, 0, 0, 0, 0);
	CALL(SYS_arch_prctl, ARCH_GET_FS, buffer);
	CALL(SYS_arch_prctl, 7, buffer);
	CALL(SYS_set_tid_address, buffer);
	CALL(SYS_restart_syscall);
	CALL(SYS_reboot, 1, 2, 3, NULL);
}

static void changes(void)
{
	CALL(SYS_setsid);
	CALL(SYS_setsid);
	CALL(SYS_setpgid, 0, 0);
	CALL(SYS_vhangup);
	CALL(SYS_setgroups, 0, NULL);
	CALL(SYS_setfsuid, 5);
	CALL(SYS_setfsgid, 6);
	CALL(SYS_setgid, 12);
	CALL(SYS_setregid, 13, 14);
	CALL(SYS_setresgid, 15, 16, 17);
	CALL(SYS_setuid, 0);
	CALL(SYS_setreuid, 0, 21);
	CALL(SYS_setresuid, 22, 21, 0);
	CALL(SYS_setuid, 23);
	CALL(SYS_setuid, 24);
	CALL(SYS_access, "/root/none", R_OK);
}

static void spaces(void)
{
	int own = CALL(SYS_open, "/proc/self/ns/uts", O_RDONLY);

	CALL(SYS_setns, own, CLONE_NEWUTS);
	CALL(SYS_setns, own, CLONE_NEWNET);
	CALL(SYS_setns, 999, 0);
	CALL(SYS_unshare, CLONE_FILES | CLONE_FS);
	CALL(SYS_unshare, CLONE_NEWNS);
	CALL(SYS_unshare, 0x80000000L);
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir("root", 0755);
	mount("none", "root", "tmpfs", 0, NULL);
	mkdir("root/old", 0755);
	CALL(SYS_getcwd, buffer, sizeof(buffer));
	CALL(SYS_pivot_root, "missing", "root/old");
	CALL(SYS_pivot_root, "root", "root/old");
	CALL(SYS_chdir, "/");
	CALL(SYS_open, "old", O_RDONLY);
	CALL(SYS_access, "/old/etc/passwd", R_OK);
}

static void *thread(void *name)
{
	CALL(SYS_prctl, PR_SET_NAME, name, 0, 0, 0);
	CALL(SYS_gettid);
	CALL(SYS_access, "/in-a-thread", F_OK);
	CALL(SYS_exit, 0);
	return NULL;
}

static void children(void)
{
	struct clone_args how = {.exit_signal = SIGCHLD};
	char *arguments[] = {"true", NULL}, *nothing[] = {NULL};
	siginfo_t info;
	pthread_t other;

	int pid = CALL(SYS_fork);
	if (pid == 0) {
		CALL(SYS_getppid);
		CALL(SYS_exit_group, 3);
	}
	CALL(SYS_wait4, pid, buffer, 0, NULL);
	CALL(SYS_wait4, -1, buffer, 1, NULL);
	pid = vfork();
	if (pid == 0)
		_exit(4);
	CALL(SYS_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, NULL);
	CALL(SYS_waitid, P_ALL, 0, &info, WEXITED, buffer);
	CALL(SYS_waitid, P_ALL, 0, &info, WEXITED, NULL);
	if (CALL(SYS_clone, SIGURG, 0, NULL, NULL, 0) == 0)
		CALL(SYS_exit, 5);
	CALL(SYS_wait4, -1, buffer, 0x40000000, NULL);
	if (CALL(SYS_clone3, &how, sizeof(how)) == 0) {
		CALL(SYS_execve, "/no/such/program", arguments, nothing);
		CALL(SYS_execveat, AT_FDCWD, "/bin/true", arguments, nothing, 0);
	}
	CALL(SYS_wait4, -1, buffer, 0, NULL);
	CALL(SYS_clone3, &how, 3);
	pid = CALL(SYS_fork);
	if (pid == 0) {
		int program = CALL(SYS_open, "/bin/true", O_PATH);
		CALL(SYS_execveat, program, "", arguments, nothing, AT_EMPTY_PATH);
	}
	CALL(SYS_wait4, pid, buffer, 0, NULL);
	pid = CALL(SYS_fork);
	if (pid == 0)
		CALL(SYS_execve, "/bin/true", arguments, nothing);
	CALL(SYS_wait4, pid, buffer, 0, NULL);
	pthread_create(&other, NULL, thread, "renamed");
	pthread_join(other, NULL);
}

int main(void)
{
	identity();
	children();
	IN_CHILD(changes());
	IN_CHILD(spaces());
	return 0;
}
