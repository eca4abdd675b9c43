/*
 * Poison: in the asan flavour, memory that went back to one of our pools or arenas is made unreadable, so that a
 * use after free is reported just as for malloc. In the release flavour these are nothing.
 */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <stddef.h>

#ifdef SLUICE_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(address, bytes)   __asan_poison_memory_region((address), (bytes))
#define UNPOISON(address, bytes) __asan_unpoison_memory_region((address), (bytes))
#else
#define POISON(address, bytes)   ((void)(address), (void)(bytes))
#define UNPOISON(address, bytes) ((void)(address), (void)(bytes))
#endif

#endif
