/* See regex.h. */
#include "route/regex.h"

#include <re2/re2.h>

#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "base/limits.h"

enum { PREFIX_MAX = 32 };

static RE2::Options options()
{
	RE2::Options o;

	o.set_log_errors(false);
	o.set_never_capture(true);
	o.set_max_mem(REGEX_BYTES);
	return o;
}

struct regex {
	explicit regex(absl::string_view pattern) : re(pattern, options()) {}

	RE2 re;                      /* first: the hooks are told of it */
	unsigned resets = 0;         /* in this match */
	/* What every text that matches begins with: most texts that do not match are known by it. */
	char prefix[PREFIX_MAX];
	size_t prefix_len = 0;
};

/* ---- giving up ---- */

struct too_much {};

static struct regex *matching()
{
	return reinterpret_cast<struct regex *>(const_cast<RE2 *>(re2::hooks::context));
}

/* The states are about to be thrown away, for this text alone when it is the second time. */
static void on_reset(const re2::hooks::DFAStateCacheReset &)
{
	if (matching()->resets++ > 0)
		throw too_much();
}

/* The NFA is about to be simulated. */
static void on_failure(const re2::hooks::DFASearchFailure &)
{
	throw too_much();
}

static void set_hooks()
{
	static const bool once = [] {
		re2::hooks::SetDFAStateCacheResetHook(on_reset);
		re2::hooks::SetDFASearchFailureHook(on_failure);
		return true;
	}();

	(void)once;
}

static enum regex_answer match(struct regex *r, absl::string_view text)
{
	r->resets = 0;
	try {
		return RE2::FullMatch(text, r->re) ? REGEX_YES : REGEX_NO;
	} catch (const too_much &) {
		return REGEX_TOO_MUCH;
	}
}

/* ---- making ---- */

/* All texts that match lie between two bounds: what the bounds have in common all of them have. */
static void find_prefix(struct regex *r)
{
	std::string low, high;

	if (!r->re.PossibleMatchRange(&low, &high, PREFIX_MAX))
		return;
	while (r->prefix_len < low.size() && r->prefix_len < high.size() && r->prefix_len < PREFIX_MAX &&
	       low[r->prefix_len] == high[r->prefix_len]) {
		r->prefix[r->prefix_len] = low[r->prefix_len];
		r->prefix_len++;
	}
}

static bool judge(struct regex *r, absl::string_view pattern, char *why)
{
	if (!r->re.ok()) {
		snprintf(why, REGEX_WHY_MAX, "%s", r->re.error().c_str());
		return false;
	}
	if (r->re.ProgramSize() > LIMIT_regex_program) {
		snprintf(why, REGEX_WHY_MAX, "it has %d instructions, more than %d", r->re.ProgramSize(),
		         LIMIT_regex_program);
		return false;
	}
	/* A few states have to fit for a DFA to be there at all. */
	if (match(r, pattern.substr(0, 64)) == REGEX_TOO_MUCH) {
		snprintf(why, REGEX_WHY_MAX, "it needs more than %d bytes of memory", REGEX_BYTES);
		return false;
	}
	return true;
}

struct regex *regex_new(const char *pattern, size_t len, char *why)
{
	const absl::string_view text(pattern, len);
	struct regex *r;

	set_hooks();
	r = new (std::nothrow) regex(text);
	if (r == nullptr) {
		snprintf(why, REGEX_WHY_MAX, "no memory");
		return nullptr;
	}
	if (!judge(r, text, why)) {
		regex_free(r);
		return nullptr;
	}
	find_prefix(r);
	return r;
}

void regex_free(struct regex *r)
{
	delete r;
}

/* ---- matching ---- */

enum regex_answer regex_match(struct regex *r, const char *at, size_t len, uint32_t *bytes)
{
	enum regex_answer a;
	size_t cost = len + 1;

	if (len < r->prefix_len || memcmp(at, r->prefix, r->prefix_len) != 0)
		return REGEX_NO;
	if (cost > *bytes)
		return REGEX_TOO_MUCH;
	a = match(r, absl::string_view(at, len));
	cost += r->resets * static_cast<size_t>(REGEX_RESET_BYTES);
	*bytes -= static_cast<uint32_t>(cost < *bytes ? cost : *bytes);
	return a;
}
