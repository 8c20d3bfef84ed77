/* Calls that are newer than strace 6.1, each followed by a line with what it returned. On a
 * kernel that lacks one it fails with ENOSYS, and is a call all the same. */
#include "raw.h"

#define SAID(name, ...)                                                                     \
	do {                                                                                \
		long ret_ = CALL(__VA_ARGS__);                                              \
		printf("%s %ld\n", name, ret_ < 0 ? -errno : ret_);                         \
	} while (0)

static char buffer[4096];
static uint32_t word;

int main(void)
{
	struct { uint64_t value; uint32_t size, flags; } attribute = {W("abc"), 3, 0};
	struct { uint64_t offset, length; } range = {0, 4096};
	struct { uint32_t size, spare; uint64_t mount, parameter; } id = {24, 0, ~0UL, 0};
	struct { uint64_t value, address; uint32_t flags, reserved; } waiters[2] = {
		{0, W(&word), 2, 0}, {0, W(&word), 2, 0}};

	setvbuf(stdout, buffer + 2048, _IOFBF, 2048);
	mkdir("dir", 0755);
	int dir = open("dir", O_RDONLY | O_DIRECTORY);
	int fd = openat(dir, "file", O_RDWR | O_CREAT, 0600);
	SAID("cachestat", 451, fd, &range, buffer, 0);
	SAID("cachestat", 451, 999, &range, buffer, 0);
	SAID("fchmodat2", 452, dir, "file", 0640, AT_SYMLINK_NOFOLLOW);
	SAID("fchmodat2", 452, AT_FDCWD, "missing", 0600, 0);
	SAID("futex_wake", 454, &word, -1, 1, 2);
	SAID("futex_wait", 455, &word, 7, -1, 2, NULL, CLOCK_MONOTONIC);
	SAID("futex_requeue", 456, waiters, 0, 1, 1);
	SAID("statmount", 457, &id, buffer, 512, 0);
	SAID("listmount", 458, &id, buffer, 8, 0);
	SAID("setxattrat", 463, dir, "file", 0, "user.a", &attribute, 16);
	attribute.value = W(buffer);
	attribute.size = 100;
	SAID("getxattrat", 464, dir, "file", 0, "user.a", &attribute, 16);
	SAID("getxattrat", 464, fd, "", AT_EMPTY_PATH, "user.a", &attribute, 16);
	SAID("listxattrat", 465, dir, "file", 0, buffer, 100);
	SAID("removexattrat", 466, dir, "file", 0, "user.a");
	SAID("open_tree_attr", 467, dir, "file", 0x80000, NULL, 0);
	SAID("file_getattr", 468, dir, "file", buffer, 24, 0);
	SAID("file_setattr", 469, dir, "file", buffer, 24, 0);
	SAID("listns", 470, buffer, buffer, 1, 0);
	return 0;
}
