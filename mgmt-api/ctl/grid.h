/* Columns that line up: cells are added row by row, widths are known when all are there. */
#ifndef MGMT_API_CTL_GRID_H
#define MGMT_API_CTL_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { GRID_COLUMNS_MAX = 32 };

struct grid {
	char **cells;           /* row by row */
	size_t cells_n;
	size_t space;
	size_t columns;         /* at most GRID_COLUMNS_MAX */
	bool right[GRID_COLUMNS_MAX];   /* numbers */
};

void grid_init(struct grid *g, size_t columns);
void grid_add(struct grid *g, const char *text);        /* null: an empty cell */
void grid_print(const struct grid *g, FILE *out);
void grid_fini(struct grid *g);

#endif
