"""A small Hugging Face Hub on loopback: as much of its HTTP API as sharing a model takes.

It speaks to the real ``huggingface_hub`` client: log in, create, ask how to upload, upload by
Git LFS, commit, list, download. `faults` makes it fail on demand.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

WRITE, READ = "hf_writewritewritewrite", "hf_readreadreadread"
USERS = {WRITE: ("ada", "write"), READ: ("ada", "read")}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@dataclass
class State:
    """What the server knows; a test reads it, and plants faults in it.

    `faults` maps a step ("create", "preupload", "batch", "lfs", "commit") to what happens at
    the next requests of that kind: a status code, "drop" (the connection ends in the middle),
    or None for all well.
    """

    repos: dict = field(default_factory=dict)  # name -> {path: bytes}
    blobs: dict = field(default_factory=dict)  # sha256 -> bytes, the large files
    faults: dict = field(default_factory=dict)  # step -> list, taken from the front
    commits: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    private: dict = field(default_factory=dict)
    echo: str = ""  # said in every error message


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    @property
    def state(self):
        return self.server.state

    def user(self):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return USERS.get(token, (None, None))

    def body(self):
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, content=b"", headers=()):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status, why):
        why += self.state.echo
        self.answer(status, {"error": why}, {"X-Error-Message": why})

    def fails(self, step):
        """Carry out the next fault planted for a step, if there is one."""
        queue = self.state.faults.get(step, [])
        fault = queue.pop(0) if queue else None
        if fault == "drop":
            self.rfile.read(min(1000, int(self.headers.get("Content-Length", 0))))
            self.close_connection = True
            self.connection.close()
        elif fault is not None:
            self.body()
            self.refuse(fault, f"planted {fault}")
        return fault is not None

    def route(self):
        path = self.path.split("?")[0]
        self.state.requests.append(f"{self.command} {path}")
        for method, pattern, step in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command == method:
                return getattr(self, step)(*match.groups())
        self.body()
        return self.refuse(404, f"no route for {self.command} {path}")

    do_GET = do_POST = do_PUT = do_HEAD = route

    def whoami(self):
        name, _ = self.user()
        if name is None:
            return self.refuse(401, "Invalid credentials")
        return self.answer(200, {"type": "user", "name": name, "orgs": []})

    def yaml(self):
        self.body()
        self.answer(200, {"errors": [], "warnings": []})

    def create(self):
        if self.fails("create"):
            return None
        wish, (name, role) = json.loads(self.body()), self.user()
        owner = wish.get("organization") or name
        if name is None:
            return self.refuse(401, "Invalid username or password.")
        if role != "write" or owner != name:
            return self.refuse(403, f"You may not create a model under {owner}.")
        full = f"{owner}/{wish['name']}"
        url = f"{self.server.url}/{full}"
        if full in self.state.repos:
            return self.answer(409, {"error": "You already created this model repo", "url": url})
        self.state.repos[full] = {".gitattributes": b"*.safetensors filter=lfs\n"}
        self.state.private[full] = wish.get("visibility") == "private" or wish.get("private")
        return self.answer(200, {"url": url, "name": full})

    def preupload(self, repo, _):
        if self.fails("preupload"):
            return
        files = json.loads(self.body())["files"]
        self.answer(200, {"files": [self.mode(file) for file in files]})

    @staticmethod
    def mode(file):
        large = file["path"].endswith(".safetensors")
        return {
            "path": file["path"],
            "uploadMode": "lfs" if large else "regular",
            "shouldIgnore": False,
        }

    def batch(self, repo):
        if self.fails("batch"):
            return
        objects = []
        for wanted in json.loads(self.body())["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.state.blobs:
                href = f"{self.server.url}/lfs/{wanted['oid']}"
                entry["actions"] = {"upload": {"href": href}}
            objects.append(entry)
        self.answer(200, {"transfer": "basic", "objects": objects})

    def lfs(self, oid):
        if self.fails("lfs"):
            return None
        data = self.body()
        if sha256(data) != oid:
            return self.refuse(400, "the bytes are not those announced")
        self.state.blobs[oid] = data
        return self.answer(200)

    def commit(self, repo, _):
        if self.fails("commit"):
            return None
        if self.user()[1] != "write":
            return self.refuse(403, "You may not write here.")
        lines = [json.loads(line) for line in self.body().splitlines()]
        changed = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                changed[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                changed[value["path"]] = self.state.blobs[value["oid"]]
        self.state.repos[repo].update(changed)
        self.state.commits.append((repo, sorted(changed)))
        url = f"{self.server.url}/{repo}/commit/{self.revision()}"
        return self.answer(200, {"commitUrl": url, "commitOid": self.revision(), "success": True})

    def revision(self):
        return hashlib.sha1(str(self.state.commits).encode()).hexdigest()

    def info(self, repo):
        if repo not in self.state.repos:
            return self.refuse(404, "Repository not found")
        files = [{"rfilename": path} for path in sorted(self.state.repos[repo])]
        facts = {"id": repo, "modelId": repo, "sha": self.revision(), "siblings": files}
        return self.answer(200, facts | {"private": False, "tags": [], "downloads": 0})

    def tree(self, repo):
        files = self.state.repos[repo].items()
        self.answer(
            200,
            [
                {"type": "file", "path": path, "size": len(data), "oid": sha256(data)[:40]}
                for path, data in sorted(files)
            ],
        )

    def resolve(self, repo, path):
        data = self.state.repos.get(repo, {}).get(path)
        if data is None:
            code = "EntryNotFound" if repo in self.state.repos else "RepoNotFound"
            return self.answer(404, b"", {"X-Error-Code": code, "X-Repo-Commit": self.revision()})
        known = {"ETag": f'"{sha256(data)}"', "X-Repo-Commit": self.revision()}
        return self.answer(200, data, known)


REPO = r"([\w.-]+/[\w.-]+)"
ROUTES = [
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/validate-yaml", "yaml"),
    ("POST", r"/api/repos/create", "create"),
    ("POST", rf"/api/models/{REPO}/preupload/(.+)", "preupload"),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", "batch"),
    ("PUT", r"/lfs/(\w+)", "lfs"),
    ("POST", rf"/api/models/{REPO}/commit/(.+)", "commit"),
    ("GET", rf"/api/models/{REPO}", "info"),
    ("GET", rf"/api/models/{REPO}/revision/\w+", "info"),
    ("GET", rf"/api/models/{REPO}/tree/\w+", "tree"),
    ("GET", rf"/{REPO}/resolve/\w+/(.+)", "resolve"),
    ("HEAD", rf"/{REPO}/resolve/\w+/(.+)", "resolve"),
]


class Server(ThreadingHTTPServer):
    """Use as a context; `url` is its address, `state` what it knows."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Hub)
        self.state = State()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()

    def handle_error(self, *args):
        """A connection dropped on purpose is no news."""
