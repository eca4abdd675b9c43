/* Names, texts and classes of errors, all from errors.def. Names are printed in lower case: "conn_reset". */
#include "base/err.h"

#include <pthread.h>

enum { NAME_MAX_BYTES = 32 };

static const struct {
	const char *name;
	const char *text;
	enum err_class class;
} descriptions[ERR_COUNT] = {
	[OK] = {"OK", "no error", ERR_CLASS_NONE},
#define ERR(name, class, text) [ERR_##name] = {#name, text, ERR_CLASS_##class},
#include "base/errors.def"
#undef ERR
};

static char lower_names[ERR_COUNT][NAME_MAX_BYTES];

static void lower(void)
{
	for (unsigned e = 0; e < ERR_COUNT; e++)
		for (unsigned i = 0; i < NAME_MAX_BYTES - 1 && descriptions[e].name[i]; i++) {
			char c = descriptions[e].name[i];
			lower_names[e][i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		}
}

const char *err_name(enum err e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, lower);
	return (unsigned)e < ERR_COUNT ? lower_names[e] : "unknown";
}

const char *err_text(enum err e)
{
	return (unsigned)e < ERR_COUNT ? descriptions[e].text : "unknown error";
}

enum err_class err_class(enum err e)
{
	return (unsigned)e < ERR_COUNT ? descriptions[e].class : ERR_CLASS_BUG;
}
