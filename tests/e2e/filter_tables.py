#!/usr/bin/env python3
"""Header modifiers, mirrors, redirects and rewrites by tables: statements 29 to 31, 33, 34 and 37 of the Gateway API's
subtle ones (tests/README.md has the table), row by row as its conformance suite asks. filters.py has how filters act
together and in the log."""
import json
import math
import os

from harness import LAB, Lab, case, expect, expect_equal, main, retry

HERE = os.path.dirname(os.path.realpath(__file__))
GATEWAY = "198.18.0.21"
BASE = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: tables, namespace: default}}
spec:
  gatewayClassName: sluice
  addresses: [{{type: IPAddress, value: {GATEWAY}}}]
  listeners: [{{name: http, protocol: HTTP, port: 80}}, {{name: alt, protocol: HTTP, port: 8080}}]
"""
BACKENDS = {"v1": ("198.18.1.11", 9001), "v2": ("198.18.1.12", 9002), "v3": ("198.18.1.12", 9003)}


def to(name, more=""):
    return f"{{group: gateway.envoyproxy.io, kind: Backend, name: {name}{more}}}"


def modifier(spec, kind="Request"):
    return f"{{type: {kind}HeaderModifier, {kind.lower()}HeaderModifier: {{{spec}}}}}"


def redirect(spec):
    return f"{{type: RequestRedirect, requestRedirect: {{{spec}}}}}"


def rewrite(spec):
    return f"{{type: URLRewrite, urlRewrite: {{{spec}}}}}"


def prefix(text):
    return f"path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{text}'}}"


def full(text):
    return f"path: {{type: ReplaceFullPath, replaceFullPath: '{text}'}}"


def mirror(name, share=""):
    return f"{{type: RequestMirror, requestMirror: {{backendRef: {to(name)}{share}}}}}"


class Environment(Lab):
    """The lab, and three backends, each with a log of what it sees."""

    def __enter__(self):
        super().__enter__()
        text = BASE
        for name, (address, port) in BACKENDS.items():
            log = os.path.join(LAB, name + ".log")
            open(log, "w", encoding="utf-8").close()
            self.spawn("sluice-backend", "python3", os.path.join(HERE, "echo_backend.py"), name, address, str(port), log)
            text += f"""---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: {name}, namespace: default}}
spec: {{endpoints: [{{ip: {{address: {address}, port: {port}}}}}]}}
"""
        self.apply(text)
        return self

    def route(self, *rules):
        """rules: (prefix, filters, backends); they replace those of the case before."""
        listed = ", ".join(f"{{matches: [{{path: {{value: {path}}}}}], filters: [{', '.join(filters)}], backendRefs: [{backends}]}}"
                           for path, filters, backends in (*rules, (f"/round/{len(rules)}/{hash(rules)}", (redirect(""),), "")))
        self.apply(f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: tables, namespace: default}}
spec: {{parentRefs: [{{name: tables}}], rules: [{listed}]}}
""")
        retry(5, lambda: self.ask(f"/round/{len(rules)}/{hash(rules)}")[0] == 302, "the rules")

    def ask(self, target, *arguments, host="example.org", port=80):
        """Status, the response's fields, and what the backend saw (null: nothing), with lower-case names."""
        out = self.curl("--path-as-is", "-D", "-", "-o", "/dev/null", "-H", f"Host: {host}", *arguments,
                        f"http://{GATEWAY}:{port}{target}").replace("\r", "").strip().split("\n")
        fields = {}
        for line in out[1:]:
            name, _, value = line.partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        seen = json.loads(fields["x-seen"][0]) if "x-seen" in fields else None
        if seen:
            seen["headers"] = [(name.lower(), value) for name, value in seen["headers"]]
        return int(out[0].split()[1]), fields, seen

    def sent(self, target, *arguments, **more):
        """The request line's target and the header fields that the backend saw, values of one name joined by commas."""
        status, _, seen = self.ask(target, *arguments, **more)
        expect_equal(status, 200, target)
        fields = {}
        for name, value in seen["headers"]:
            fields[name] = f"{fields[name]},{value}" if name in fields else value
        return seen["target"], fields

    def copies(self, name, marker):
        with open(os.path.join(LAB, name + ".log"), encoding="utf-8") as f:
            return [entry for entry in map(json.loads, f) if marker in entry["target"]]


# ---- 29: header modifiers ----

MODIFIERS = (
    ("set", "set: [{name: X-Header-Set, value: new}]", {}, {"x-header-set": "new"}),
    ("set-over", "set: [{name: X-Header-Set, value: new}]", {"x-header-set": "old", "other": "1"},
     {"x-header-set": "new", "other": "1"}),
    ("add", "add: [{name: X-Header-Add, value: more}]", {}, {"x-header-add": "more"}),
    ("add-to", "add: [{name: X-Header-Add, value: more}]", {"x-header-add": "first"}, {"x-header-add": "first,more"}),
    ("remove", "remove: [X-Header-Remove]", {"x-header-remove": "1", "other": "1"}, {"x-header-remove": None, "other": "1"}),
    ("several", "set: [{name: X-Set-1, value: a}, {name: X-Set-2, value: b}], add: [{name: X-Add-1, value: c}, "
     "{name: X-Add-2, value: d}, {name: X-Add-3, value: e}], remove: [X-Gone-1, X-Gone-2]",
     {"x-set-1": "0", "x-set-2": "0", "x-add-1": "0", "x-add-2": "0", "x-gone-1": "0", "x-gone-2": "0", "other": "1"},
     {"x-set-1": "a", "x-set-2": "b", "x-add-1": "0,c", "x-add-2": "0,d", "x-add-3": "e", "x-gone-1": None, "x-gone-2": None,
      "other": "1"}),
    ("case", "set: [{name: x-header-set, value: new}], add: [{name: x-lowercase-add, value: a}, {name: x-Mixedcase-ADD-1, value: b}, "
     "{name: X-UPPERCASE-ADD, value: c}], remove: [x-lowercase-remove, X-UPPERCASE-REMOVE]",
     {"X-Header-Set": "old", "X-Lowercase-Add": "0", "x-mixedcase-add-1": "0", "x-uppercase-add": "0", "X-Lowercase-Remove": "1",
      "x-uppercase-remove": "1"},
     {"x-header-set": "new", "x-lowercase-add": "0,a", "x-mixedcase-add-1": "0,b", "x-uppercase-add": "0,c",
      "x-lowercase-remove": None, "x-uppercase-remove": None}),
    ("host", "set: [{name: Host, value: inner.example}]", {}, {"host": "inner.example"}),
)


@case
def s29_request_headers(lab):
    lab.route(*((f"/{name}", (modifier(spec),), to("v1")) for name, spec, _, _ in MODIFIERS))
    for name, _, given, want in MODIFIERS:
        arguments = [word for field, value in given.items() for word in ("-H", f"{field}: {value}")]
        _, fields = lab.sent(f"/{name}", *arguments)
        expect_equal({field: fields.get(field) for field in want}, want, name)


@case
def s29_response_headers(lab):
    """The same on the way out, on names of the backend's response: x-backend, content-type, content-length."""
    spec = ("set: [{name: X-Backend, value: hidden}, {name: x-new, value: '1'}], add: [{name: Content-Type, value: more}, "
            "{name: X-ADD, value: a}], remove: [X-SEEN]")
    lab.route(("/out", (modifier(spec, "Response"),), to("v1")))
    status, fields, seen = lab.ask("/out")
    expect_equal((status, seen), (200, None), "status, x-seen")
    expect_equal({name: fields.get(name) for name in ("x-backend", "x-new", "content-type", "x-add", "content-length")},
                 {"x-backend": ["hidden"], "x-new": ["1"], "content-type": ["application/octet-stream", "more"], "x-add": ["a"],
                  "content-length": ["0"]}, "fields")


@case
def s29_filters_of_backends(lab):
    """Each runs for its own backend alone, after those of the rule."""
    of = lambda name: f", filters: [{modifier(f'set: [{{name: x-to, value: {name}}}], add: [{{name: x-order, value: backend}}]')}, " \
                      f"{modifier(f'add: [{{name: x-from, value: {name}}}]', 'Response')}]"
    lab.route(("/weighted", (modifier("add: [{name: x-order, value: rule}]"),), to("v1", of("v1")) + ", " + to("v2", of("v2"))),
              ("/rewritten", (rewrite("hostname: rule.example"),), to("v1", f", filters: [{rewrite('hostname: backend.example')}]")),
              ("/mirrored", (), to("v1", f", filters: [{mirror('v3')}]") + ", " + to("v2")))
    met = set()
    for _ in range(40):
        _, fields, seen = lab.ask("/weighted")
        who = fields["x-backend"][0]
        headers = [(name, value) for name, value in seen["headers"] if name in ("x-to", "x-order")]
        expect_equal(sorted(headers), [("x-order", "backend"), ("x-order", "rule"), ("x-to", who)], "headers")
        expect_equal([value for name, value in headers if name == "x-order"], ["rule", "backend"], "order")
        expect_equal(fields["x-from"], [who], "of the response")
        met.add(who)
    expect_equal(met, {"v1", "v2"}, "backends")
    expect_equal(lab.sent("/rewritten")[1]["host"], "backend.example", "the backend's is the last")
    who = [lab.ask("/mirrored/of-one")[1]["x-backend"][0] for _ in range(30)]
    retry(5, lambda: len(lab.copies("v3", "/mirrored/of-one")) == who.count("v1"), "a copy of what goes to v1")
    expect(0 < who.count("v1") < 30, str(who))


# ---- 30: mirrors ----

@case
def s30_several_mirrors(lab):
    lab.route(("/both", (mirror("v2"), modifier("set: [{name: x-late, value: '1'}]"), mirror("v3")), to("v1")))
    for n in range(20):
        status, fields, _ = lab.ask(f"/both/{n}", "-d", "body")
        expect_equal((status, fields["x-backend"]), (200, ["v1"]), "answer")
    for name in ("v2", "v3"):
        retry(5, lambda name=name: len(lab.copies(name, "/both/")) == 20, f"20 copies at {name}")
    late = [any(n.lower() == "x-late" for n, _ in lab.copies(name, "/both/0")[0]["headers"]) for name in ("v2", "v3")]
    expect_equal(late, [False, True], "what stands before a mirror is in its copy")


@case
def s30_shares(lab):
    """Each request is drawn by itself, for each mirror; bands of four standard deviations. The next hundred are sent when all
    copies have ended: more than limit_callouts at a time are not made."""
    shares = (("percent: 20", 0.2), ("percent: 0", 0), ("percent: 100", 1), ("fraction: {numerator: 1, denominator: 2}", 0.5),
              ("fraction: {numerator: 35}", 0.35))
    lab.route(*((f"/share{i}", (mirror("v2", f", {share}"), mirror("v3", ", percent: 50")), to("v1"))
                for i, (share, _) in enumerate(shares)))
    notes, n = [], 500
    for i, (share, p) in enumerate(shares):
        for begin in range(1, n, 100):
            lab.curl("--parallel", "--parallel-max", "8", "-o", "/dev/null", f"http://{GATEWAY}/share{i}/?[{begin}-{begin + 99}]")
            retry(5, lambda: (s := lab.stats())["callouts_opened"] == s["callouts_closed"], "all copies ended")
        first = {entry["target"] for entry in lab.copies("v2", f"/share{i}/")}
        second = {entry["target"] for entry in lab.copies("v3", f"/share{i}/")}
        for got, want in ((len(first), p), (len(second), 0.5), (len(first & second), p / 2)):
            expect(abs(got - n * want) <= 4 * math.sqrt(n * want * (1 - want)), f"{share}: {got} of {n}, not {want}")
        notes.append(f"{share}: {len(first)}")
    expect_equal(lab.stats()["limit_callouts"], 0, "copies that were too many at a time")
    return "; ".join(notes)


@case
def s30_mirrors_that_fail_are_not_seen(lab):
    dead = "{group: gateway.envoyproxy.io, kind: Backend, name: nobody}"
    lab.route(("/failing", (mirror("v1", "").replace(to("v1"), dead), mirror("v2")), to("v1")))
    expect_equal(lab.ask("/failing/x")[0], 200, "status")
    retry(5, lambda: lab.copies("v2", "/failing/x"), "the copy to the other")


# ---- 31: redirects ----

REDIRECTS = (
    # what it says, host asked for, port asked on: status, location of /case?q=1
    ("host", "hostname: example.com", "example.org", 80, 302, "http://example.com/host?q=1"),
    ("host301", "hostname: example.com, statusCode: 301", "example.org", 80, 301, "http://example.com/host301?q=1"),
    ("s303", "hostname: example.com, statusCode: 303", "example.org", 80, 303, "http://example.com/s303?q=1"),
    ("s307", "statusCode: 307", "example.org", 80, 307, "http://example.org/s307?q=1"),
    ("s308", "statusCode: 308", "example.org", 80, 308, "http://example.org/s308?q=1"),
    ("none", "", "example.org", 80, 302, "http://example.org/none?q=1"),
    ("none", "", "example.org", 8080, 302, "http://example.org:8080/none?q=1"),
    ("none", "", "example.org:1234", 80, 302, "http://example.org/none?q=1"),
    ("http", "scheme: http", "example.org", 80, 302, "http://example.org/http?q=1"),
    ("http", "scheme: http", "example.org", 8080, 302, "http://example.org/http?q=1"),
    ("https", "scheme: https", "example.org", 80, 302, "https://example.org/https?q=1"),
    ("https", "scheme: https", "example.org", 8080, 302, "https://example.org/https?q=1"),
    ("p80", "port: 80", "example.org", 8080, 302, "http://example.org/p80?q=1"),
    ("p8080", "port: 8080", "example.org", 80, 302, "http://example.org:8080/p8080?q=1"),
    ("http80", "scheme: http, port: 80", "example.org", 8080, 302, "http://example.org/http80?q=1"),
    ("http8080", "scheme: http, port: 8080", "example.org", 80, 302, "http://example.org:8080/http8080?q=1"),
    ("https443", "scheme: https, port: 443", "example.org", 80, 302, "https://example.org/https443?q=1"),
    ("https443", "scheme: https, port: 443", "example.org", 8080, 302, "https://example.org/https443?q=1"),
    ("https8443", "scheme: https, port: 8443", "example.org", 80, 302, "https://example.org:8443/https8443?q=1"),
    ("literal", "port: 81", "[2001:2::10]", 80, 302, "http://[2001:2::10]:81/literal?q=1"),
)


@case
def s31_redirects(lab):
    names = sorted({(name, spec) for name, spec, *_ in REDIRECTS})
    for part in (names[:12], names[12:]):
        lab.route(*((f"/{name}", (redirect(spec),), "") for name, spec in part))
        for name, spec, host, port, status, location in REDIRECTS:
            if (name, spec) in part:
                got, fields, seen = lab.ask(f"/{name}?q=1", host=host, port=port)
                expect_equal((got, fields.get("location"), seen), (status, [location], None), f"{spec} of {host} on {port}")


REDIRECTED_PATHS = (
    ("/original-prefix", prefix("/replacement"), "/original-prefix/lemon", "/replacement/lemon"),
    ("/original-prefix", prefix("/replacement"), "/original-prefix", "/replacement"),
    ("/full", full("/full-path-replacement"), "/full/path/original", "/full-path-replacement"),
    ("/strip", prefix("/"), "/strip/x", "/x"),
    ("/strip", prefix("/"), "/strip", "/"),
    ("/empty", prefix(""), "/empty/x", "/x"),
    ("/empty", prefix(""), "/empty", "/"),
    ("/slashed", prefix("/to/"), "/slashed/x?q=/slashed", "/to/x?q=/slashed"),
)


@case
def s31_paths_of_redirects(lab):
    lab.route(*((path, (redirect(f"hostname: example.com, {spec}"),), "")
                for path, spec in sorted({(path, spec) for path, spec, *_ in REDIRECTED_PATHS})))
    for _, spec, target, location in REDIRECTED_PATHS:
        expect_equal(lab.ask(target)[1].get("location"), ["http://example.com" + location], f"{spec} of {target}")


@case
def s31_redirects_of_backends(lab):
    """The share of one backend is sent elsewhere, the other is asked."""
    lab.route(("/moved", (modifier("add: [{name: x-out, value: '1'}]", "Response"),),
               to("v1", f", filters: [{redirect('hostname: example.com, ' + prefix('/to'))}]") + ", " + to("v2")))
    met = {(status, fields.get("location", fields.get("x-backend"))[0], fields["x-out"][0])
           for status, fields, _ in (lab.ask("/moved/x?q=1") for _ in range(30))}
    expect_equal(met, {(302, "http://example.com/to/x?q=1", "1"), (200, "v2", "1")}, "answers")


# ---- 33, 34: rewrites ----

REWRITES = (
    ("/foo", "/xyz", "/foo/bar", "/xyz/bar"),
    ("/foo", "/xyz", "/foo", "/xyz"),
    ("/foo", "/xyz", "/foo/", "/xyz/"),
    ("/foo", "/xyz", "/foo/a%20b?q=/foo", "/xyz/a%20b?q=/foo"),
    ("/slash/", "/xyz", "/slash/bar", "/xyz/bar"),
    ("/tail", "/xyz/", "/tail/bar", "/xyz/bar"),
    ("/tail", "/xyz/", "/tail", "/xyz/"),
    ("/strip", "/", "/strip/bar", "/bar"),
    ("/strip", "/", "/strip", "/"),
    ("/strip", "/", "/strip/", "/"),
    ("/empty", "", "/empty/bar", "/bar"),
    ("/empty", "", "/empty", "/"),
    ("/empty", "", "/empty/?q=1", "/?q=1"),
    ("/bare", "xyz", "/bare/bar", "/xyz/bar"),
    ("/bare", "xyz", "/bare", "/xyz"),
)


@case
def s33_prefixes_are_replaced(lab):
    lab.route(*((path, (rewrite(prefix(text)),), to("v1")) for path, text in sorted({row[:2] for row in REWRITES})))
    for _, text, target, want in REWRITES:
        expect_equal(lab.sent(target)[0], want, f"{text!r} for the prefix of {target}")


@case
def s34_rewrites_of_host_and_path(lab):
    lab.route(("/host", (rewrite("hostname: one.example.org"),), to("v1")),
              ("/marked", (modifier("set: [{name: x-a, value: s}], add: [{name: x-b, value: a}], remove: [x-c]"),
                           rewrite("hostname: test.example.org, " + prefix("/prefix"))), to("v1")),
              ("/full", (rewrite(full("/one")), modifier("set: [{name: x-a, value: s}]")), to("v1")))
    target, fields = lab.sent("/host/x", host="rewrite.example:8080")
    expect_equal((target, fields["host"]), ("/host/x", "one.example.org"), "host")
    target, fields = lab.sent("/marked/x?q=1", "-H", "x-b: 0", "-H", "x-c: 0")
    expect_equal((target, fields["host"]), ("/prefix/x?q=1", "test.example.org"), "host and prefix")
    expect_equal((fields["x-a"], fields["x-b"], fields.get("x-c")), ("s", "0,a", None), "header fields")
    target, fields = lab.sent("/full/path/original?q=1")
    expect_equal((target, fields["host"], fields["x-a"]), ("/one?q=1", "example.org", "s"), "the whole path")


# ---- 37: CORS ----

EXACT = "allowOrigins: ['https://www.foo.com', 'https://www.bar.com:8443'], allowMethods: [GET, PUT], allowHeaders: [x-1, x-2], " \
        "exposeHeaders: [x-3, x-4], maxAge: 3600"
CORS = (
    # rule, its field, origin, method: allow-origin, allow-credentials, allow-methods, allow-headers, max-age; expose-headers
    ("exact", EXACT, "https://www.foo.com", "PUT", ("https://www.foo.com", None, "GET, PUT", "x-1, x-2", "3600"), "x-3, x-4"),
    ("exact", EXACT, "https://www.bar.com:8443", "PUT", ("https://www.bar.com:8443", None, "GET, PUT", "x-1, x-2", "3600"), "x-3, x-4"),
    ("exact", EXACT, "https://www.bar.com", "PUT", None, None),
    ("exact", EXACT, "http://www.foo.com", "PUT", None, None),
    ("exact", EXACT, "https://foo.com", "PUT", None, None),
    ("exact", EXACT, "null", "PUT", None, None),
    ("wild", "allowOrigins: ['https://*.bar.com'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*']",
     "https://a.b.bar.com", "DELETE", ("https://a.b.bar.com", None, "DELETE", "x-ask", "5"), "*"),
    ("wild", "allowOrigins: ['https://*.bar.com'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: ['*']",
     "https://bar.com", "DELETE", None, None),
    ("all", "allowOrigins: ['*'], allowMethods: [GET]", "http://any.example", "GET",
     ("http://any.example", None, "GET", None, "5"), None),
    ("with", "allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: [x-3], allowCredentials: true",
     "https://any.example", "PATCH", ("https://any.example", "true", "PATCH", "x-ask", "5"), "x-3"),
    ("without", "allowOrigins: ['https://www.foo.com'], allowCredentials: false", "https://www.foo.com", "GET",
     ("https://www.foo.com", None, None, None, "5"), None),
)
ALLOW = ["access-control-" + name for name in ("allow-origin", "allow-credentials", "allow-methods", "allow-headers", "max-age")]


@case
def s37_cors(lab):
    lab.route(*((f"/{name}", (f"{{type: CORS, cors: {{{spec}}}}}",), to("v1")) for name, spec in sorted({row[:2] for row in CORS})))
    for name, spec, origin, method, allowed, exposed in CORS:
        what = f"{origin} of {spec}"
        status, fields, seen = lab.ask(f"/{name}", "-X", "OPTIONS", "-H", f"Origin: {origin}", "-H", "Access-Control-Request-Headers: x-ask",
                                       "-H", f"Access-Control-Request-Method: {method}")
        expect_equal((status, seen), (200, None), what)
        expect_equal(tuple(fields.get(field, [None])[0] for field in ALLOW), allowed or (None,) * 5, what)
        status, fields, seen = lab.ask(f"/{name}", "-X", method, "-H", f"Origin: {origin}")
        expect(status == 200 and seen, f"{what}: a request that is none to be asked for goes to the backend")
        expect_equal(fields.get("access-control-allow-origin"), [origin] if allowed else None, what)
        expect_equal(fields.get("access-control-expose-headers"), [exposed] if exposed else None, what)
    _, fields, seen = lab.ask("/exact", "-X", "OPTIONS", "-H", "Origin: https://www.foo.com")
    expect(seen, "OPTIONS without Access-Control-Request-Method is no preflight request")


@case
def everything_ends_clean(lab):
    def quiet():
        stats = lab.stats()
        return stats["exchanges_opened"] == stats["exchanges_closed"]
    retry(15, quiet, "all exchanges closed")
    lab.alive()


main(lambda: Environment(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
