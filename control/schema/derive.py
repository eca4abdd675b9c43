#!/usr/bin/env python3
"""Derives schema files from CustomResourceDefinitions.

    derive.py [--check] DIRECTORY CRD.yaml... [--experimental CRD.yaml...]

Of the Gateway API they are gatewayclasses, gateways, httproutes and referencegrants of the standard channel, and those
of the experimental channel that EXPERIMENTAL names fields of; of Envoy Gateway backends and httproutefilters. All at
once, since they share types. --check writes nothing, says what would change, and fails if anything would.

Names, types, limits, defaults, list types and printer columns are facts of the API that we must agree with, so they
are taken by script: run it again when the API moves on, and read the difference. Descriptions are ours: those in the
files of DIRECTORY are kept, by the field's path. Rules across fields are not taken: they are written by hand, in
admit/rules.c.

Structures and scalars that appear in several places become named types (TYPES below): gateway.types.schema has what
several kinds share, the kind's own file the rest.
"""
import argparse
import difflib
import json
import os
import re
import sys

import yaml

# Structures, by the first place where they are seen; found again wherever the same shape appears.
TYPES = [
    ("HTTPRoute.spec.parentRefs[]", "ParentReference"),
    ("HTTPRoute.spec.rules[].backendRefs[].filters[]", "HTTPRouteFilter"),
    ("HTTPRoute.spec.rules[].backendRefs[].filters[].requestHeaderModifier", "HTTPHeaderFilter"),
    ("HTTPRoute.spec.rules[].backendRefs[].filters[].requestHeaderModifier.add[]", "HTTPHeader"),
    ("HTTPRoute.spec.rules[].backendRefs[].filters[].requestRedirect.path", "HTTPPathModifier"),
    ("HTTPRoute.spec.rules[].backendRefs[].filters[].requestMirror.backendRef", "BackendObjectReference"),
    ("HTTPRoute.spec.rules[].backendRefs[].filters[].extensionRef", "LocalObjectReference"),
    ("HTTPRoute.status.parents[]", "RouteParentStatus"),
    ("Gateway.spec.listeners[].tls.certificateRefs[]", "SecretObjectReference"),
    ("Gateway.spec.tls.frontend.default", "TLSConfig"),
    ("Gateway.spec.tls.frontend.default.validation.caCertificateRefs[]", "ObjectReference"),
    ("Gateway.spec.listeners[].allowedRoutes.kinds[]", "RouteGroupKind"),
    ("Gateway.status.conditions[]", "Condition"),
    ("Gateway.spec.allowedListeners.namespaces.selector", "LabelSelector"),
    ("HTTPRoute.spec.hostnames[]", "Hostname"),
    ("HTTPRoute.spec.parentRefs[].group", "Group"),
    ("HTTPRoute.spec.parentRefs[].kind", "Kind"),
    ("HTTPRoute.spec.parentRefs[].namespace", "NamespaceName"),
    ("HTTPRoute.spec.parentRefs[].name", "ObjectName"),
    ("HTTPRoute.spec.parentRefs[].port", "PortNumber"),
    ("HTTPRoute.spec.parentRefs[].sectionName", "DNSName"),
    ("HTTPRoute.spec.rules[].timeouts.request", "Duration"),
    ("HTTPRoute.spec.rules[].retry.codes[]", "HTTPRouteRetryStatusCode"),
    ("HTTPRoute.spec.rules[].matches[].headers[].name", "HTTPHeaderName"),
    ("HTTPRoute.spec.rules[].backendRefs[].filters[].cors.allowOrigins[]", "CORSOrigin"),
    ("GatewayClass.spec.controllerName", "GatewayController"),
    ("Gateway.status.conditions[].lastTransitionTime", "Time"),
    ("Gateway.spec.addresses[].type", "AddressType"),
    ("Gateway.spec.infrastructure.annotations{}", "AnnotationValue"),
    ("Gateway.spec.infrastructure.labels{}", "LabelValue"),
    ("HTTPRoute.spec.rules[].backendRefs[].filters[].cors.allowMethods[]", "HTTPMethodWithWildcard"),
    ("Backend.spec.appProtocols[]", "BackendAppProtocol"),
    ("Backend.spec.tls.fingerprints[]", "TLSFingerprint"),
]
# What is taken of the experimental channel: fields that the standard one does not have.
EXPERIMENTAL = ["HTTPRoute.spec.rules[].retry", "HTTPRoute.spec.rules[].sessionPersistence"]
OURS = {"Condition", "LabelSelector", "PortNumber", "Time"}     # types.schema has them, by hand
SHARED = "gateway.types.schema"
ABOUT = {
    "GatewayClass": "A class of Gateways: which controller serves them.",
    "Gateway": "Addresses and listeners where traffic comes in.",
    "HTTPRoute": "Which HTTP requests of a Gateway go to which backends, and what happens to them on the way.",
    "ReferenceGrant": "Lets objects of other namespaces refer to objects of this one.",
    "Backend": "A destination outside of Services, by address or name.",
    "HTTPRouteFilter": "A filter of HTTPRoutes beyond those of the Gateway API: fixed answers, other rewrites.",
}


def shape(s):
    """What the schema means, without words: equal shapes are the same type."""
    drop = {"description", "x-kubernetes-validations", "default"}
    if "properties" in s:
        return json.dumps({"o": {k: (shape(v), v.get("default"), k in s.get("required", []))
                                 for k, v in s["properties"].items()},
                           "a": s.get("x-kubernetes-map-type")}, sort_keys=True)
    rest = {k: v for k, v in s.items() if k not in drop and k not in ("items", "additionalProperties")}
    for k in ("items", "additionalProperties"):
        if k in s:
            rest[k] = shape(s[k])
    return json.dumps(rest, sort_keys=True)


def walk(s, path):
    yield path, s
    for name, child in s.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    if "items" in s:
        yield from walk(s["items"], path + "[]")
    if isinstance(s.get("additionalProperties"), dict):
        yield from walk(s["additionalProperties"], path + "{}")


def stored(crd):
    return next(v for v in crd["spec"]["versions"] if v["storage"])


def add_experimental(crds, experimental):
    """Puts the fields of EXPERIMENTAL where they belong, in the order of the names."""
    def schemas(of):
        return {p: s for crd in of for p, s in walk(stored(crd)["schema"]["openAPIV3Schema"],
                                                    crd["spec"]["names"]["kind"])}
    standard, other = schemas(crds), schemas(experimental)
    kinds = {crd["spec"]["names"]["kind"] for crd in crds}
    for path in (p for p in EXPERIMENTAL if p.split(".")[0] in kinds):
        if path not in other:
            sys.exit(f"{path} is in no file after --experimental")
        if path in standard:
            sys.exit(f"{path} is in the standard channel now: take it out of EXPERIMENTAL")
        parent, _, name = path.rpartition(".")
        properties = standard[parent]["properties"]
        properties[name] = other[path]
        standard[parent]["properties"] = dict(sorted(properties.items()))


class Deriver:
    def __init__(self, directory):
        self.directory = directory
        self.files = {}         # name -> text
        self.named = {}         # shape -> type name
        self.definition = {}    # type name -> schema
        self.users = {}         # type name -> kinds
        self.words = {}         # kind or type + path -> description

    def read_words(self):
        for file in sorted(os.listdir(self.directory)):
            if not file.endswith(".schema"):
                continue
            stack, kind = [], None
            for line in open(os.path.join(self.directory, file), encoding="utf-8"):
                depth = len(line) - len(line.lstrip("\t"))
                text = line.strip()
                if text.startswith("kind "):
                    kind = text[5:]
                head, found, words = text.partition(" # ")
                name = head.partition(":")[0]
                if not name or name.startswith("#") or ":" not in head:
                    continue
                del stack[depth:]
                stack.append(name)
                if found:
                    root = "" if stack[0].startswith("type ") else f"{kind}."
                    self.words[root + ".".join(stack)] = words.strip()

    def learn(self, crds):
        roots = {crd["spec"]["names"]["kind"]: stored(crd)["schema"]["openAPIV3Schema"] for crd in crds}
        everything = {p: s for kind, root in roots.items() for p, s in walk(root, kind)}
        self.everything = list(everything.items())
        for path, name in TYPES:
            if path in everything:
                self.named.setdefault(shape(everything[path]), name)
                self.definition.setdefault(name, everything[path])

    def use(self, s, kind, own):
        name = self.named.get(shape(s))
        if name and name != own:
            if kind not in self.users.setdefault(name, set()):
                self.users[name].add(kind)
                for _, child in walk(self.definition[name], ""):
                    self.use(child, kind, name)
            return name
        return None

    def bounds(self, s):
        out = []
        for key, word in (("minLength", "min"), ("maxLength", "max"), ("minItems", "min"), ("maxItems", "max"),
                          ("minProperties", "min"), ("maxProperties", "max"), ("minimum", "min"), ("maximum", "max")):
            if key in s:
                out.append(f"{word}={int(s[key])}")
        if "format" in s:
            out.append(f"format={s['format']}")
        if "pattern" in s:
            assert not re.search(r"\s", s["pattern"])
            out.append(f"pattern={s['pattern']}")
        if "enum" in s:
            out.append("enum=" + "|".join(str(v) for v in s["enum"]))
        return out

    def phrase(self, s, kind, own=None):
        """(words after the colon, the schema whose fields follow or null)"""
        name = self.use(s, kind, own)
        if name:
            return [name], None
        if s.get("x-kubernetes-int-or-string"):
            return ["int-or-string"], None
        if s.get("x-kubernetes-preserve-unknown-fields") and "properties" not in s:
            return ["any"], None
        if s["type"] == "array":
            words, child = self.phrase(s["items"], kind, own)
            head = "list of"
            if s.get("x-kubernetes-list-type") == "set":
                head = "set of"
            if s.get("x-kubernetes-list-type") == "map":
                head = "list by " + ",".join(s["x-kubernetes-list-map-keys"]) + " of"
            return self.wrap(head, words, child, s, kind, own)
        if s["type"] == "object" and "additionalProperties" in s:
            words, child = self.phrase(s["additionalProperties"], kind, own)
            return self.wrap("map of", words, child, s, kind, own)
        if s["type"] == "object":
            atomic = ["atomic"] if s.get("x-kubernetes-map-type") == "atomic" else []
            if "properties" not in s:
                return ["any"], None
            return ["object"] + atomic + self.bounds(s), s
        return [s["type"]] + self.bounds(s), None

    def wrap(self, head, words, child, s, kind, own):
        # The words of a list bound the list: an item with bounds of its own needs a name.
        if len(words) > 1 and words[0] != "object" and " of" not in words[0]:
            item = shape(s.get("items") or s["additionalProperties"])
            sys.exit("give this a name in TYPES: " + next(p for p, c in self.everything if shape(c) == item))
        return [head] + words[:1] + [w for w in words[1:] if w == "atomic"] + self.bounds(s), child

    def lines(self, s, path, kind, depth, own=None):
        out = []
        for name, child in s.get("properties", {}).items():
            if depth == 0 and own is None and name in ("apiVersion", "kind", "metadata"):
                continue
            words, below = self.phrase(child, kind, own)
            if name in s.get("required", []):
                words.append("required")
            if "default" in child:
                words.append("default=" + json.dumps(child["default"], separators=(",", ":")).replace(" ", r"\u0020"))
            place = f"{path}.{name}"
            out.append(self.line("\t" * depth + f"{name}: {' '.join(words)}", place))
            if below is not None:
                out += self.lines(below, place, kind, depth + 1, own)
        return out

    def line(self, text, place):
        words = self.words.get(place)
        if not words:
            return text
        width = len(text.expandtabs(8))
        return text + " " * max(1, 60 - width) + "# " + words

    def type_lines(self, name):
        s = self.definition[name]
        words, below = self.phrase(s, "", own=name)
        out = [self.line(f"type {name}: {' '.join(words)}", f"type {name}")]
        if below is not None:
            out += self.lines(below, f"type {name}", "", 1, own=name)
        return out

    def kind_file(self, crd):
        names, version = crd["spec"]["names"], stored(crd)
        kind = names["kind"]
        served = [v for v in crd["spec"]["versions"] if v["served"]]
        root = version["schema"]["openAPIV3Schema"]
        source = crd["metadata"]["annotations"].get("gateway.networking.k8s.io/bundle-version", "v1.9.0")
        out = [f"# Made by derive.py from version {source} of the API; descriptions are ours.",
               f"kind {kind}", f"group {crd['spec']['group']}",
               "versions " + " ".join(v["name"] + ("*" if v["storage"] else "") for v in served),
               f"names {names['plural']} {names['singular']} {' '.join(names.get('shortNames', []))}".rstrip(),
               f"scope {crd['spec']['scope']}"]
        if names.get("categories"):
            out.append("categories " + " ".join(names["categories"]))
        if "status" in version.get("subresources", {}):
            out.append("status")
        for c in version.get("additionalPrinterColumns", []):
            out.append(f"column {c['name']} {c['type']} {c['jsonPath']}" + (" wide" if c.get("priority") else ""))
        out += [f"about {ABOUT[kind]}", ""]
        return out + self.lines(root, kind, kind, 0)

    def derive(self, crds):
        made = {crd["spec"]["names"]["kind"]: self.kind_file(crd) for crd in crds}
        shared = ["# Types that kinds of the gateway share. Made by derive.py; descriptions are ours.", ""]
        done = set(OURS)
        again = True
        while again:            # a type's lines may use further types
            again = False
            for name in sorted(self.users):
                if name in done:
                    continue
                done.add(name)
                again = True
                shared += self.type_lines(name) + [""]
        for kind, lines in made.items():
            self.files[kind.lower() + ".schema"] = "\n".join(lines) + "\n"
        self.files[SHARED] = "\n".join(shared[:-1]) + "\n"

    def write(self):
        for name, text in self.files.items():
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as f:
                f.write(text)

    def differences(self):
        for name, text in self.files.items():
            path = os.path.join(self.directory, name)
            with open(path, encoding="utf-8") as f:
                yield from difflib.unified_diff(f.read().splitlines(), text.splitlines(), path, "derived",
                                                lineterm="")


def load(paths):
    return [yaml.safe_load(open(p, encoding="utf-8")) for p in paths]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--experimental", nargs="*", default=[])
    parser.add_argument("directory")
    parser.add_argument("crds", nargs="+")
    args = parser.parse_args()
    crds = load(args.crds)
    add_experimental(crds, load(args.experimental))
    deriver = Deriver(args.directory)
    deriver.read_words()
    deriver.learn(crds)
    deriver.derive(crds)
    if not args.check:
        deriver.write()
        return 0
    differences = list(deriver.differences())
    print("\n".join(differences) or f"{len(deriver.files)} files are what is derived")
    return 1 if differences else 0


sys.exit(main())
