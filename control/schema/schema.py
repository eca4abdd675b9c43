#!/usr/bin/env python3
"""Makes the constant tables of schema/kind.h from *.schema: schema.py FILE... > kinds.c

A schema file is lines; a tree is made by tabs; ` # ` starts our one-line description of the field.

    kind NAME                   the head: one keyword per line
    group GROUP                 empty is the core group
    versions v1* v1beta1        served versions; the stored one has the star
    names PLURAL SINGULAR SHORT...
    scope Namespaced|Cluster
    categories NAME...
    status                      status is a subresource
    column NAME TYPE PATH [wide]
    about DESCRIPTION

    type NAME: SHAPE ...        a shape with a name, for several users

    FIELD: SHAPE [required] [default=JSON] [min=N] [max=N] [pattern=RE2] [enum=A|B] [format=F]  # description
            child fields, one tab deeper, when the shape is an object (or a list or map of object)

SHAPE is object, any, string, integer, boolean, int-or-string, a type's name, `list of SHAPE`, `set of SHAPE`,
`list by KEY,KEY of SHAPE` (server-side apply merges by the keys) or `map of SHAPE`; `atomic` after object is one
value for server-side apply. min and max count characters, items or members, or bound the number.
The words before a type's name in a list bound the list; the type bounds the item.

Types are looked for in the file, then in the files that define no kind. A type that nobody uses is an error, as are
an unknown word and a name given twice.
"""
import json
import sys

SHAPES = {"object": "OBJECT", "any": "ANY", "string": "STRING", "integer": "INTEGER", "boolean": "BOOLEAN",
          "int-or-string": "INT_OR_STRING"}


class Mistake(Exception):
    pass


class Node:
    """A shape at one place, or the head of a named type."""

    def __init__(self, text, where):
        self.where = where
        self.fields = []
        self.required = False
        self.default = self.description = None
        self.attributes = {}
        text, _, description = text.partition(" # ")
        self.description = description.strip() or None
        self.name, _, rest = text.partition(":")
        self.kind_of_list = None
        self.keys = []
        words = rest.split()
        self.outer = []                 # list/map wrappers, outermost first: (what, keys)
        while len(words) > 1 and (words[1] == "of" or words[:2] == ["list", "by"]):
            if words[1] == "of":
                self.outer.append((words[0], []))
                words = words[2:]
            else:
                self.outer.append(("list by", words[2].split(",")))
                words = words[4:]
        if not words:
            raise Mistake(f"{where}: no shape")
        self.shape = words.pop(0)
        self.atomic = False
        for word in words:
            key, equals, value = word.partition("=")
            if word == "required":
                self.required = True
            elif word == "atomic":
                self.atomic = True
            elif key == "default" and equals:
                json.loads(value)
                self.default = value
            elif key in ("min", "max", "pattern", "enum", "format") and equals:
                self.attributes[key] = value
            else:
                raise Mistake(f"{where}: unknown word {word!r}")


class File:
    def __init__(self, path):
        self.path = path
        self.head = {"columns": [], "categories": "", "about": "", "status": False}
        self.roots, self.types = [], {}
        stack = []
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            line = line.rstrip()
            where = f"{path}:{number}"
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            depth = len(line) - len(line.lstrip("\t"))
            word, _, rest = line.strip().partition(" ")
            if depth == 0 and word in ("kind", "group", "versions", "names", "scope", "categories", "about"):
                self.head[word] = rest
            elif line == "status":
                self.head["status"] = True
            elif depth == 0 and word == "column":
                self.head["columns"].append(rest.split())
            else:
                is_type = depth == 0 and word == "type"
                node = Node(rest if is_type else line.strip(), where)
                del stack[depth:]
                if depth > len(stack):
                    raise Mistake(f"{where}: too deep")
                if depth:
                    siblings = stack[-1].fields
                    if any(s.name == node.name for s in siblings):
                        raise Mistake(f"{where}: {node.name} is given twice")
                    siblings.append(node)
                elif is_type:
                    if node.name in self.types:
                        raise Mistake(f"{where}: type {node.name} is given twice")
                    self.types[node.name] = node
                else:
                    self.roots.append(node)
                stack.append(node)


def quote(text):
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("??", "?\\?") + '"'


class Writer:
    """Emits one C object per shape, children before parents; named types once."""

    def __init__(self, shared):
        self.lines = []
        self.named = {}
        self.shared = shared
        self.used = set()
        self.count = 0
        self.words = {}

    def new(self, prefix):
        self.count += 1
        return f"{prefix}_{self.count}"

    def words_list(self, items):
        key = tuple(items)
        if key not in self.words:
            name = self.words[key] = self.new("words")
            self.lines.append(f"static const char *const {name}[] = {{{''.join(quote(i) + ', ' for i in items)}NULL}};")
        return self.words[key]

    def type_of(self, name, file, where):
        for scope in (file.types, self.shared):
            if name in scope:
                key = (id(scope[name]))
                self.used.add(key)
                if key not in self.named:
                    self.named[key] = None
                    self.named[key] = self.schema(scope[name], file, type_name=name)
                if self.named[key] is None:
                    raise Mistake(f"{where}: type {name} contains itself")
                return self.named[key]
        raise Mistake(f"{where}: no type {name}")

    def emit(self, shape, node, bounds, *, type_name=None, list_type="ATOMIC", keys=(), fields="NULL", item="NULL"):
        name = self.new("schema")
        a = node.attributes if bounds else {}
        text = "" if type_name is None else \
            f"\t.type_name = {quote(type_name)}, .description = {quote(node.description or '')},\n"
        extra = ""
        if a.get("format"):
            extra += f" .format = {quote(a['format'])},"
        if a.get("pattern"):
            extra += f" .pattern = {quote(a['pattern'])},"
        if a.get("enum"):
            extra += f" .values = {self.words_list(a['enum'].split('|'))},"
        if keys:
            extra += f" .keys = {self.words_list(keys)},"
        if node.atomic and shape == "OBJECT":
            extra += " .atomic = true,"
        low, high = a.get("min", "INT64_MIN"), a.get("max", "INT64_MAX")
        self.lines.append(f"static const struct schema {name} = {{\n{text}\t.shape = SHAPE_{shape}, "
                          f".list_type = LIST_{list_type}, .min = {low}, .max = {high},\n"
                          f"\t.fields = {fields}, .item = {item},{extra}\n}};")
        return name

    def innermost(self, node, file, bounds, type_name):
        if node.shape not in SHAPES:
            if node.fields or (bounds and node.attributes) or type_name:
                raise Mistake(f"{node.where}: {node.shape} is a type, its bounds and fields belong there")
            return "&" + self.type_of(node.shape, file, node.where)
        fields = "NULL"
        if node.shape == "object":
            fields = self.fields(node.fields, file)
        elif node.fields:
            raise Mistake(f"{node.where}: {node.shape} has no fields")
        return "&" + self.emit(SHAPES[node.shape], node, bounds, type_name=type_name, fields=fields)

    def schema(self, node, file, type_name=None):
        """The name of the C object. Bounds belong to the outermost wrapper, or to the shape itself."""
        inner = self.innermost(node, file, not node.outer, None if node.outer else type_name)
        for depth, (what, keys) in reversed(list(enumerate(node.outer))):
            shape = "MAP" if what == "map" else "LIST"
            list_type = {"set": "SET", "list by": "MAP"}.get(what, "ATOMIC")
            if what not in ("map", "set", "list", "list by"):
                raise Mistake(f"{node.where}: {what} of what?")
            inner = "&" + self.emit(shape, node, depth == 0, list_type=list_type, keys=keys, item=inner,
                                    type_name=type_name if depth == 0 else None)
        return inner[1:]

    def fields(self, nodes, file):
        rows = []
        for node in nodes:
            schema = self.schema(node, file)
            rows.append(f"\t{{{quote(node.name)}, &{schema}, {'true' if node.required else 'false'}, "
                        f"{quote(node.default)}, {quote(node.description or '')}}},")
        name = self.new("fields")
        self.lines.append(f"static const struct field {name}[] = {{\n" + "\n".join(rows) + "\n\t{0},\n};")
        return name

    def kind(self, file):
        h = file.head
        for need in ("kind", "group", "versions", "names", "scope", "about"):
            if need not in h:
                raise Mistake(f"{file.path}: no `{need}`")
        common = [Node(f"apiVersion: string # Group and version.", file.path),
                  Node(f"kind: string # The kind: {h['kind']}.", file.path),
                  Node(f"metadata: ObjectMeta # Name, labels and what the server notes.", file.path)]
        root = Node("root: object", file.path)
        root.fields = common + file.roots
        root.description = h["about"]
        schema = self.schema(root, file, type_name=h["kind"])
        versions = h["versions"].split()
        stored = [v[:-1] for v in versions if v.endswith("*")]
        if len(stored) != 1:
            raise Mistake(f"{file.path}: one version must be the stored one (v1*)")
        columns = self.new("columns")
        rows = "".join(f"\t{{{quote(c[0])}, {quote(c[1])}, {quote(c[2])}, {1 if 'wide' in c[3:] else 0}}},\n"
                       for c in h["columns"])
        self.lines.append(f"static const struct column {columns}[] = {{\n{rows}\t{{0}},\n}};")
        names = h["names"].split()
        name = self.new("kind")
        self.lines.append(
            f"static const struct kind {name} = {{\n\t.name = {quote(h['kind'])}, .group = {quote(h['group'])},\n"
            f"\t.versions = {self.words_list([v.rstrip('*') for v in versions])}, "
            f".stored_version = {quote(stored[0])},\n"
            f"\t.plural = {quote(names[0])}, .singular = {quote(names[1])}, "
            f".short_names = {self.words_list(names[2:])}, .categories = {self.words_list(h['categories'].split())},\n"
            f"\t.namespaced = {'true' if h['scope'] == 'Namespaced' else 'false'}, "
            f".has_status = {'true' if h['status'] else 'false'},\n"
            f"\t.description = {quote(h['about'])}, .schema = &{schema}, .columns = {columns},\n}};")
        return name


def main(paths):
    files = [File(p) for p in sorted(paths)]
    shared = {}
    for file in files:
        if "kind" not in file.head:
            for name, node in file.types.items():
                if name in shared:
                    raise Mistake(f"{node.where}: type {name} is given twice")
                shared[name] = node
    writer = Writer(shared)
    made = sorted((f.head["kind"], writer.kind(f)) for f in files if "kind" in f.head)
    for node in list(shared.values()) + [n for f in files if "kind" in f.head for n in f.types.values()]:
        if id(node) not in writer.used:
            raise Mistake(f"{node.where}: nobody uses type {node.name}")
    print("/* Made by control/schema/schema.py from the schema files: change those. */\n#include \"control/schema/kind.h\"\n")
    print("\n".join(writer.lines))
    print(f"\nconst struct kind *const kinds[] = {{\n" + "".join(f"\t&{c},\n" for _, c in made) + "\tNULL,\n};")
    print(f"const size_t kinds_count = {len(made)};")


try:
    main(sys.argv[1:])
except Mistake as mistake:
    sys.exit(f"{mistake}")
