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

enum err block_open(int memfd, const struct table **t, char why[static BLOCK_WHY_MAX])
{
	int seals = fcntl(memfd, F_GET_SEALS);
	const char *where = "";
	struct stat st;
	void *block;
	enum err e;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return refuse(why, ERR_INVALID, "the block is not sealed against writing, shrinking and growing");
	if (fstat(memfd, &st) < 0 || st.st_size < (off_t)sizeof(struct table) || st.st_size > TABLE_BYTES_MAX)
		return refuse(why, ERR_TABLE_BOUNDS, "the block's size is out of range");
	block = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, memfd, 0);
	if (block == MAP_FAILED)
		return refuse(why, ERR_IO, strerror(errno));
	e = table_verify(block, (size_t)st.st_size, &where);
	if (!e)
		e = proxy_verify(block, &where);
	if (e) {
		snprintf(why, BLOCK_WHY_MAX, "%s: %s", err_text(e), where ? where : "");
		munmap(block, (size_t)st.st_size);
		return e;
	}
	*t = block;
	return OK;
}

void block_close(const struct table *t)
{
	CHECK(t->magic == TABLE_MAGIC);
	munmap((void *)(uintptr_t)t, t->bytes);
}

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
