/* What a scalar means: the resolution rules of sigs.k8s.io/yaml (see load.h), and their reverse for the emitter. */
#ifndef MGMT_API_YAML_SCALAR_H
#define MGMT_API_YAML_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scalar_type { SCALAR_STRING, SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_UINT, SCALAR_FLOAT, SCALAR_NOT_JSON };

struct scalar {
	enum scalar_type type;
	union {
		bool boolean;
		int64_t integer;    /* SCALAR_INT: negative or small */
		uint64_t natural;   /* SCALAR_UINT: above INT64_MAX */
		double real;
	};
};

/* text is the plain (unquoted) scalar; it need not end with NUL. NOT_JSON: NaN or an infinity. */
struct scalar scalar_resolve(const char *text, size_t bytes);

/* May a string with this text be written without quotes and still be read as that string, by this and by other
 * readers? False also for dates and base 60 numbers, which some of them would take for something else. */
bool scalar_plain(const char *text, size_t bytes);

#endif
