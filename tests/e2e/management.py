#!/usr/bin/env python3
"""The management path with real programs: control and the API in a scratch directory, asked by sluicectl, curl and
kubectl over the Unix socket and over HTTPS on loopback. No data plane, no network namespaces."""
import base64
import contextlib
import functools
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import yaml

from harness import ROOT, Skip, case, expect, expect_equal, main, retry

FLAVOUR = os.environ.get("FLAVOUR", "release")
BIN = os.path.join(ROOT, "build", FLAVOUR, "bin")
GROUP = "/apis/gateway.networking.k8s.io/v1"

EVERY_KIND = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: sluice.internal/v1alpha1
kind: Machine
metadata: {name: self}
spec:
  workers: 2
  ports: [{name: a, device: net_ring0}]
  addresses: [{address: 198.18.0.1/24, port: a}]
  routes: [{to: 10.0.0.0/8, via: 198.18.0.2}]
  vipPool: [{first: 198.18.0.10, last: 198.18.0.20}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: eg
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: "*.example.com"}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop, labels: {app: web}, annotations: {note: "yes"}}
spec:
  parentRefs: [{name: edge}]
  hostnames: [www.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /a}, headers: [{name: x, value: "1"}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-y, value: "true"}]}}]
    backendRefs: [{name: web, port: 80, weight: 9}, {group: gateway.envoyproxy.io, kind: Backend, name: other}]
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: grant, namespace: shop}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}]
  to: [{group: "", kind: Service}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [198.18.1.11]}]
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
stringData: {password: "correct horse battery staple"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: files, namespace: shop}
data: {text: "line 1\\nline 2\\n", number: "0123", word: "off"}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: other, namespace: shop}
spec: {endpoints: [{ip: {address: 198.18.1.12, port: 8080}}]}
"""

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {namespace}, labels: {{rev: "{label}"}}}}
spec:
  parentRefs: [{{name: edge}}]
  rules: [{{matches: [{{path: {{type: PathPrefix, value: /{name}}}}}]}}]
---
"""


def route(name, namespace="default", label="0"):
    return ROUTE.format(name=name, namespace=namespace, label=label)


class Box:
    """Control and the API of one scratch directory."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.run, self.state = os.path.join(self.dir, "run"), os.path.join(self.dir, "state")
        self.programs = {}
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.start_control()
        self.start_api()
        retry(10, lambda: os.path.exists(os.path.join(self.run, "api.sock")) and
              os.path.exists(os.path.join(self.state, "admin-token")), "start")
        return self

    def __exit__(self, *_):
        for name in list(self.programs):
            self.stop(name)
        for name in ("control", "api"):
            text = self.log(name)
            if "Sanitizer" in text or "runtime error" in text or "check failed" in text:
                print(f"not ok {name} said:\n{text[-4000:]}")
                raise AssertionError(f"{name} was not clean")
        shutil.rmtree(self.dir)

    def log(self, name):
        with open(os.path.join(self.dir, name + ".log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def start(self, name, *arguments):
        with open(os.path.join(self.dir, name + ".log"), "ab") as log:
            self.programs[name] = subprocess.Popen(
                [os.path.join(BIN, "sluice-" + name), "--run", self.run, "--state", self.state, *arguments],
                stdout=log, stderr=log)

    def start_control(self):
        self.start("control")

    def start_api(self):
        self.start("api", "--listen", f"127.0.0.1:{self.port}")

    def stop(self, name):
        program = self.programs.pop(name)
        program.terminate()
        expect_equal(program.wait(30), 0, f"exit code of {name}: {self.log(name)[-2000:]}")

    def kill(self, name):
        program = self.programs.pop(name)
        program.kill()
        program.wait()

    def restart_what_died(self):
        for name, start in (("control", self.start_control), ("api", self.start_api)):
            if name not in self.programs:
                start()
            elif self.programs[name].poll() is not None:
                self.programs.pop(name)
                start()
                raise AssertionError(f"{name} died: {self.log(name)[-2000:]}")

    def ctl(self, *arguments, check=True, text=None, timeout=60):
        run = subprocess.run([os.path.join(BIN, "sluicectl"), "--run", self.run, *arguments], input=text, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False)
        if check and run.returncode:
            raise AssertionError(f"sluicectl {' '.join(arguments)}: {run.returncode}: {run.stdout}{run.stderr}")
        return run

    def apply(self, text, *arguments, check=True, timeout=60):
        return self.ctl("apply", "-f", "-", *arguments, text=text, check=check, timeout=timeout)

    def get(self, *arguments):
        return json.loads(self.ctl("get", *arguments, "-o", "json").stdout)

    def token(self):
        with open(os.path.join(self.state, "admin-token"), encoding="ascii") as f:
            return f.read().strip()

    def curl(self, path, *arguments, token=None, ca=None, check=True):
        """The code and the parsed body of a request over HTTPS."""
        command = ["curl", "-sS", "--max-time", "20", "--cacert", ca or os.path.join(self.state, "api", "ca.crt"),
                   "-w", "\n%{http_code}", *arguments, f"https://127.0.0.1:{self.port}{path}"]
        if token != "":
            command += ["-H", f"Authorization: Bearer {token or self.token()}"]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=check)
        body, _, code = run.stdout.rpartition("\n")
        try:
            body = json.loads(body)
        except ValueError:
            pass
        return int(code), body

    def kubectl(self, *arguments, check=True, text=None):
        run = subprocess.run(["kubectl", "--server", f"https://127.0.0.1:{self.port}", "--token", self.token(),
                              "--certificate-authority", os.path.join(self.state, "api", "ca.crt"),
                              "--cache-dir", os.path.join(self.dir, "kube"), *arguments],
                             env=dict(os.environ, KUBECONFIG="/dev/null", HOME=self.dir), input=text, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        if check and run.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {run.returncode}: {run.stdout}{run.stderr}")
        return run

    def forget(self):
        """Takes away what a case has made, in one transaction."""
        items = self.get("httproutes,gateways,backends,services,endpointslices,secrets,configmaps,referencegrants,"
                         "machines,gatewayclasses,namespaces", "-A")["items"]
        ours = [i for i in items if (i["kind"], i["metadata"]["name"]) not in
                (("GatewayClass", "sluice"), ("Namespace", "default"))]
        if ours:
            self.ctl("delete", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": ours}))


def clean_case(function):
    """A case that leaves nothing behind, even when it fails."""
    @functools.wraps(function)
    def run(box):
        try:
            return function(box)
        finally:
            box.restart_what_died()
            box.forget()
    return case(run)


@clean_case
def fresh_box(box):
    # The API reads the store by itself, and may be up before control has put the first objects there.
    retry(5, lambda: box.get("gatewayclasses")["items"] and box.get("ns")["items"], "the first objects")
    expect_equal([c["metadata"]["name"] for c in box.get("gatewayclasses")["items"]], ["sluice"], "classes")
    expect_equal([c["metadata"]["name"] for c in box.get("ns")["items"]], ["default"], "namespaces")
    for path, mode in (("state/admin-token", 0o600), ("state/api/ca.key", 0o600), ("state/api/server.pem", 0o600),
                       ("run/api.sock", 0o600)):
        expect_equal(os.stat(os.path.join(box.dir, path)).st_mode & 0o777, mode, path)


@clean_case
def every_kind_is_stored_and_read_back(box):
    out = box.apply(EVERY_KIND).stdout
    objects = [o for o in yaml.safe_load_all(EVERY_KIND) if o]
    expect_equal(out.count(" created\n"), len(objects), out)
    expect("httproute.gateway.networking.k8s.io/web created" in out, out)
    expect("service/web created" in out, out)
    for o in objects:
        kind, meta = o["kind"].lower(), o["metadata"]
        where = ["-n", meta["namespace"]] if "namespace" in meta else []
        got = box.get(kind, meta["name"], *where)
        expect_equal(got["kind"], o["kind"], "kind")
        expect(got["metadata"]["uid"] and got["metadata"]["resourceVersion"], f"{got['metadata']}")
        text = box.ctl("get", kind, meta["name"], *where, "-o", "yaml").stdout
        expect_equal(yaml.safe_load(text.replace("\t", "  "))["metadata"]["uid"], got["metadata"]["uid"], "uid in YAML")
        table = box.ctl("get", kind, *where).stdout
        expect(table.startswith("NAME ") and f"\n{meta['name']} " in table, table)
        # What is printed can be applied again, and is the same.
        again = box.apply(text).stdout
        expect(again.endswith(" unchanged\n"), f"{o['kind']}: {again}")
    expect_equal(box.get("cm", "files", "-n", "shop")["data"],
                 {"text": "line 1\nline 2\n", "number": "0123", "word": "off"}, "data")
    expect(" unchanged\n" in box.apply(EVERY_KIND).stdout, "apply again")
    box.apply(EVERY_KIND.replace("weight: 9", "weight: 1"))
    expect_equal(box.get("httproute", "web", "-n", "shop")["spec"]["rules"][0]["backendRefs"][0]["weight"], 1, "weight")
    expect_equal(box.get("httproute", "web", "-n", "shop")["metadata"]["generation"], 2, "generation")
    box.ctl("delete", "-f", "-", text=EVERY_KIND)
    expect_equal(box.ctl("get", "httproutes", "-A").stderr, "No resources found\n", "after delete")


@clean_case
def words_for_kinds(box):
    for word in ("httproute", "httproutes", "HTTPRoute", "HttpRoutes.gateway.networking.k8s.io", "gtw", "gc", "svc",
                 "ns", "machine", "Backend"):
        box.ctl("get", word, "-A")
    run = box.ctl("get", "httproutes.apps", check=False)
    expect_equal((run.returncode, run.stderr),
                 (1, 'error: the server doesn\'t have a resource type "httproutes.apps" (sluicectl --help lists them)\n'),
                 "wrong group")
    run = box.ctl("get", "httproute/many", check=False)
    expect_equal((run.returncode, run.stderr), (1, 'error: "httproute/many": kind and name are two words\n'), "with /")
    listed = box.ctl("--help").stdout
    for word in ("httproute", "gateway, gtw", "service, svc", "machine", "backend, be"):
        expect(f"\n  {word} " in listed, f"{word} is not in --help: {listed}")
    run = box.ctl("get", "httproute", "many", "-l", "a=b", check=False)
    expect_equal(run.returncode, 2, run.stderr)
    expect("exclude each other" in run.stderr, run.stderr)
    box.apply(route("many"))
    out = box.ctl("get", "gc,httproutes").stdout
    for name in ("gatewayclass.gateway.networking.k8s.io/sluice", "httproute.gateway.networking.k8s.io/many"):
        expect(name in out, out)
    expect_equal(box.ctl("get", "httproutes", "-l", "rev=0", "-o", "name").stdout,
                 "httproute.gateway.networking.k8s.io/many\n", "selector")
    expect_equal(box.ctl("get", "httproutes", "-l", "rev=1", "-o", "name").stdout, "", "selector")


BAD = [
    # name, text, exit code, what standard error must say
    ("YAML syntax", "a:\n  b: 1\n c: 2\n", 3, "{file}:3:2: did not find expected key"),
    ("duplicate key", "kind: A\nmetadata: {}\nkind: B\n", 3, '{file}:3:1: key "kind" is given twice, first on line 1'),
    ("JSON syntax", '{"kind": "A",\n "x": }', 3, "{file}:2:7: "),
    ("not an object", "- 1\n", 3, "{file}:1:1: not an object"),
    ("nothing", "# nothing\n", 3, "no objects passed"),
    ("unknown kind", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", 1, "Pod"),
    ("unknown field", route("x").replace("/x}}", "/x}, patth: 1}"), 1,
     "{file}:7:60: HTTPRoute default/x: spec.rules[0].matches[0].patth"),
    ("wrong type", route("x").replace("rules: [", "rules: [{backendRefs: [{name: a, port: http}]},\n    "), 1,
     "{file}:7:36: HTTPRoute default/x: spec.rules[0].backendRefs[0].port"),
    ("out of range", route("x").replace("rules: [", "rules: [{backendRefs: [{name: a, port: 99999}]},\n    "), 1,
     "{file}:7:36: HTTPRoute default/x: spec.rules[0].backendRefs[0].port"),
    ("missing field", "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {}\n", 1,
     "spec.gatewayClassName"),
    ("bad name", route("x").replace("name: x,", "name: X_X,"), 1, "metadata.name"),
    ("no such namespace", route("x", "nowhere"), 1, 'namespaces "nowhere" not found'),
    ("no name", route("x").replace("name: x, ", ""), 1, "name"),
]


@clean_case
def bad_input_is_refused_and_changes_nothing(box):
    before = box.get("httproutes", "-A")
    for name, text, code, wanted in BAD:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            run = box.ctl("apply", "-f", f.name, check=False)
            expect_equal((run.returncode, run.stdout), (code, ""), f"{name}: {run.stderr}")
            expect(wanted.replace("{file}", f.name) in run.stderr, f"{name}: {run.stderr}")
            # As the last of good objects it takes them with it.
            f.seek(0)
            f.truncate()
            f.write(route("good") + text)
            f.flush()
            if name != "nothing" and not text.startswith("{"):
                expect_equal(box.ctl("apply", "-f", f.name, check=False).returncode, code, f"{name} after a good one")
    run = box.ctl("apply", "-f", "/nonexistent", check=False)
    expect_equal((run.returncode, run.stderr), (3, "error: /nonexistent: No such file or directory\n"), "no file")
    for arguments in (["apply"], ["get"], ["nope"], ["get", "gc", "--dry-run"], ["get", "gc", "-o", "xml"], []):
        expect_equal(box.ctl(*arguments, check=False).returncode, 2, f"usage {arguments}")
    expect_equal(box.get("httproutes", "-A"), before, "objects")


@clean_case
def directories_and_lists(box):
    with tempfile.TemporaryDirectory() as d:
        items = [o for o in yaml.safe_load_all(route("c") + route("d")) if o]
        for name, text in (("b.yaml", route("b")), ("a.yml", route("a")), ("README", "not: yaml: at all"),
                           ("c.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))):
            with open(os.path.join(d, name), "w", encoding="ascii") as f:
                f.write(text)
        out = box.ctl("apply", "-f", d).stdout
        expect_equal(re.findall(r"/(\w+) created", out), ["a", "b", "c", "d"], out)
        with open(os.path.join(d, "c.json"), "w", encoding="ascii") as f:
            f.write('{"apiVersion": "v1", "kind": "List", "items": [\n' + json.dumps(yaml.safe_load(route("c")[:-4])) +
                    ',\n{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": '
                    '{"name": "e"},\n "spec": {"rulez": []}}]}')
        run = box.ctl("apply", "-f", d, check=False)
        expect(f"{d}/c.json:4:11: HTTPRoute default/e: spec.rulez" in run.stderr, run.stderr)
        out = box.ctl("delete", "-f", d, "--ignore-not-found").stdout
        expect_equal(sorted(re.findall(r'"(\w+)" deleted', out)), ["a", "b", "c"], out)


@clean_case
def dry_run(box):
    out = box.apply(route("dry"), "--dry-run").stdout
    expect("created (server dry run)" in out, out)
    expect_equal(box.get("httproutes")["items"], [], "after a dry run")
    box.apply(route("dry"))
    box.ctl("delete", "httproute", "dry", "--dry-run")
    expect_equal(len(box.get("httproutes")["items"]), 1, "after a dry delete")


@clean_case
def errors_in_kubernetes_words(box):
    run = box.ctl("get", "httproute", "nope", check=False)
    expect_equal((run.returncode, run.stderr), (
        1, 'error: from server (NotFound): httproutes.gateway.networking.k8s.io "nope" not found\n'), "get")
    run = box.ctl("delete", "httproute", "nope", check=False)
    expect_equal(run.returncode, 1, "delete")
    expect("(NotFound)" in run.stderr, run.stderr)
    expect_equal(box.ctl("delete", "httproute", "nope", "--ignore-not-found").stdout, "", "ignored")

    body = json.dumps(yaml.safe_load(route("one")[:-4]))
    path = GROUP + "/namespaces/default/httproutes"
    send = ["-H", "Content-Type: application/json", "--data-binary"]
    code, got = box.curl(path, *send, body)
    expect_equal(code, 201, got)
    code, got = box.curl(path, *send, body)
    expect_equal((code, got["reason"]), (409, "AlreadyExists"), got)
    expect_equal(got["message"], 'httproutes.gateway.networking.k8s.io "one" already exists', got)

    code, current = box.curl(path + "/one")
    code, got = box.curl(path + "/one", "-X", "PUT", *send, json.dumps(
        dict(current, metadata=dict(current["metadata"], resourceVersion="1"))))
    expect_equal((code, got["reason"]), (409, "Conflict"), got)
    expect("the object has been modified; please apply your changes to the latest version and try again"
           in got["message"], got)
    code, got = box.curl(path + "/one", "-X", "PUT", *send, json.dumps(current))
    expect_equal((code, got["metadata"]["resourceVersion"]), (200, current["metadata"]["resourceVersion"]), "no-op")

    current["spec"]["rules"][0]["matches"][0]["path"]["type"] = "Nope"
    code, got = box.curl(path + "/one", "-X", "PUT", *send, json.dumps(current))
    expect_equal((code, got["reason"]), (422, "Invalid"), got)
    expect_equal(got["details"]["causes"][0]["field"], "spec.rules[0].matches[0].path.type", got)
    unknown = body.replace('"spec": {', '"spec": {"x": 1, ').replace('"one"', '"two"')
    code, got = box.curl(path + "?fieldValidation=Strict", *send, unknown)
    expect_equal((code, got["reason"]), (400, "BadRequest"), got)
    expect('unknown field "spec.x"' in got["message"], got)
    code, got = box.curl(path + "?fieldValidation=Warn", "-D", os.path.join(box.dir, "headers"), *send, unknown)
    expect_equal(code, 201, got)
    expect("x" not in got["spec"], got)
    with open(os.path.join(box.dir, "headers"), encoding="ascii") as f:
        expect('Warning: 299 - "unknown field \\"spec.x\\""' in f.read(), "warning header")
    code, got = box.curl(path + "/one", "-X", "DELETE")
    expect_equal((code, got["status"]), (200, "Success"), got)
    expect(got["details"]["uid"], got)
    code, got = box.curl(path, "-X", "DELETE")
    expect_equal((code, [i["metadata"]["name"] for i in got["items"]]), (200, ["two"]), got)


@clean_case
def https_needs_the_token(box):
    code, got = box.curl("/apis")
    expect_equal((code, got["kind"]), (200, "APIGroupList"), got)
    for token in ("", "wrong", "x" * 300):
        code, got = box.curl("/apis", token=token)
        expect_equal((code, got["reason"]), (401, "Unauthorized"), got)
    code, got = box.curl("/sluice/v1/apply", "-H", "Content-Type: application/yaml", "--data-binary", route("x"),
                         token="")
    expect_equal(code, 401, got)
    run = subprocess.run(["curl", "-sS", f"https://127.0.0.1:{box.port}/version"], stderr=subprocess.PIPE, text=True,
                         check=False)
    expect_equal(run.returncode, 60, f"without the authority: {run.stderr}")
    run = subprocess.run(["curl", "-sS", "-k", "--tls-max", "1.1", f"https://127.0.0.1:{box.port}/version"],
                         stderr=subprocess.PIPE, text=True, check=False)
    expect_equal(run.returncode, 35, f"TLS 1.1: {run.stderr}")
    ca = os.path.join(box.state, "api", "ca.crt")
    remote = ["--server", f"https://127.0.0.1:{box.port}", "--ca-file", ca]
    token = ["--token-file", os.path.join(box.state, "admin-token")]
    box.apply(route("remote"), *remote, *token)
    expect("remote" in box.ctl("get", "httproutes", *remote, *token).stdout, "over HTTPS")
    run = box.ctl("get", "httproutes", *remote, check=False)
    expect_equal(run.returncode, 1, run.stderr)
    expect("(Unauthorized)" in run.stderr, run.stderr)
    run = box.ctl("get", "httproutes", "--server", f"https://127.0.0.1:{box.port}", *token, check=False)
    expect_equal(run.returncode, 4, run.stderr)
    expect("certificate" in run.stderr, run.stderr)
    run = box.ctl("flows", *remote, check=False)
    expect_equal(run.returncode, 2, run.stderr)


@clean_case
def yaml_by_curl(box):
    path = GROUP + "/namespaces/default/httproutes"
    code, got = box.curl(path, "-H", "Content-Type: application/yaml", "--data-binary", route("yy")[:-4])
    expect_equal(code, 201, got)
    code, got = box.curl(path + "/yy", "-H", "Accept: application/yaml")
    expect_equal(yaml.safe_load(got)["metadata"]["name"], "yy", got)
    code, got = box.curl("/sluice/v1/apply", "-H", "Content-Type: application/yaml", "--data-binary",
                         route("yy") + route("z"))
    expect_equal((code, [r["result"] for r in got["results"]]), (200, ["unchanged", "created"]), got)


@clean_case
def secrets_are_sealed(box):
    text = "a very secret text " + "".join(random.choices("0123456789abcdef", k=32))
    manifest = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{k: '{text}'}}\n"
    box.apply(manifest)
    got = box.get("secret", "s")
    expect_equal(base64.b64decode(got["data"]["k"]).decode(), text, "secret")
    expect("stringData" not in got, got)
    expect(text not in box.ctl("get", "secrets").stdout, "table")
    expect(got["data"]["k"] not in box.ctl("get", "secrets").stdout, "table")
    for folder, _, names in os.walk(box.dir):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                data = f.read()
            expect(text.encode() not in data and got["data"]["k"].encode() not in data, f"in plain in {path}")


@clean_case
def kubectl_works(box):
    if not shutil.which("kubectl"):
        raise Skip("no kubectl here")
    expect("Server Version: v1.32.0+sluice" in box.kubectl("version").stdout, "version")
    out = box.kubectl("api-resources").stdout
    for name in ("gatewayclasses", "httproutes", "machines", "secrets", "backends"):
        expect(re.search(f"^{name} ", out, re.M), out)
    out = box.kubectl("create", "-f", "-", text=route("k1") + route("k2", label="7")).stdout
    expect_equal(re.findall(r"^httproute.gateway.networking.k8s.io/(\w+) created$", out, re.M), ["k1", "k2"], out)
    run = box.kubectl("create", "-f", "-", text=route("k1"), check=False)
    expect('Error from server (AlreadyExists)' in run.stderr, run.stderr)
    run = box.kubectl("create", "-f", "-", text=route("k3").replace("rules:", "rulez:"), check=False)
    expect('unknown field "spec.rulez"' in run.stderr, run.stderr)
    out = box.kubectl("get", "httproutes").stdout
    expect(re.search(r"^NAME +HOSTNAMES +AGE\nk1 .*\nk2 ", out), out)
    expect_equal(box.kubectl("get", "httproutes", "-l", "rev=7", "-o", "name").stdout,
                 "httproute.gateway.networking.k8s.io/k2\n", "selector")
    ours = box.ctl("get", "httproute", "k1", "-o", "yaml").stdout
    expect_equal(box.kubectl("get", "httproute", "k1", "-o", "yaml").stdout, ours, "the same YAML")
    expect("No resources found" in box.kubectl("get", "gateways", "-A").stderr, "none")
    expect('"nope" not found' in box.kubectl("get", "gateway", "nope", check=False).stderr, "not found")
    out = box.kubectl("apply", "-f", "-", text=route("k1", label="5") + route("k4")).stdout
    expect("k1 configured" in out and "k4 created" in out, out)
    # Defaults inside of parentRefs make kubectl patch again, as on a cluster; the object stays what it is.
    version = box.get("httproute", "k4")["metadata"]["resourceVersion"]
    box.kubectl("apply", "-f", "-", text=route("k4"))
    expect_equal(box.get("httproute", "k4")["metadata"]["resourceVersion"], version, "apply again")
    box.kubectl("label", "httproute", "k4", "color=red")
    expect_equal(box.get("httproute", "k4")["metadata"]["labels"]["color"], "red", "label")
    out = box.kubectl("replace", "-f", "-", text=route("k2", label="8")).stdout
    expect("k2 replaced" in out, out)
    out = box.kubectl("explain", "gateway.spec.listeners").stdout
    expect("gateway.networking.k8s.io" in out and "protocol" in out, out)
    out = box.kubectl("delete", "httproute", "k1", "k2").stdout
    expect('"k1" deleted' in out and '"k2" deleted' in out, out)
    box.kubectl("delete", "httproutes", "--all")
    expect_equal(box.get("httproutes")["items"], [], "after delete --all")
    expect_equal(box.kubectl("get", "--raw", "/healthz").stdout, "ok", "healthz")


@clean_case
def many_objects_in_one_transaction(box):
    n = 2000 if FLAVOUR == "release" else 300
    text = "".join(route(f"r{i}") for i in range(n))
    start = time.monotonic()
    out = box.apply(text).stdout
    took = time.monotonic() - start
    expect_equal(out.count(" created\n"), n, "created")
    start = time.monotonic()
    expect_equal(len(box.get("httproutes")["items"]), n, "read back")
    read = time.monotonic() - start
    seen, token = [], ""
    while True:
        code, got = box.curl(f"{GROUP}/httproutes?limit=170&continue={token}")
        expect_equal(code, 200, got)
        seen += [i["metadata"]["name"] for i in got["items"]]
        token = got["metadata"].get("continue", "")
        if not token:
            break
    expect_equal((len(seen), len(set(seen))), (n, n), "by pages")
    box.ctl("delete", "-f", "-", text=text)
    expect_equal(box.get("httproutes")["items"], [], "deleted")
    return f"{n} objects applied in {took:.2f} s, read in {read:.2f} s"


@clean_case
def restarts_keep_everything(box):
    box.apply(route("kept"))
    before, token = box.get("httproute", "kept"), box.token()
    with open(os.path.join(box.state, "api", "ca.crt"), encoding="ascii") as f:
        ca = f.read()
    for kill in (box.stop, box.kill):
        for name, start in (("control", box.start_control), ("api", box.start_api)):
            kill(name)
            start()
        expect_equal(retry(10, lambda: box.get("httproute", "kept"), "answer")["metadata"]["uid"],
                     before["metadata"]["uid"], "uid")
        expect_equal(box.token(), token, "token")
        with open(os.path.join(box.state, "api", "ca.crt"), encoding="ascii") as f:
            expect_equal(f.read(), ca, "authority")
        expect_equal(retry(10, lambda: box.curl("/apis", check=False)[0] == 200, "HTTPS"), True, "HTTPS")


@clean_case
def the_api_without_control(box):
    box.apply(route("alone"))
    box.kill("control")
    expect_equal(box.get("httproute", "alone")["metadata"]["name"], "alone", "reads go on")
    run = box.apply(route("alone", label="1"), "--timeout", "2", check=False)
    expect_equal(run.returncode, 4, run.stderr)
    expect("control is not reachable" in run.stderr, run.stderr)
    # What waits for control goes on when it is back.
    done = []
    waiting = threading.Thread(target=lambda: done.append(box.apply(route("alone", label="2"), "--timeout", "30")))
    waiting.start()
    time.sleep(1.5)
    box.start_control()
    waiting.join()
    expect("alone configured" in done[0].stdout and "waiting for the API" in done[0].stderr, done[0])
    box.kill("api")
    run = box.ctl("get", "httproutes", "--timeout", "1", check=False)
    expect_equal(run.returncode, 4, run.stderr)
    expect_equal(run.stderr, f"error: no answer from {box.run}/api.sock: Connection refused: is sluice-api running?\n",
                 "no API")
    box.start_api()


@case
def nothing_runs(_):
    """Nobody to wait for: said after two seconds, by each command that asks; a timeout that was given is kept."""
    with tempfile.TemporaryDirectory() as scratch:
        for arguments in (["get", "gtw"], ["apply", "-f", "-"], ["delete", "gtw", "x"], ["version"]):
            start = time.monotonic()
            run = subprocess.run([os.path.join(BIN, "sluicectl"), "--run", scratch, *arguments], input=route("x"),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
            took, why = time.monotonic() - start, "No such file or directory: is sluice-api running?"
            expect_equal(run.returncode, 4, f"{arguments}: {run.stderr}")
            expect_equal(run.stderr.splitlines()[-1], f"error: no answer from {scratch}/api.sock: {why}", f"{arguments}")
            expect(took < 5, f"{arguments}: {took:.1f} s")
        start = time.monotonic()
        run = subprocess.run([os.path.join(BIN, "sluicectl"), "--run", scratch, "--timeout", "4", "get", "gtw"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
        expect(time.monotonic() - start > 3, f"a timeout that was given: {run.stderr}")
        expect(run.stderr.startswith("waiting for the API: No such file"), run.stderr)


@clean_case
def not_ready_without_a_data_plane(box):
    run = box.ctl("wait-ready", "--timeout", "1", check=False)
    expect_equal(run.returncode, 4, run.stderr)
    expect("the machine has no ports" in run.stderr, run.stderr)
    box.apply(EVERY_KIND)
    run = box.ctl("wait-ready", "--timeout", "1", check=False)
    expect_equal(run.returncode, 4, run.stderr)
    expect("data plane not connected" in run.stderr, run.stderr)
    expect_equal(box.curl("/readyz")[0], 503, "readyz")
    run = box.ctl("flows", check=False, timeout=90)
    expect_equal(run.returncode, 4, run.stderr)
    expect("is the data plane running?" in run.stderr, run.stderr)


class FakeDataPlane:
    """Speaks the frames of dataplane.sock (base/frame.h) and says what it is told to say."""

    def __init__(self, run):
        self.refusal, self.served, self.walks = None, {"resourceVersion": "0", "content": "0" * 16}, {}
        self.beside = {}
        self.path = os.path.join(run, "dataplane.sock")
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.path)
        self.listening.listen()
        self.listening.settimeout(0.1)
        self.stopping = False
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        self.listening.close()
        os.unlink(self.path)

    def accept(self):
        while not self.stopping:
            with contextlib.suppress(TimeoutError):
                connection = self.listening.accept()[0]
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.settimeout(None)
        while not self.stopping:
            data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 4)
            if not data:
                return
            for d in descriptors:
                os.close(d)
            reply = json.dumps(self.answer(json.loads(data[4:]))).encode()
            connection.sendall(struct.pack("<I", len(reply)) + reply)

    def answer(self, request):
        if request["op"] == "generation":
            return {"ok": True, "alive": 1, **self.served}
        if request["op"] == "publish":
            if self.refusal:
                return {"ok": False, "reason": self.refusal}
            self.served["resourceVersion"] = request["resourceVersion"]
            return {"ok": True}
        return {"ok": True, "items": self.walks.get(request["op"], []), **self.beside}


@clean_case
def ready_means_served(box):
    with FakeDataPlane(box.run) as data_plane:
        data_plane.refusal = "no room for it"
        box.apply(EVERY_KIND)
        run = box.ctl("wait-ready", "--timeout", "3", check=False)
        expect_equal(run.returncode, 4, run.stderr)
        expect("no room for it" in run.stderr, run.stderr)
        expect_equal(retry(5, lambda: box.curl("/readyz")[0], "an answer"), 503, "readyz")
        data_plane.refusal = None
        box.ctl("wait-ready", "--timeout", "10")
        expect_equal(box.curl("/readyz"), (200, "ok"), "readyz")
        gateway = box.get("gateway", "edge", "-n", "shop")
        expect_equal({c["type"]: c["status"] for c in gateway["status"]["conditions"]}["Programmed"], "True", gateway)
        # A Gateway that is refused as it is: no use to wait.
        box.apply(EVERY_KIND.replace("  gatewayClassName: eg\n", "  gatewayClassName: eg\n"
                                     "  addresses: [{type: IPAddress, value: 192.0.2.1}]\n"))
        start = time.monotonic()
        run = box.ctl("wait-ready", "--timeout", "30", check=False)
        expect_equal(run.returncode, 1, run.stderr)
        expect("Gateway shop/edge is not programmed: AddressNotUsable: " in run.stderr, run.stderr)
        expect(time.monotonic() - start < 10, "it waited for what cannot come")


@clean_case
def walks(box):
    with FakeDataPlane(box.run) as data_plane:
        data_plane.walks = {
            "neigh": [{"address": "198.18.0.2", "mac": "02:00:00:00:00:01", "ageMs": 12},
                      {"address": "2001:2::2", "mac": "", "ageMs": 1234, "gateway": True}],
            "drops": [{"name": "drop_a", "kind": "drop", "help": "why", "workers": [1, 2], "value": 3},
                      {"name": "drop_b", "kind": "drop", "help": "never", "workers": [0, 0], "value": 0}],
        }
        expect_equal(box.ctl("neigh").stdout, "ADDRESS      MAC                 AGE MS   GATEWAY\n"
                     "198.18.0.2   02:00:00:00:00:01       12\n"
                     "2001:2::2                          1234   true\n", "neigh")
        expect_equal(box.ctl("drops").stdout, "NAME     VALUE   HELP\ndrop_a       3   why\n", "drops")
        wide = box.ctl("drops", "-o", "wide").stdout
        expect("drop_b" in wide and "[1,2]" in wide, wide)
        expect_equal(json.loads(box.ctl("drops", "-o", "json").stdout), data_plane.walks["drops"], "json")
        expect_equal(re.split(r"\s{3,}", box.ctl("flows").stdout.strip()),
                     ["LOCAL", "REMOTE", "STATE", "SIDE", "WORKER", "SRTT US", "CWND", "IN FLIGHT", "BYTES IN",
                      "BYTES OUT", "RETRANSMITS", "AGE MS"], "no flows")
        data_plane.walks["flows"] = [{"local": "198.18.0.10:80", "cwnd": 14480, "rttvarUs": 7, "congestionControl": "cubic"}]
        inside = [re.split(r"\s{3,}", line) for line in box.ctl("flows", "-i").stdout.splitlines()]
        expect_equal(inside[0][:8], ["LOCAL", "REMOTE", "STATE", "CONGESTION CONTROL", "MSS", "PMTU", "SRTT US", "RTTVAR US"],
                     "flows -i")
        expect("198.18.0.10:80" in inside[1] and "14480" in inside[1] and "7" in inside[1], inside)
        expect_equal(box.ctl("neigh", "-i", check=False).returncode, 2, "neigh -i")
        expect_equal(box.ctl("flows", "-o", "yaml", check=False).returncode, 2, "yaml")
        data_plane.beside = {"incomplete": "worker 1 hangs"}
        run = box.ctl("neigh", check=False)
        expect_equal((run.returncode, run.stderr), (4, "error: incomplete: worker 1 hangs\n"), "incomplete")
        expect("198.18.0.2" in run.stdout, run.stdout)


@clean_case
def kill_9_in_the_middle_of_applies(box):
    """Applies are retried until acknowledged. What was acknowledged is there, whole; what was not is there whole or not
    at all: both routes of a transaction always carry the same label."""
    slow = 1 if FLAVOUR == "release" else 3
    rounds = int(os.environ.get("APPLIES", "60")) // slow
    stopping, kills = threading.Event(), [0]

    def killer():
        chance = random.Random(7)
        while not stopping.is_set():
            time.sleep(chance.uniform(0.02, 0.25) * slow)
            name, start = chance.choice([("control", box.start_control), ("api", box.start_api)])
            box.kill(name)
            kills[0] += 1
            time.sleep(chance.choice([0, 0, 0.1]))
            start()

    def watcher():
        while not stopping.is_set():
            run = box.ctl("get", "httproutes", "-o", "json", "--timeout", "30", check=False)
            if run.returncode:
                torn.append(run.stderr)
            else:
                labels = {i["metadata"]["labels"]["rev"] for i in json.loads(run.stdout)["items"]}
                if len(labels) > 1:
                    torn.append(labels)

    torn, threads = [], [threading.Thread(target=killer), threading.Thread(target=watcher)]
    for thread in threads:
        thread.start()
    try:
        for i in range(1, rounds + 1):
            box.apply(route("left", label=i) + route("right", label=i), "--timeout", "60", timeout=90)
            got = json.loads(box.ctl("get", "httproutes", "-o", "json", "--timeout", "60", timeout=90).stdout)["items"]
            expect_equal([o["metadata"]["labels"]["rev"] for o in got], [str(i), str(i)], "after acknowledgement")
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    expect_equal(torn, [], "read in between")
    versions = [int(i["metadata"]["resourceVersion"]) for i in box.get("httproutes")["items"]]
    expect(min(versions) > 2 * (rounds - 1), f"versions {versions}")
    return f"{rounds} applies, {kills[0]} kills"


@contextlib.contextmanager
def one_box():
    with Box() as box:
        yield box


main(one_box)
