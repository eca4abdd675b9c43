/* Widths are counted in characters, three spaces stand between columns (as kubectl has it), none at the end of a line.
 */
#include "mgmt-api/ctl/grid.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { GAP = 3 };

static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

void grid_init(struct grid *g, size_t columns)
{
	CHECK(columns > 0 && columns <= GRID_COLUMNS_MAX);
	*g = (struct grid){.columns = columns};
}

void grid_add(struct grid *g, const char *text)
{
	if (g->cells_n == g->space) {
		g->space = g->space == 0 ? 256 : g->space * 2;
		g->cells = realloc(g->cells, g->space * sizeof(*g->cells));
		CHECK(g->cells != NULL);
	}
	g->cells[g->cells_n] = strdup(text == NULL ? "" : text);
	CHECK(g->cells[g->cells_n] != NULL);
	/* A line is a row: what would break it does not. */
	for (char *p = g->cells[g->cells_n]; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	g->cells_n++;
}

void grid_print(const struct grid *g, FILE *out)
{
	size_t widths[GRID_COLUMNS_MAX] = {0};

	CHECK(g->cells_n % g->columns == 0);
	for (size_t i = 0; i < g->cells_n; i++)
		if (width_of(g->cells[i]) > widths[i % g->columns])
			widths[i % g->columns] = width_of(g->cells[i]);
	for (size_t row = 0; row < g->cells_n; row += g->columns) {
		size_t last = g->columns, owed = 0;

		while (last > 0 && g->cells[row + last - 1][0] == '\0')
			last--;
		for (size_t i = 0; i < last; i++) {
			size_t fill = widths[i] - width_of(g->cells[row + i]);

			fprintf(out, "%*s%s", (int)(owed + (g->right[i] ? fill : 0)), "", g->cells[row + i]);
			owed = GAP + (g->right[i] ? 0 : fill);
		}
		fputc('\n', out);
	}
}

void grid_fini(struct grid *g)
{
	for (size_t i = 0; i < g->cells_n; i++)
		free(g->cells[i]);
	free(g->cells);
	*g = (struct grid){0};
}
