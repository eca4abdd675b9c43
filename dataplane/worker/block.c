#include "worker/block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "proxy/proxy.h"

/* Nobody may change what was verified. */
enum { SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };

static enum err refuse(char why[static BLOCK_WHY_MAX], enum err e, const char *what)
{
	snprintf(why, BLOCK_WHY_MAX, "%s", what);
	return e;
}

static enum err check(const void *block, size_t bytes, char why[static BLOCK_WHY_MAX])
{
	const char *where = "";
	enum err e = table_verify(block, bytes, &where);

	if (!e)
		e = proxy_verify(block, &where);
	if (e)
		snprintf(why, BLOCK_WHY_MAX, "%s: %s", err_text(e), where ? where : "");
	return e;
}

/* ---- memory ---- */

static size_t mapped_bytes(size_t bytes)
{
	return (bytes + BLOCK_PAGE - 1) & ~(size_t)(BLOCK_PAGE - 1);
}

/* Large pages where the kernel gives them: a lookup among thousands of routes reads lines from all over the block. */
static void *take_memory(size_t bytes)
{
	const size_t mapped = mapped_bytes(bytes);
	char *all = mmap(NULL, mapped + BLOCK_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const size_t before = all != MAP_FAILED ? -(uintptr_t)all & (BLOCK_PAGE - 1) : 0;

	if (all == MAP_FAILED)
		return NULL;
	if (before > 0)
		munmap(all, before);
	munmap(all + before + mapped, BLOCK_PAGE - before);
	(void)madvise(all + before, mapped, MADV_HUGEPAGE);
	return all + before;
}

static bool read_all(int fd, char *to, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		const ssize_t n = pread(fd, to + at, bytes - at, (off_t)at);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

enum err block_open(int memfd, const struct table **t, char why[static BLOCK_WHY_MAX])
{
	int seals = fcntl(memfd, F_GET_SEALS);
	struct stat st;
	size_t bytes;
	void *block;
	enum err e;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return refuse(why, ERR_INVALID, "the block is not sealed against writing, shrinking and growing");
	if (fstat(memfd, &st) < 0 || st.st_size < (off_t)sizeof(struct table) || st.st_size > TABLE_BYTES_MAX)
		return refuse(why, ERR_TABLE_BOUNDS, "the block's size is out of range");
	block = take_memory((size_t)st.st_size);
	if (!block)
		return refuse(why, ERR_IO, strerror(errno));
	bytes = (size_t)st.st_size;
	if (!read_all(memfd, block, bytes) || mprotect(block, mapped_bytes(bytes), PROT_READ) < 0)
		e = refuse(why, ERR_IO, strerror(errno));
	else
		e = check(block, bytes, why);
	if (e)
		munmap(block, mapped_bytes(bytes));
	else
		*t = block;
	return e;
}

void block_close(const struct table *t)
{
	CHECK(t->magic == TABLE_MAGIC);
	munmap((void *)(uintptr_t)t, mapped_bytes(t->bytes));
}

/* ---- the state directory ---- */

static enum err copy(int from, int to)
{
	char part[65536];
	ssize_t n;

	while ((n = read(from, part, sizeof(part))) > 0)
		for (ssize_t done = 0, wrote; done < n; done += wrote)
			if ((wrote = write(to, part + done, (size_t)(n - done))) <= 0)
				return ERR_IO;
	return n < 0 ? ERR_IO : OK;
}

enum err block_load(const char *state_dir, const struct table **t, char why[static BLOCK_WHY_MAX])
{
	char path[4096];
	int file, memfd;
	enum err e;

	snprintf(path, sizeof(path), "%s/generation", state_dir);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return refuse(why, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, strerror(errno));
	memfd = memfd_create("generation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	e = memfd < 0 ? ERR_IO : copy(file, memfd);
	if (!e && fcntl(memfd, F_ADD_SEALS, SEALS) < 0)
		e = ERR_IO;
	e = e ? refuse(why, e, strerror(errno)) : block_open(memfd, t, why);
	if (memfd >= 0)
		close(memfd);
	close(file);
	return e;
}

static enum err write_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t wrote = write(fd, bytes, n);

		if (wrote <= 0)
			return ERR_IO;
		bytes += wrote;
		n -= (size_t)wrote;
	}
	return fsync(fd) < 0 ? ERR_IO : OK;
}

static enum err sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e = fd < 0 || fsync(fd) < 0 ? ERR_IO : OK;

	if (fd >= 0)
		close(fd);
	return e;
}

/* Written beside it and renamed: a crash leaves the old file or the new one. */
static enum err replace(const char *state_dir, const char *name, const char *bytes, size_t n)
{
	char path[4096], new_path[4096];
	enum err e;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	snprintf(new_path, sizeof(new_path), "%s/%s.new", state_dir, name);
	fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return ERR_IO;
	e = write_all(fd, bytes, n);
	close(fd);
	if (!e && rename(new_path, path) < 0)
		e = ERR_IO;
	return e ? e : sync_directory(state_dir);
}

enum err block_save(const char *state_dir, const struct table *t)
{
	return replace(state_dir, "generation", (const char *)t, t->bytes);
}

/* ---- a machine on trial ---- */

enum err block_keep(const char *state_dir, const struct table *t)
{
	return replace(state_dir, "generation.good", (const char *)t, t->bytes);
}

enum err block_restore(const char *state_dir)
{
	char good[4096], path[4096];

	snprintf(good, sizeof(good), "%s/generation.good", state_dir);
	snprintf(path, sizeof(path), "%s/generation", state_dir);
	if (rename(good, path) < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	return sync_directory(state_dir);
}

static bool drop(const char *state_dir, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	return unlink(path) == 0;
}

bool block_settle(const char *state_dir)
{
	return drop(state_dir, "generation.good");
}

enum err block_blame(const char *state_dir, const struct block_blame *b)
{
	char line[BLOCK_WHY_MAX + 32];
	int n = snprintf(line, sizeof(line), "%016" PRIx64 " %s\n", b->machine, b->why);

	return replace(state_dir, "generation.bad", line, (size_t)n);
}

/* Not readable is as good as not there: the machine is tried once more. */
struct block_blame block_blamed(const char *state_dir)
{
	struct block_blame b = {0};
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/generation.bad", state_dir);
	f = fopen(path, "re");
	if (!f)
		return b;
	if (fscanf(f, "%16" SCNx64 " %255[^\n]", &b.machine, b.why) != 2)
		b = (struct block_blame){0};
	static_assert(BLOCK_WHY_MAX == 256, "the format above");
	fclose(f);
	return b;
}

void block_forgive(const char *state_dir)
{
	(void)drop(state_dir, "generation.bad");
}
