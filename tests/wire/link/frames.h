/*
 * Frames as text and back, from RFC 826, 791, 792, 8200, 4443 and 4861 without a look at the stack under test. What the
 * words mean is in ../README.md.
 */
#ifndef TESTS_WIRE_LINK_FRAMES_H
#define TESTS_WIRE_LINK_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_MAX = 2048, FRAME_TEXT_MAX = 400 };

#define OUR_MAC   "02:00:00:00:00:01"
#define THEIR_MAC "02:00:00:00:01:02"

struct frame {
	uint8_t b[FRAME_MAX];
	size_t n;
};

/* Null, or what is wrong with the words. */
const char *frame_of_words(struct frame *f, char *const *word, unsigned words);

/* As a line would be written that expects it. What no host may send is told in words that no line has. */
void frame_print(const struct frame *f, char text[static FRAME_TEXT_MAX]);

#endif
