/*
 * One of everything: a generation that has every struct of table/layout.h and every filter, for tests of what looks at
 * all of it (the verifier and its fuzz target). The first item of each list is the one that has what can be had.
 */
#ifndef TESTS_TABLE_WHOLE_H
#define TESTS_TABLE_WHOLE_H

#include "tests/support/table_fixture.h"

extern const struct fixture table_whole;

#endif
