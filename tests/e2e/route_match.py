#!/usr/bin/env python3
"""Which rule serves a request: the Gateway API's statements on matching, listeners and attachment, one case each, with
regular expressions, the normal form of paths, and `sluicectl explain`, which has to say what happens."""
import json
import os
import random

from harness import Lab, case, expect, expect_equal, main, retry

ECHO = "{group: gateway.envoyproxy.io, kind: Backend, name: echo, port: 9000}"
BASE = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: match, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.20}]
  listeners:
  - {name: all, protocol: HTTP, port: 80}
  - {name: wild, protocol: HTTP, port: 80, hostname: "*.example.com"}
  - {name: deep, protocol: HTTP, port: 80, hostname: "*.deep.example.com"}
  - {name: exact, protocol: HTTP, port: 80, hostname: one.example.com}
  - {name: other, protocol: HTTP, port: 8080}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: echo, namespace: default}
spec:
  endpoints: [{ip: {address: 198.18.1.11, port: 9000}}]
"""


def route(name, parents, rules, hostnames=""):
    """rules: (name, matches); each marks its requests with x-rule."""
    text = f"""---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: default}}
spec:
  parentRefs: [{", ".join("{name: match" + p + "}" for p in parents)}]
  hostnames: [{hostnames}]
  rules:
"""
    for rule, matches in rules:
        text += f"""  - name: {rule}
    matches: [{matches}]
    timeouts: {{request: 7s}}
    filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-rule, value: {rule}}}]}}}}]
    backendRefs: [{ECHO}]
"""
    return text


def path(kind, value, more=""):
    return f"{{path: {{type: {kind}, value: '{value}'}}{more}}}"


def header(name, value, kind="Exact"):
    return f", headers: [{{name: {name}, type: {kind}, value: '{value}'}}]"


ROUTES = (
    route("a", [", sectionName: all"], [
        ("root", path("PathPrefix", "/")),
        ("v2", path("PathPrefix", "/v2/")),
        ("either", path("Exact", "/x", header("X-A", "1")) + ", " + path("Exact", "/y")),
        ("query", path("PathPrefix", "/q", ", queryParams: [{name: a, value: '1'}]")),
        ("first", path("PathPrefix", "/same")),
        ("second", path("PathPrefix", "/same")),
        ("header", path("PathPrefix", "/h", header("x-a", "1"))),
        ("regex", path("RegularExpression", "/re/v[0-9]+/[^/]*")),
        ("regex-long", path("RegularExpression", "/re/v[0-9]+/(a|b)[^/]*")),
        ("re-exact", path("Exact", "/re/v1/exact")),
        ("re-prefix", path("PathPrefix", "/re/v1/item")),
    ]) +
    route("b", [", sectionName: all"], [
        ("method", path("PathPrefix", "/h", ", method: GET")),
        ("longer", path("PathPrefix", "/v2/deep")),
        ("regex-header", path("PathPrefix", "/rh", header("x-user", "(?i)user-[0-9]{3}", "RegularExpression"))),
        ("regex-query", path("PathPrefix", "/rq", ", queryParams: [{name: id, type: RegularExpression, value: '[0-9]+'}]")),
        ("hard", path("PathPrefix", "/hard", header("x-t", "(a|b)*a(a|b){20}", "RegularExpression"))),
        ("pub", path("PathPrefix", "/public")),
    ]) +
    route("wild", [", sectionName: wild"], [("wild", path("PathPrefix", "/wild"))]) +
    route("deep", [", sectionName: deep"], [("deep", path("PathPrefix", "/deep"))]) +
    route("exact", [", sectionName: exact"], [("exact", path("PathPrefix", "/exact"))]) +
    route("port", [", port: 8080"], [("port", path("PathPrefix", "/"))]) +
    route("outside", [", sectionName: exact"], [("outside", path("PathPrefix", "/"))], "two.example.com") +
    route("bad", [", sectionName: all"], [("bad", path("RegularExpression", "/bad[")), ("good", path("Exact", "/good"))]))


class Environment(Lab):
    def __enter__(self):
        super().__enter__()
        script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "echo_backend.py")
        self.spawn("sluice-backend", "python3", script, "echo", "198.18.1.11", "9000")
        self.apply(BASE + ROUTES)
        retry(10, lambda: self.rule("/") == "root", "the routes")
        return self

    def ask(self, target, *arguments, host="plain.test", port=80):
        """The status, and what the backend saw."""
        out = self.curl("--path-as-is", "-i", "-H", f"Host: {host}", *arguments, f"http://198.18.0.20:{port}{target}")
        head = out.split("\n\n")[0].replace("\r", "").split("\n")
        seen = [json.loads(line.split(":", 1)[1]) for line in head if line.lower().startswith("x-seen:")]
        location = [line.split(":", 1)[1].strip() for line in head if line.lower().startswith("location:")]
        return int(head[0].split()[1]), seen[0] if seen else None, location[0] if location else None

    def rule(self, target, *arguments, **more):
        status, seen, _ = self.ask(target, *arguments, **more)
        if status != 200:
            return status
        return {name.lower(): value for name, value in seen["headers"]}.get("x-rule")

    def condition(self, name, kind):
        one = json.loads(self.ctl("get", "httproute", name, "-o", "json").stdout)
        parents = one.get("status", {}).get("parents", [])  # none: control has not come to it yet
        return next((c for p in parents[:1] for c in p["conditions"] if c["type"] == kind), {})


@case
def s1_prefix_is_by_segment(lab):
    for target, want in (("/v2", "v2"), ("/v2/", "v2"), ("/v2/x", "v2"), ("/v2example", "root"), ("/V2", "root")):
        expect_equal(lab.rule(target), want, target)


@case
def s2_precedence_across_routes(lab):
    expect_equal(lab.rule("/v2/deep/x"), "longer", "the longer prefix, of the other route")
    expect_equal(lab.rule("/h", "-H", "x-a: 1"), "method", "a method before headers")
    expect_equal(lab.rule("/h", "-X", "PUT", "-H", "x-a: 1"), "header", "the header")
    expect_equal(lab.rule("/same"), "first", "the first rule")


@case
def s3_matches_are_or_conditions_are_and(lab):
    expect_equal(lab.rule("/x"), "root", "the condition does not hold")
    expect_equal(lab.rule("/x", "-H", "x-a: 1"), "either", "one match")
    expect_equal(lab.rule("/y"), "either", "the other")


@case
def s4_query_is_case_sensitive_and_first_value_counts(lab):
    for target, want in (("/q?a=1", "query"), ("/q?A=1", "root"), ("/q?a=1&a=2", "query"), ("/q?a=2&a=1", "root")):
        expect_equal(lab.rule(target), want, target)


@case
def s5_host_port_is_ignored_and_forwarded(lab):
    status, seen, _ = lab.ask("/exact", host="One.Example.com:8443")
    expect_equal(status, 200, "status")
    expect_equal({n.lower(): v for n, v in seen["headers"]}["host"], "One.Example.com:8443", "host")
    expect_equal(lab.rule("/exact", host="one.example.com."), "exact", "trailing dot")
    expect_equal(lab.rule("/", host="[2001:2::10]:80"), "root", "IPv6 literal")


@case
def s8_wildcards_take_any_number_of_labels(lab):
    expect_equal(lab.rule("/wild", host="a.b.c.example.com"), "wild", "many labels")
    expect_equal(lab.rule("/wild", host="example.com"), "root", "never the domain itself")
    expect_equal(lab.rule("/deep", host="a.deep.example.com"), "deep", "more labels right of the star")


@case
def s9_hostnames_outside_the_listener(lab):
    expect_equal(lab.condition("outside", "Accepted").get("reason"), "NoMatchingListenerHostname", "reason")


@case
def s10_isolation(lab):
    expect_equal(lab.rule("/exact", host="one.example.com"), "exact", "its own")
    for target in ("/wild", "/", "/v2"):
        expect_equal(lab.rule(target, host="one.example.com"), 404, f"{target} of a less specific listener")


@case
def s19_port_and_section(lab):
    expect_equal(lab.rule("/v2", port=8080), "port", "by port")
    lab.apply(route("nowhere", [", sectionName: other, port: 80"], [("nowhere", path("PathPrefix", "/"))]))
    retry(5, lambda: lab.condition("nowhere", "Accepted").get("reason") == "NoMatchingParent", "NoMatchingParent")


@case
def regular_expressions(lab):
    expect_equal(lab.rule("/re/v12/x"), "regex", "path")
    expect_equal(lab.rule("/re/v12/a1"), "regex-long", "the longer pattern first")
    expect_equal(lab.rule("/re/v1/exact"), "re-exact", "exact paths before")
    expect_equal(lab.rule("/re/v1/item"), "regex", "prefixes behind")
    expect_equal(lab.rule("/re/v1/item/1"), "re-prefix", "the whole path has to match")
    expect_equal(lab.rule("/rh", "-H", "X-User: USER-123"), "regex-header", "header")
    expect_equal(lab.rule("/rh", "-H", "X-User: user-1234"), "root", "the whole value has to match")
    expect_equal(lab.rule("/rq?id=12"), "regex-query", "query")
    expect_equal(lab.rule("/rq?id=x"), "root", "query that does not match")


@case
def one_bad_expression_fails_alone(lab):
    expect_equal(lab.rule("/good"), "good", "the other rule")
    expect("missing ]" in lab.condition("bad", "PartiallyInvalid").get("message", ""), "PartiallyInvalid")


@case
def what_costs_too_much_is_refused(lab):
    expect_equal(lab.rule("/hard", "-H", "x-t: a" + "b" * 20), "hard", "ordinary")
    draw = random.Random(1)
    hostile = "".join(draw.choice("ab") for _ in range(8000))
    before = lab.stats()["limit_regex_bytes"]
    expect_equal(lab.rule("/hard", "-H", "x-t: " + hostile), 431, "as many states as there are bytes")
    expect_equal(lab.stats()["limit_regex_bytes"] - before, 1, "limit_regex_bytes")
    expect_equal(lab.rule("/hard", "-H", "x-t: a" + "b" * 20), "hard", "ordinary, afterwards")


@case
def paths_have_one_form(lab):
    for target, want in (("/x/../public/./%7Ea//b?q=/..//", "/public/~a/b?q=/..//"), ("/a\\..\\public", "/public"),
                         ("//public", "/public")):
        status, seen, _ = lab.ask(target)
        expect_equal((status, seen and seen["target"]), (200, want), target)
    for target, want in (("/admin/..%2fpublic?a=%2f", "/public?a=%2f"), ("/%5cevil.example", "/evil.example")):
        status, seen, location = lab.ask(target)
        expect_equal((status, seen, location), (307, None, want), target)
    expect_equal(lab.ask("/a%00")[0], 400, "NUL")


@case
def underscores_are_refused(lab):
    expect_equal(lab.rule("/", "-H", "X_Forwarded_For: 1.2.3.4"), 400, "status")


@case
def explain_says_what_happens(lab):
    for target, arguments, host in (("/v2/deep", [], "a.test"), ("/h", ["x-a: 1"], "a.test"), ("/re/v1/item", [], "a.test"),
                                    ("/wild", [], "x.example.com"), ("/nothing", [], "one.example.com"),
                                    ("/x/..//v2/%7E", [], "a.test"), ("/v2%2f", [], "a.test")):
        headers = [word for h in arguments for word in ("-H", h)]
        items = json.loads(lab.ctl("explain", "GET", f"http://{host}{target}", *headers, "-o", "json").stdout)
        mine = [i for i in items if i.get("address", "198.18.0.20") == "198.18.0.20"]
        expect_equal(len(mine), 1, target)
        got = lab.rule(target, *headers, host=host)
        if isinstance(got, int):
            expect_equal(mine[0]["status"], got, target)
        else:
            names = {"v2": "a/rule/1", "longer": "b/rule/1", "method": "b/rule/0", "regex": "a/rule/7", "wild": "wild/rule/0"}
            expect_equal(mine[0]["rule"], "httproute/default/" + names[got], target)
            expect_equal(mine[0]["ruleName"], got, target)
            expect_equal([m["rule"] for m in mine[0]["matches"] if m["won"]], [mine[0]["rule"]], target)
    text = lab.ctl("explain", "GET", "http://a.test/h", "-H", "x-a: 1").stdout
    for part in ("default/match/all", "holds, but is less specific", "PathPrefix /h, header x-a = 1",
                 "RequestHeaderModifier", "backend/default/echo", "100.0 %", "request: 7000 ms (HTTPRoute default/b rule 0 method)",
                 "backendRequest: none (default)", "streamIdle: 300000 ms (default (limits: stream_idle_s))",
                 "endpoint    198.18.1.11:9000", "\n  name      method\n"):
        expect(part in text, f"{part} in:\n{text}")
    lab.ctl("explain", "GET", check=False)


if __name__ == "__main__":
    main(lambda: Environment(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
