/* Every call of the family FS, most of them once well and once badly. */
#include "raw.h"
#include <dirent.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/quota.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <utime.h>

static char buffer[65536];

static void opens(void)
{
	struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0640};
	struct open_how reads = {.flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS};

	CALL(SYS_mkdir, "dir", 0751);
	int dir = CALL(SYS_open, "dir", O_RDONLY | O_DIRECTORY);
	CALL(SYS_open, "file", O_RDWR | O_CREAT | O_EXCL, 0640);
	CALL(SYS_open, "file", O_RDWR | O_CREAT | O_EXCL, 0640);
	CALL(SYS_open, "", O_RDONLY);
	CALL(SYS_open, "missing/file", O_RDONLY);
	CALL(SYS_open, NULL, O_RDONLY);
	CALL(SYS_creat, "dir/made", 0604);
	CALL(SYS_openat, dir, "made", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
	CALL(SYS_openat, AT_FDCWD, "dir/../file", O_RDONLY);
	CALL(SYS_openat, dir, "/etc/passwd", O_RDONLY);
	CALL(SYS_openat, 77, "made", O_RDONLY);
	CALL(SYS_openat, dir, ".", O_RDWR | O_TMPFILE, 0600);
	CALL(SYS_openat2, dir, "how", &how, sizeof(how));
	CALL(SYS_openat2, AT_FDCWD, "file", &reads, sizeof(reads));
	CALL(SYS_symlink, "dir/made", "link");
	CALL(SYS_symlinkat, "../file", dir, "link");
	CALL(SYS_open, "link", O_RDONLY);
	CALL(SYS_openat, dir, "link", O_RDONLY);
	CALL(SYS_open, "link", O_PATH | O_NOFOLLOW);
	CALL(SYS_open, "link", O_RDONLY | O_NOFOLLOW);
}

static void descriptors(int fd)
{
	int pipe[2];

	CALL(SYS_dup, fd);
	CALL(SYS_dup2, fd, 50);
	CALL(SYS_dup2, fd, fd);
	CALL(SYS_dup2, 999, 51);
	CALL(SYS_dup3, fd, 51, O_CLOEXEC);
	CALL(SYS_dup3, fd, fd, 0);
	CALL(SYS_fcntl, fd, F_DUPFD, 60);
	CALL(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 60);
	CALL(SYS_fcntl, fd, F_GETFD);
	CALL(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
	CALL(SYS_fcntl, fd, F_GETFL);
	CALL(SYS_fcntl, 50, F_SETFL, O_APPEND | O_NONBLOCK);
	CALL(SYS_fcntl, fd, F_SETFL, 0);
	CALL(SYS_fcntl, 998, F_GETFL);
	CALL(SYS_ioctl, fd, FIGETBSZ, buffer);
	CALL(SYS_ioctl, fd, FS_IOC_GETFLAGS, buffer);
	CALL(SYS_ioctl, 997, FIGETBSZ, buffer);
	CALL(SYS_pipe, pipe);
	CALL(SYS_ioctl, pipe[0], 0x541b, buffer);
	CALL(SYS_write, pipe[1], "abc", 3);
	CALL(SYS_read, pipe[0], buffer, 9);
	CALL(SYS_flock, fd, 2 | 4);
	CALL(SYS_flock, fd, 8);
	CALL(SYS_close, 50);
	CALL(SYS_close, 50);
	CALL(SYS_close_range, 51, 52, 0);
	CALL(SYS_close_range, 60, 70, 4);
	CALL(SYS_close_range, 90, 80, 0);
}

static void contents(int fd, int other)
{
	struct iovec parts[2] = {{buffer, 3}, {buffer + 9, 4}};
	long off = 2;

	CALL(SYS_write, fd, "hello, world", 12);
	CALL(SYS_write, 996, "x", 1);
	CALL(SYS_lseek, fd, -5, SEEK_END);
	CALL(SYS_lseek, fd, -1, SEEK_SET);
	CALL(SYS_read, fd, buffer, 100);
	CALL(SYS_read, fd, buffer, 100);
	CALL(SYS_read, 995, buffer, 1);
	CALL(SYS_pwrite64, fd, "ab", 2, 1L << 32);
	CALL(SYS_pread64, fd, buffer, 5, (1L << 32) - 1);
	CALL(SYS_pread64, fd, buffer, 5, -1L);
	CALL(SYS_writev, fd, parts, 2);
	CALL(SYS_lseek, fd, 0, SEEK_SET);
	CALL(SYS_readv, fd, parts, 2);
	CALL(SYS_pwritev, fd, parts, 2, 33, 0);
	CALL(SYS_preadv, fd, parts, 2, 33, 0);
	CALL(SYS_pwritev2, fd, parts, 2, 34, 0, 2);
	CALL(SYS_preadv2, fd, parts, 2, 34, 0, 1);
	CALL(SYS_ftruncate, fd, 123456);
	CALL(SYS_truncate, "file", 77777);
	CALL(SYS_truncate, "missing", 1);
	CALL(SYS_fallocate, fd, 0, 4096, 8192);
	CALL(SYS_fallocate, fd, 3, 0, 4096);
	CALL(SYS_fadvise64, fd, 7, 100, 4);
	CALL(SYS_readahead, fd, 5, 6);
	CALL(SYS_copy_file_range, fd, &off, other, NULL, 200, 0);
	CALL(SYS_copy_file_range, fd, NULL, 994, NULL, 200, 0);
	CALL(SYS_copy_file_range, fd, NULL, other, NULL, 200, 5);
	CALL(SYS_fsync, fd);
	CALL(SYS_fdatasync, fd);
	CALL(SYS_sync_file_range, fd, 8, 99, 2);
	CALL(SYS_syncfs, fd);
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CALL(SYS_msync, map, 4096, MS_SYNC);
	CALL(SYS_msync, map, 4096, MS_ASYNC);
	munmap(map, 4096);
}

static void attributes(int fd, int dir)
{
	struct timespec times[2] = {{1, 2}, {3, 4}};
	struct timeval values[2] = {{1, 2}, {3, 4}};

	CALL(SYS_access, "file", R_OK | W_OK);
	CALL(SYS_access, "missing", F_OK);
	CALL(SYS_faccessat, dir, "made", X_OK);
	CALL(SYS_faccessat2, dir, "link", R_OK, AT_SYMLINK_NOFOLLOW | AT_EACCESS);
	CALL(SYS_chmod, "dir/made", 0444);
	CALL(SYS_chmod, "missing", 0444);
	CALL(SYS_fchmod, fd, 0600);
	CALL(SYS_fchmodat, dir, "made", 0640);
	CALL(SYS_chown, "file", 1, 2);
	CALL(SYS_lchown, "link", 3, -1);
	CALL(SYS_fchown, fd, 0, 0);
	CALL(SYS_fchownat, dir, "link", 4, 5, AT_SYMLINK_NOFOLLOW);
	CALL(SYS_fchownat, fd, "", 0, 0, AT_EMPTY_PATH);
	CALL(SYS_stat, "link", buffer);
	CALL(SYS_lstat, "link", buffer);
	CALL(SYS_fstat, fd, buffer);
	CALL(SYS_fstat, 993, buffer);
	CALL(SYS_newfstatat, dir, "made", buffer, 0);
	CALL(SYS_newfstatat, fd, "", buffer, AT_EMPTY_PATH);
	CALL(SYS_newfstatat, AT_FDCWD, "", buffer, AT_EMPTY_PATH);
	CALL(SYS_statx, dir, "link", AT_SYMLINK_NOFOLLOW, 0x7ff, buffer);
	CALL(SYS_statx, fd, "", AT_EMPTY_PATH, 0x7ff, buffer);
	CALL(SYS_statfs, "dir", buffer);
	CALL(SYS_fstatfs, fd, buffer);
	CALL(SYS_ustat, 1, buffer);
	CALL(SYS_utime, "file", NULL);
	CALL(SYS_utimes, "file", values);
	CALL(SYS_futimesat, dir, "made", values);
	CALL(SYS_utimensat, dir, "link", times, AT_SYMLINK_NOFOLLOW);
	CALL(SYS_utimensat, fd, NULL, times, 0);
	CALL(SYS_readlink, "link", buffer, 100);
	CALL(SYS_readlinkat, dir, "link", buffer, 5);
	CALL(SYS_readlink, "file", buffer, 100);
	CALL(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), "/dev/null", 0, NULL);
	CALL(SYS_quotactl_fd, fd, QCMD(Q_SYNC, USRQUOTA), 0, NULL);
}

static void extended(int fd)
{
	CALL(SYS_setxattr, "file", "user.a", "abc", 3, XATTR_CREATE);
	CALL(SYS_setxattr, "file", "user.a", "abc", 3, XATTR_CREATE);
	CALL(SYS_lsetxattr, "file", "user.b", "abcd", 4, 0);
	CALL(SYS_lsetxattr, "link", "user.b", "abcd", 4, XATTR_REPLACE);
	CALL(SYS_fsetxattr, fd, "user.c", "abcde", 5, XATTR_CREATE);
	CALL(SYS_getxattr, "file", "user.a", NULL, 0);
	CALL(SYS_getxattr, "file", "user.a", buffer, 99);
	CALL(SYS_lgetxattr, "file", "user.b", buffer, 99);
	CALL(SYS_fgetxattr, fd, "user.c", buffer, 99);
	CALL(SYS_fgetxattr, fd, "user.none", buffer, 99);
	CALL(SYS_listxattr, "file", NULL, 0);
	CALL(SYS_listxattr, "file", buffer, 999);
	CALL(SYS_llistxattr, "file", buffer, 999);
	CALL(SYS_flistxattr, fd, buffer, 999);
	CALL(SYS_removexattr, "file", "user.a");
	CALL(SYS_lremovexattr, "file", "user.b");
	CALL(SYS_fremovexattr, fd, "user.c");
}

static void directories(int dir)
{
	CALL(SYS_mkdirat, dir, "sub", 0700);
	CALL(SYS_mkdir, "dir/sub", 0700);
	CALL(SYS_mknod, "fifo", S_IFIFO | 0600, 0);
	CALL(SYS_mknodat, dir, "fifo", S_IFIFO | 0640, 0);
	CALL(SYS_link, "file", "dir/hard");
	CALL(SYS_linkat, dir, "link", dir, "harder", 0);
	CALL(SYS_linkat, AT_FDCWD, "link", dir, "hardest", AT_SYMLINK_FOLLOW);
	CALL(SYS_rename, "dir/hard", "moved");
	CALL(SYS_rename, "missing", "moved");
	CALL(SYS_renameat, dir, "harder", dir, "sub/moved");
	CALL(SYS_renameat2, AT_FDCWD, "moved", dir, "hardest", 2);
	CALL(SYS_renameat2, AT_FDCWD, "moved", dir, "hardest", 1);
	CALL(SYS_getdents64, dir, buffer, sizeof(buffer));
	CALL(SYS_getdents64, dir, buffer, sizeof(buffer));
	CALL(SYS_lseek, dir, 0, SEEK_SET);
	CALL(SYS_getdents, dir, buffer, 4096);
	CALL(SYS_getcwd, buffer, 4096);
	CALL(SYS_getcwd, buffer, 1);
	CALL(SYS_chdir, "dir/sub");
	CALL(SYS_getcwd, buffer, 4096);
	CALL(SYS_access, "moved", F_OK);
	CALL(SYS_open, "../made", O_RDONLY);
	CALL(SYS_openat, AT_FDCWD, "moved", O_RDONLY);
	CALL(SYS_chdir, "missing");
	CALL(SYS_fchdir, dir);
	CALL(SYS_access, "made", F_OK);
	CALL(SYS_openat, AT_FDCWD, "made", O_RDONLY);
	CALL(SYS_fchdir, 992);
	CALL(SYS_chdir, "..");
	CALL(SYS_getcwd, buffer, 4096);
	CALL(SYS_unlinkat, dir, "sub/moved", 0);
	CALL(SYS_unlinkat, dir, "sub", AT_REMOVEDIR);
	CALL(SYS_rmdir, "dir");
	CALL(SYS_mkdir, "other", 0755);
	CALL(SYS_rmdir, "other");
	CALL(SYS_unlink, "fifo");
	CALL(SYS_unlink, "fifo");
	int gone = CALL(SYS_open, "moved", O_RDWR);
	CALL(SYS_unlink, "moved");
	CALL(SYS_write, gone, "x", 1);
	CALL(SYS_close, gone);
}

/* What a handle is of has another name when it is opened. */
static void handles(void)
{
	struct file_handle *handle = (void *)buffer;
	int id;

	handle->handle_bytes = 128;
	CALL(SYS_creat, "mnt/handle", 0600);
	CALL(SYS_name_to_handle_at, AT_FDCWD, "mnt/handle", handle, &id, AT_SYMLINK_FOLLOW);
	CALL(SYS_rename, "mnt/handle", "mnt/found");
	int there = CALL(SYS_open, "mnt", O_RDONLY);
	CALL(SYS_open_by_handle_at, there, handle, O_RDWR | O_NONBLOCK);
	int here = CALL(SYS_open, ".", O_RDONLY);
	CALL(SYS_open_by_handle_at, here, handle, O_RDONLY);
	CALL(SYS_open_by_handle_at, 991, handle, O_RDONLY);
	CALL(SYS_name_to_handle_at, here, "missing", handle, &id, 0);
}

/* In a mount namespace of one's own. */
static void mounts(void)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};

	unshare(CLONE_NEWNS);
	CALL(SYS_getcwd, buffer, 4096);
	CALL(SYS_mount, "none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	CALL(SYS_mkdir, "mnt", 0755);
	CALL(SYS_mount, "none", "mnt", "tmpfs", MS_NOSUID, "size=1m");
	CALL(SYS_mount, "none", "missing", "tmpfs", 0, NULL);
	CALL(SYS_creat, "mnt/inside", 0600);
	handles();
	CALL(SYS_mkdir, "bound", 0755);
	CALL(SYS_mount, "mnt", "bound", NULL, MS_BIND, NULL);
	CALL(SYS_open, "bound/inside", O_RDONLY);
	CALL(SYS_umount2, "bound", MNT_DETACH);
	CALL(SYS_umount2, "bound", 0);
	int tree = CALL(SYS_open_tree, AT_FDCWD, "mnt", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	CALL(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes));
	CALL(SYS_move_mount, tree, "", AT_FDCWD, "bound", MOVE_MOUNT_F_EMPTY_PATH);
	CALL(SYS_mount_setattr, AT_FDCWD, "bound", 0, &attributes, sizeof(attributes));
	int context = CALL(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	CALL(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "1m", 0);
	CALL(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	int mounted = CALL(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	CALL(SYS_move_mount, mounted, "", AT_FDCWD, "mnt", MOVE_MOUNT_F_EMPTY_PATH);
	CALL(SYS_fspick, AT_FDCWD, "mnt", FSPICK_CLOEXEC);
	CALL(SYS_swapon, "file", 0);
	CALL(SYS_swapoff, "file");
	CALL(SYS_chroot, "missing");
	CALL(SYS_chroot, "mnt");
	CALL(SYS_chdir, "/");
	CALL(SYS_open, "/", O_RDONLY);
	CALL(SYS_access, "/nothing", F_OK);
}

int main(void)
{
	CALL(SYS_umask, 022);
	opens();
	int fd = CALL(SYS_open, "file", O_RDWR);
	int dir = CALL(SYS_open, "dir", O_RDONLY | O_DIRECTORY);
	int other = CALL(SYS_open, "other", O_RDWR | O_CREAT, 0600);
	descriptors(fd);
	contents(fd, other);
	attributes(fd, dir);
	extended(fd);
	directories(dir);
	IN_CHILD(mounts());
	CALL(SYS_sync);
	return 0;
}
