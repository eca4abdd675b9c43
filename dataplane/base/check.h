/*
 * Assertions that stay on in production, and the magic numbers that they look at.
 *
 * CHECK is for errors of programmers: it prints and aborts (the crash handler dumps). It must never depend on
 * bytes from the wire. CHECK_SLOW is the one named class that release builds leave out. Every object that crosses
 * a layer border starts with a magic number, looked at by CHECK_MAGIC at every public entry.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <assert.h>
#include <stdint.h>

_Noreturn void check_failed(const char *what, const char *file, int line);

#define CHECK(x) (__builtin_expect(!(x), 0) ? check_failed(#x, __FILE__, __LINE__) : (void)0)
#ifdef NDEBUG_SLOW
#define CHECK_SLOW(x) ((void)sizeof(!(x)))
#else
#define CHECK_SLOW(x) CHECK(x)
#endif

#define CHECK_MAGIC(object, number) CHECK((object) != NULL && (object)->magic == (number))

#endif
