#!/usr/bin/env python3
"""Where HTTPRoutes attach, what their references lead to, and what status says of it: statements 9, 10, 16, 17, 19,
21, 22, 24 to 28, 32 and 44 to 48 of the Gateway API's subtle ones (tests/README.md has the table), asked for as its conformance
suite asks. Every case makes objects of its own and finds them in effect by their status and by requests."""
import json
import os

from harness import Lab, case, expect, expect_equal, main, retry

HERE = os.path.dirname(os.path.realpath(__file__))
GROUP = "gateway.networking.k8s.io"
BASE = """
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {team: blue}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: plain, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.20}]
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: hosts, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.21}]
  listeners:
  - {name: exact, protocol: HTTP, port: 80, hostname: very.specific.example}
  - {name: wild, protocol: HTTP, port: 80, hostname: "*.wildcard.test"}
  - {name: second, protocol: HTTP, port: 80, hostname: "*.second.test"}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ports, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.22}]
  listeners:
  - {name: one, protocol: HTTP, port: 80}
  - {name: two, protocol: HTTP, port: 8080, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: blue}}}}}
  - {name: grpc, protocol: HTTP, port: 8081, allowedRoutes: {kinds: [{kind: TLSRoute}]}}
"""
PLAIN, HOSTS, PORTS = "198.18.0.20", "198.18.0.21", "198.18.0.22"
# Their name says who answers: x-backend.
BACKENDS = {"v1": ("198.18.1.11", 9001), "v2": ("198.18.1.12", 9002), "v3": ("2001:2:0:1::11", 9003)}


def service(name, *backends, namespace="default", port="targetPort: web", kind="", ready="true"):
    """A Service whose port has a name, with one EndpointSlice for each backend."""
    text = f"""---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{kind}ports: [{{name: web, port: 80, {port}}}]}}
"""
    for backend in backends:
        address, number = BACKENDS[backend]
        text += f"""---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-{backend}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: {"IPv6" if ":" in address else "IPv4"}
ports: [{{name: admin, port: 1}}, {{name: web, port: {number}}}]
endpoints: [{{addresses: ["{address}"], conditions: {{ready: {ready}}}}}]
"""
    return text


def route(name, rules, parents="{name: plain}", hostnames="", namespace="default"):
    return f"""---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  parentRefs: [{parents}]
  hostnames: [{hostnames}]
  rules: [{rules}]
"""


def rule(path, backends="{name: v1, port: 80}", more=""):
    return f"{{matches: [{{path: {{value: {path}}}}}], {more} backendRefs: [{backends}]}}"


class Environment(Lab):
    """The lab, three backends with a Service each, and Gateways to attach to."""

    def __enter__(self):
        super().__enter__()
        for name, (address, port) in BACKENDS.items():
            self.spawn("sluice-backend", "python3", os.path.join(HERE, "echo_backend.py"), name, address, str(port))
        self.apply(BASE + "".join(service(name, name) for name in BACKENDS) + route("first", rule("/first")))
        retry(10, lambda: self.ask("/first") == "v1", "the first route")
        return self

    def ask(self, target, host="plain.test", to=PLAIN, port=80):
        """Which backend answered, or the status when none did."""
        out = self.curl("-i", "-o", "-", "-H", f"Host: {host}", f"http://{to}:{port}{target}").replace("\r", "")
        lines = out.split("\n")
        names = [line.split(": ")[1] for line in lines if line.startswith("x-backend: ")]
        return names[0] if names else int(lines[0].split()[1])

    def tally(self, target, n):
        """Answers to n requests by who gave them."""
        out = self.curl("--parallel", "--parallel-max", "8", "-o", "/dev/null", "-w", "%{http_code} %header{x-backend}\n",
                        f"http://{PLAIN}{target}?[1-{n}]").split("\n")[:-1]
        answers = [line.split()[1] if line.split()[0] == "200" else line.split()[0] for line in out]
        return {who: answers.count(who) for who in answers}

    def get(self, kind, name, namespace="default"):
        return json.loads(self.ctl("get", kind, name, "-n", namespace, "-o", "json").stdout)

    def conditions(self, name, namespace="default", parent=0):
        """Type -> (status, reason) of a route at one of its parents; all of them of the object's generation."""
        one = self.get("httproute", name, namespace)
        parents = one.get("status", {}).get("parents", [])
        if parent >= len(parents):
            return {}
        if any(c["observedGeneration"] != one["metadata"]["generation"] for c in parents[parent]["conditions"]):
            return {}
        return {c["type"]: (c["status"], c["reason"]) for c in parents[parent]["conditions"]}

    def await_conditions(self, name, namespace="default", parent=0, **want):
        want = {kind: tuple(value.split()) for kind, value in want.items()}

        def there():
            got = self.conditions(name, namespace, parent)
            return all(got.get(kind) == value for kind, value in want.items())
        try:
            retry(5, there, f"{name}: {want}")
        except AssertionError as why:
            raise AssertionError(f"{why}; it is {self.conditions(name, namespace, parent)}") from None

    def attached(self, gateway):
        return {l["name"]: l["attachedRoutes"] for l in self.get("gateway", gateway)["status"]["listeners"]}


# ---- listeners and attachment ----

@case
def s9_hostnames_intersect(lab):
    """Specific and wildcard names of routes on specific and wildcard listeners."""
    hosts = {
        "ss": "non.matching.test, '*.nonmatching.test', very.specific.example",
        "sw": "non.matching.test, wildcard.test, foo.wildcard.test, bar.wildcard.test, foo.bar.wildcard.test",
        "ws": "non.matching.test, '*.specific.example'",
        "ww": "'*.second.test'",
        "none": "specific.but.wrong.example, wildcard.test",
    }
    lab.apply("".join(route(name, rule("/" + name), "{name: hosts}", names) for name, names in hosts.items()))
    for name in ("ss", "sw", "ws", "ww"):
        lab.await_conditions(name, Accepted="True Accepted")
    lab.await_conditions("none", Accepted="False NoMatchingListenerHostname", ResolvedRefs="True ResolvedRefs")
    for target, host, want in (
            ("/ss", "very.specific.example", "v1"), ("/ss", "very.specific.example:1234", "v1"),
            ("/ss", "Very.Specific.Example", "v1"), ("/ss", "non.matching.test", 404),
            ("/ss", "foo.nonmatching.test", 404), ("/ss", "foo.wildcard.test", 404), ("/non-matching", "very.specific.example", 404),
            ("/sw", "foo.wildcard.test", "v1"), ("/sw", "bar.wildcard.test", "v1"), ("/sw", "foo.bar.wildcard.test", "v1"),
            ("/sw", "baz.wildcard.test", 404), ("/sw", "wildcard.test", 404), ("/sw", "non.matching.test", 404),
            ("/ws", "very.specific.example", "v1"), ("/ws", "foo.specific.example", 404), ("/ws", "non.matching.test", 404),
            ("/ww", "foo.second.test", "v1"), ("/ww", "foo.bar.second.test", "v1"), ("/ww", "second.test", 404),
            ("/none", "specific.but.wrong.example", 404), ("/none", "wildcard.test", 404)):
        expect_equal(lab.ask(target, host, HOSTS), want, f"{host}{target}")
    retry(5, lambda: lab.attached("hosts") == {"exact": 2, "wild": 1, "second": 1}, "attachedRoutes")


@case
def s10_a_request_belongs_to_one_listener(lab):
    """Nested hostnames: all 32 pairs of a host and a listener's route, of routes without hostnames and with wider ones."""
    names = {"empty": "", "wide": "*.example.com", "deep": "*.foo.example.com", "one": "abc.foo.example.com"}
    listeners = ", ".join(f"{{name: {name}, protocol: HTTP, port: 80{f', hostname: {host!r}' if host else ''}}}"
                          for name, host in names.items())
    hosts = {"empty": "bar.com", "wide": "bar.example.com", "deep": "bar.foo.example.com", "one": "abc.foo.example.com"}
    wider = {"empty": "bar.com", "wide": "'*.example.com'", "deep": "'*.example.com', '*.foo.example.com'",
             "one": "'*.example.com', '*.foo.example.com', abc.foo.example.com"}
    lab.apply(f"""
apiVersion: {GROUP}/v1
kind: Gateway
metadata: {{name: nested}}
spec: {{gatewayClassName: sluice, addresses: [{{type: IPAddress, value: 198.18.0.23}}], listeners: [{listeners}]}}
""")
    for hostnames in ({}, wider):
        lab.apply("".join(route("in-" + name, rule("/" + name), f"{{name: nested, sectionName: {name}}}", hostnames.get(name, ""))
                          for name in names))
        for name in names:
            lab.await_conditions("in-" + name, Accepted="True Accepted")
        retry(5, lambda: lab.ask("/one", hosts["one"], "198.18.0.23") == "v1", "the routes")
        for belongs, host in hosts.items():
            for name in names:
                expect_equal(lab.ask("/" + name, host, "198.18.0.23"), "v1" if name == belongs else 404, f"{host}/{name}")


@case
def s16_attached_routes_are_counted(lab):
    """A route whose references are bad counts, one that is not accepted does not; s17: listeners as in the spec."""
    lab.apply(route("c1", rule("/c1"), "{name: ports, sectionName: one}") +
              route("c2", rule("/c2", "{name: nobody, port: 80}"), "{name: ports, sectionName: one}") +
              route("c3", rule("/c3"), "{name: ports, sectionName: grpc}"))
    retry(5, lambda: lab.attached("ports") == {"one": 2, "two": 0, "grpc": 0}, "attachedRoutes 2, 0, 0")
    kinds = {l["name"]: [k["kind"] for k in l["supportedKinds"]] for l in lab.get("gateway", "ports")["status"]["listeners"]}
    expect_equal(kinds, {"one": ["HTTPRoute"], "two": ["HTTPRoute"], "grpc": []}, "supportedKinds")
    # s22: what references lead to is said also of a route that is not accepted.
    lab.await_conditions("c3", Accepted="False NotAllowedByListeners", ResolvedRefs="True ResolvedRefs")
    lab.await_conditions("c2", Accepted="True Accepted", ResolvedRefs="False BackendNotFound")
    lab.ctl("delete", "httproute", "c1")
    retry(5, lambda: lab.attached("ports")["one"] == 1, "attachedRoutes 1")


@case
def s17_listeners_come_and_go(lab):
    text = next(part for part in BASE.split("---") if "name: plain," in part)
    two = text.replace("port: 80}]", "port: 80}, {name: late, protocol: HTTP, port: 8090}]")
    lab.apply(two)
    retry(5, lambda: "late" in lab.attached("plain"), "the listener")
    retry(5, lambda: lab.ask("/first", port=8090) == "v1", "the route on it")
    one = lab.get("gateway", "plain")
    expect_equal({c["observedGeneration"] for c in one["status"]["conditions"]}, {one["metadata"]["generation"]}, "s44")
    lab.apply(text)
    retry(5, lambda: list(lab.attached("plain")) == ["http"], "only the first")
    refused = lab.client("sh", "-c", f"curl -s --max-time 3 http://{PLAIN}:8090/first; echo $?").strip()
    expect_equal(refused, "7", "curl: connection refused")


@case
def s19_parents_by_port_and_section(lab):
    parents = {"by-port": "port: 80", "by-name": "sectionName: one", "both": "sectionName: one, port: 80",
               "no-name": "sectionName: three", "no-port": "port: 81", "apart": "sectionName: one, port: 8080"}
    lab.apply("".join(route(name, rule("/" + name), f"{{name: ports, {more}}}") for name, more in parents.items()))
    for name in ("by-port", "by-name", "both"):
        lab.await_conditions(name, Accepted="True Accepted")
        expect_equal(lab.ask("/" + name, to=PORTS), "v1", name)
        expect_equal(lab.ask("/" + name, to=PORTS, port=8080), 404, name + " on the other listener")
    lab.apply(route("two", rule("/two"), "{name: ports, port: 80}, {name: ports, port: 81}"))
    lab.await_conditions("two", Accepted="True Accepted")
    lab.await_conditions("two", parent=1, Accepted="False NoMatchingParent")
    for name in ("no-name", "no-port", "apart"):
        lab.await_conditions(name, Accepted="False NoMatchingParent")
        expect_equal(lab.ask("/" + name, to=PORTS), 404, name)
        expect_equal(lab.ask("/" + name, to=PORTS, port=8080), 404, name)


@case
def s19_namespaces_are_allowed_by_listeners(lab):
    lab.apply(service("v1", "v1", namespace="other"))
    for name, gateway, want in (("same", "plain", "False NotAllowedByListeners"), ("blue", "ports", "True Accepted")):
        lab.apply(route(name, rule("/" + name), f"{{name: {gateway}, namespace: default}}", namespace="other"))
        lab.await_conditions(name, "other", Accepted=want)
    expect_equal(lab.ask("/same"), 404, "same")
    expect_equal((lab.ask("/blue", to=PORTS), lab.ask("/blue", to=PORTS, port=8080)), (404, "v1"), "blue")
    # The Namespace's labels are live.
    lab.apply(BASE.split("---")[0].replace("blue", "red"))
    lab.await_conditions("blue", "other", Accepted="False NotAllowedByListeners")
    retry(5, lambda: lab.ask("/blue", to=PORTS, port=8080) == 404, "detached")
    lab.apply(BASE.split("---")[0])


@case
def s21_each_parent_has_its_entry(lab):
    """Two Gateways, one that does not exist, one that is not ours: entries for the two, in order, as they were given."""
    lab.apply(route("many", rule("/many"), "{name: plain}, {name: ports, sectionName: one}, {name: nobody}, "
                    "{group: '', kind: Service, name: v1}, {name: hosts, sectionName: wild}", "many.test"))
    lab.await_conditions("many", Accepted="True Accepted")
    status = lab.get("httproute", "many")["status"]["parents"]
    expect_equal([p["parentRef"] for p in status],
                 [{"group": GROUP, "kind": "Gateway", "name": "plain"},
                  {"group": GROUP, "kind": "Gateway", "name": "ports", "sectionName": "one"},
                  {"group": GROUP, "kind": "Gateway", "name": "hosts", "sectionName": "wild"}], "parentRefs")
    lab.await_conditions("many", parent=2, Accepted="False NoMatchingListenerHostname")
    for to in (PLAIN, PORTS):
        expect_equal(lab.ask("/many", "many.test", to), "v1", to)


# ---- backends ----

@case
def s24_invalid_references_are_500(lab):
    lab.apply(service("empty") + route("refs", ", ".join((
        rule("/kind", "{group: x.example, kind: Other, name: v1}"), rule("/missing", "{name: nobody, port: 80}"),
        rule("/port", "{name: v1, port: 81}"), rule("/foreign", "{name: v1, namespace: other, port: 80}"),
        rule("/good"), rule("/none", ""), rule("/half", "{name: v1, port: 80}, {name: nobody, port: 80}"),
        rule("/empty", "{name: empty, port: 80}"), rule("/rewritten", "", "filters: [{type: URLRewrite, urlRewrite: {hostname: x.y}}],")))))
    lab.await_conditions("refs", Accepted="True Accepted", ResolvedRefs="False InvalidKind")
    for target, want in (("/kind", 500), ("/missing", 500), ("/port", 500), ("/foreign", 500), ("/none", 500), ("/empty", 503),
                         ("/rewritten", 500), ("/good", "v1")):
        expect_equal(lab.ask(target), want, target)
    half = lab.tally("/half", 400)
    expect(set(half) == {"v1", "500"} and abs(half["500"] - 200) < 60, f"half of the requests: {half}")
    lab.apply(route("refs", rule("/good") + ", " + rule("/none", "") + ", {matches: [{path: {value: /left-out}}]}"))
    lab.await_conditions("refs", Accepted="True Accepted", ResolvedRefs="True ResolvedRefs")
    expect_equal((lab.ask("/none"), lab.ask("/left-out")), (500, 500), "no backendRefs")
    for refs, reason in (("{name: nobody, port: 80}", "BackendNotFound"), ("{kind: Secret, name: v1, port: 80}", "InvalidKind"),
                         ("{name: v1, namespace: other, port: 80}", "RefNotPermitted")):
        lab.apply(route("refs", rule("/good", refs)))
        lab.await_conditions("refs", Accepted="True Accepted", ResolvedRefs="False " + reason)
        retry(5, lambda: lab.ask("/good") == 500, reason)


@case
def s25_weights(lab):
    lab.apply(route("weights", ", ".join((
        rule("/share", "{name: v1, port: 80, weight: 70}, {name: v2, port: 80, weight: 30}, {name: v3, port: 80, weight: 0}"),
        rule("/zero", "{name: v1, port: 80, weight: 0}"), rule("/one", "{name: v1, port: 80}, {name: v2, port: 80, weight: 0}")))))
    lab.await_conditions("weights", Accepted="True Accepted")
    retry(5, lambda: lab.ask("/share") in ("v1", "v2"), "the route")
    share = lab.tally("/share", 500)
    expect(set(share) == {"v1", "v2"} and abs(share["v1"] - 350) <= 25, f"70 and 30: {share}")
    expect_equal(lab.tally("/zero", 20), {"500": 20}, "only weights of 0")
    expect_equal(lab.tally("/one", 40), {"v1": 40}, "a weight of 0")
    return str(share)


@case
def s26_services(lab):
    """Ports by name, both families, headless, only what is ready; s27: websockets are taken, HTTP/2 not yet."""
    ports = lambda protocol: f"targetPort: 1, appProtocol: kubernetes.io/{protocol}"
    lab.apply(service("both", "v1", "v3") + service("headless", "v2", kind="clusterIP: None, ") + service("sick", "v1", ready="false") +
              service("ws", "v1", port=ports("ws")) + service("h2c", "v1", port=ports("h2c")) +
              route("services", ", ".join(rule("/" + name, f"{{name: {name}, port: 80}}")
                                          for name in ("both", "headless", "sick", "ws", "h2c"))))
    lab.await_conditions("services", Accepted="True Accepted", ResolvedRefs="False UnsupportedProtocol")
    expect_equal(sorted(lab.tally("/both", 40)), ["v1", "v3"], "IPv4 and IPv6")
    for target, want in (("/headless", "v2"), ("/sick", 503), ("/ws", "v1"), ("/h2c", 500)):
        expect_equal(lab.ask(target), want, target)
    lab.apply(service("sick", "v1"))
    retry(5, lambda: lab.ask("/sick") == "v1", "it is ready")
    lab.ctl("delete", "endpointslice", "sick-v1")
    retry(5, lambda: lab.ask("/sick") == 503, "it is gone")


GRANT = """---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: grant, namespace: %s}
spec:
  from: [{group: gateway.networking.k8s.io, kind: %s, namespace: %s}]
  to: [{group: "%s", kind: %s%s}]
"""


@case
def s28_grants(lab):
    """Every part of a grant counts; what is taken away is gone at once; a sibling rule does not mind (s46)."""
    lab.apply(service("far", "v2", namespace="other") +
              route("granted", rule("/far", "{name: far, namespace: other, port: 80}") + ", " + rule("/near")))
    lab.await_conditions("granted", Accepted="True Accepted", ResolvedRefs="False RefNotPermitted")
    expect_equal((lab.ask("/far"), lab.ask("/near")), (500, "v1"), "without a grant")
    bad = (("other", "Gateway", "default", "", "Service", ""), ("other", "HTTPRoute", "other", "", "Service", ""),
           ("other", "HTTPRoute", "default", "", "Secret", ""), ("other", "HTTPRoute", "default", "apps", "Service", ""),
           ("other", "HTTPRoute", "default", "", "Service", ", name: near"), ("default", "HTTPRoute", "default", "", "Service", ""))
    good = (("other", "HTTPRoute", "default", "", "Service", ""), ("other", "HTTPRoute", "default", "", "Service", ", name: far"))
    for grant in bad:
        lab.apply(GRANT % grant)
        lab.apply(route("granted", rule("/far", "{name: far, namespace: other, port: 80}") + ", " + rule("/near") +
                        f", {{matches: [{{path: {{value: /again/{bad.index(grant)}}}}}]}}"))
        retry(5, lambda: lab.ask(f"/again/{bad.index(grant)}") == 500, "a new generation")
        lab.await_conditions("granted", Accepted="True Accepted", ResolvedRefs="False RefNotPermitted")
        expect_equal(lab.ask("/far"), 500, str(grant))
    lab.ctl("delete", "referencegrant", "grant", "-n", "default")
    for grant in good:
        lab.apply(GRANT % grant)
        lab.await_conditions("granted", Accepted="True Accepted", ResolvedRefs="True ResolvedRefs")
        retry(5, lambda: lab.ask("/far") == "v2", "granted")
        lab.ctl("delete", "referencegrant", "grant", "-n", "other")
        lab.await_conditions("granted", ResolvedRefs="False RefNotPermitted")
        retry(5, lambda: lab.ask("/far") == 500, "taken away")
    expect_equal(lab.ask("/near"), "v1", "the sibling")


# ---- values and status ----

@case
def s32_unknown_values_are_refused(lab):
    """By the server, with the field's place; s47: durations."""
    for rules, place in (
            ("{filters: [{type: Other}]}", "filters[0].type"),
            ("{filters: [{type: RequestRedirect, requestRedirect: {scheme: ftp}}]}", "filters[0].requestRedirect.scheme"),
            ("{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 300}}]}", "filters[0].requestRedirect.statusCode"),
            ("{matches: [{method: PURGE}]}", "matches[0].method"),
            ("{matches: [{path: {type: Glob, value: /}}]}", "matches[0].path.type"),
            ("{matches: [{headers: [{name: a, value: b, type: Glob}]}]}", "matches[0].headers[0].type"),
            ("{filters: [{type: ExternalAuth}]}", "filters[0].type"),
            ("{timeouts: {request: 1.5s}}", "timeouts.request"),
            ("{timeouts: {request: 1s, backendRequest: 2s}}", "timeouts.backendRequest"),
            ("{name: UPPER}", "name"),
            ("{unknown: 1}", "unknown")):
        run = lab.ctl("apply", "-f", "-", input=route("refused", rules), check=False)
        expect(run.returncode == 1 and "spec.rules[0]." + place in run.stderr, f"{rules}: {run.stderr}")
    expect("refused" not in lab.ctl("get", "httproutes").stdout, "nothing was stored")


@case
def s44_generations_are_followed(lab):
    lab.apply(route("bump", rule("/bump")))
    lab.await_conditions("bump", Accepted="True Accepted", ResolvedRefs="True ResolvedRefs")
    before = lab.get("httproute", "bump")
    lab.apply(route("bump", rule("/bump", "{name: v2, port: 80}")))
    retry(5, lambda: lab.ask("/bump") == "v2", "the change")
    lab.await_conditions("bump", Accepted="True Accepted", ResolvedRefs="True ResolvedRefs")
    after = lab.get("httproute", "bump")
    expect_equal(after["metadata"]["generation"], before["metadata"]["generation"] + 1, "generation")
    times = [[c["lastTransitionTime"] for c in one["status"]["parents"][0]["conditions"]] for one in (before, after)]
    expect_equal(times[0], times[1], "nothing turned: lastTransitionTime")


@case
def s45_addresses(lab):
    """A type that is not there, then one that is not usable, then what remains."""
    every = ["{type: test/fake, value: x}", "{type: IPAddress, value: 10.9.9.9}", "{type: IPAddress, value: 198.18.0.30}"]

    def conditions():
        one = lab.get("gateway", "static")
        status = one.get("status", {})
        return {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions", [])
                if c.get("observedGeneration") == one["metadata"]["generation"]}, status.get("addresses", [])
    for left, accepted, programmed in ((every, ("False", "UnsupportedAddress"), ("False", "Invalid")),
                                       (every[1:], ("True", "Accepted"), ("False", "AddressNotUsable")),
                                       (every[2:], ("True", "Accepted"), ("True", "Programmed"))):
        lab.apply(f"""
apiVersion: {GROUP}/v1
kind: Gateway
metadata: {{name: static}}
spec: {{gatewayClassName: sluice, addresses: [{", ".join(left)}], listeners: [{{name: http, protocol: HTTP, port: 80}}]}}
""")
        retry(5, lambda: (c := conditions()[0]).get("Accepted") == accepted and c.get("Programmed") == programmed,
              f"{accepted}, {programmed}; it is {conditions()}")
    expect_equal(conditions()[1], [{"type": "IPAddress", "value": "198.18.0.30"}], "addresses")
    expect_equal(lab.ask("/", to="198.18.0.30"), 404, "it is there")
    lab.ctl("delete", "gateway", "static")


@case
def s46_one_rule_fails_alone(lab):
    """What the API takes and this version does not do; when no rule is left the route is not accepted."""
    bad = rule("/broken", more="filters: [{type: ExtensionRef, extensionRef: {group: x.example, kind: Teleport, name: t}}],")
    lab.apply(route("partial", rule("/whole") + ", " + bad))
    lab.await_conditions("partial", Accepted="True Accepted", PartiallyInvalid="True UnsupportedValue",
                         ResolvedRefs="False InvalidKind")
    expect_equal((lab.ask("/whole"), lab.ask("/broken")), ("v1", 500), "answers")
    lab.apply(route("partial", bad))
    lab.await_conditions("partial", Accepted="False UnsupportedValue")
    expect("PartiallyInvalid" not in lab.conditions("partial"), "PartiallyInvalid stands only where rules are left")
    lab.apply(route("partial", rule("/whole")))
    lab.await_conditions("partial", Accepted="True Accepted", ResolvedRefs="True ResolvedRefs")
    expect("PartiallyInvalid" not in lab.conditions("partial"), "PartiallyInvalid of a good route")


@case
def s48_unknown_parameters_are_refused(lab):
    lab.apply(f"""
apiVersion: {GROUP}/v1
kind: Gateway
metadata: {{name: parameters}}
spec:
  gatewayClassName: sluice
  infrastructure: {{parametersRef: {{group: x.example, kind: Other, name: o}}}}
  listeners: [{{name: http, protocol: HTTP, port: 80}}]
""")

    def accepted():
        conditions = lab.get("gateway", "parameters").get("status", {}).get("conditions", [])
        return next(((c["status"], c["reason"]) for c in conditions if c["type"] == "Accepted"), None)
    retry(5, lambda: accepted() == ("False", "InvalidParameters"), "InvalidParameters")
    lab.ctl("delete", "gateway", "parameters")


@case
def everything_ends_clean(lab):
    def quiet():
        stats = lab.stats()
        return stats["exchanges_opened"] == stats["exchanges_closed"]
    retry(15, quiet, "all exchanges closed")
    lab.alive()


main(lambda: Environment(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
