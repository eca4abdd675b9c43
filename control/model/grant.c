/*
 * ReferenceGrants: each pair of a `from` and a `to` is one key in a set, so that asking costs two lookups however many
 * grants there are.
 */
#include "control/model/build.h"

static struct name_key key_of(const char *from_group, const char *from_kind, const char *from_namespace,
                              const char *to_group, const char *to_kind, const char *to_namespace, const char *to_name)
{
	struct name_key k;
	const char *const texts[] = {from_group, from_kind, from_namespace, to_group, to_kind, to_namespace, to_name};

	name_key_clear(&k);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		name_key_add(&k, texts[i]);
	return k;
}

static void add_grant(struct build *b, const struct object *o)
{
	yyjson_val *spec = doc_get(o->root, "spec"), *from, *to;
	size_t i, k, from_n, to_n;

	yyjson_arr_foreach(doc_get(spec, "from"), i, from_n, from) {
		yyjson_arr_foreach(doc_get(spec, "to"), k, to_n, to) {
			/* No name: all of them. No object has an empty name, so that is the key. */
			const struct name_key key = key_of(doc_str(from, "group"), doc_str(from, "kind"),
			                                   doc_str(from, "namespace"), doc_str(to, "group"),
			                                   doc_str(to, "kind"), o->namespace, doc_str(to, "name"));

			*names_slot(b->grants, key.bytes, key.len) = (void *)(uintptr_t)o;
		}
	}
}

void build_grants(struct build *b)
{
	size_t n;
	const struct object *const *all = snapshot_list(b->snapshot, "ReferenceGrant", &n);

	b->grants = names_new(b->region);
	for (size_t i = 0; i < n; i++)
		add_grant(b, all[i]);
}

bool grant_allows(const struct build *b, const char *from_group, const char *from_kind, const char *from_namespace,
                  const char *to_group, const char *to_kind, const char *to_namespace, const char *to_name)
{
	const char *const names[] = {to_name, ""};

	for (size_t i = 0; i < 2; i++) {
		const struct name_key key =
			key_of(from_group, from_kind, from_namespace, to_group, to_kind, to_namespace, names[i]);

		if (names_find(b->grants, key.bytes, key.len) != NULL)
			return true;
	}
	return false;
}
