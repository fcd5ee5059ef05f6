"""Commands named docker, podman, finch and aws that record how they are called, and do what a test needs of them.

With ``AWS_ENDPOINT_URL`` set, ``aws`` asks that endpoint, and ``push`` of a container tool puts an image into its ECR.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADDRESS = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PASSWORD = "a-password-that-nobody-may-see"
#: What a shell script needs besides.
_BASIC = ("sh", "cat", "cut", "tr", "dirname", "sha256sum")

_PROGRAM = """\
#!{python} -IS
import json, os, sys, time

folder = {folder!r}
name, arguments = os.path.basename(sys.argv[0]).partition(".")[0], sys.argv[1:]
said = sys.stdin.read() if "--password-stdin" in arguments else ""
with open(os.path.join(folder, "calls.jsonl"), "a") as calls:
    calls.write(json.dumps([name, *arguments, *(["< " + said] if said else [])]) + "\\n")
with open(os.path.join(folder, "state.json")) as file:
    state = json.load(file)
line = " ".join([name, *arguments])
if any(line.startswith(one) for one in state["failing"]):
    sys.exit(name + ": told to fail")

while any(line.startswith(one) for one in state["holding"]):
    time.sleep(0.02)
    with open(os.path.join(folder, "state.json")) as file:
        state = json.load(file)

def option(wanted):
    return arguments[arguments.index(wanted) + 1]

def ecr():
    sys.path[:0] = {path!r}
    import boto3
    return boto3.client("ecr")

def keep():
    with open(os.path.join(folder, "state.json"), "w") as file:
        json.dump(state, file)

real = "AWS_ENDPOINT_URL" in os.environ
if name == "aws":
    doing = arguments[1]
    repository = option("--repository-name" + "s" * (doing == "describe-repositories")) if doing[0] in "dcp" else ""
    if real and doing == "describe-repositories":
        print(ecr().describe_repositories(repositoryNames=[repository])["repositories"][0]["repositoryUri"])
    elif real and doing == "describe-images":
        ecr().describe_images(repositoryName=repository, imageIds=[dict([option("--image-ids").split("=")])])
    elif doing == "describe-repositories" and repository not in state["repositories"]:
        sys.exit("RepositoryNotFoundException")
    elif doing == "create-repository":
        state["repositories"].append(repository)
        keep()
        print({address!r} + "/" + repository)
    elif doing == "describe-repositories":
        print({address!r} + "/" + repository)
    elif doing == "describe-images" and option("--image-ids").partition("=")[2] not in state["images"]:
        sys.exit("ImageNotFoundException")
    elif doing == "get-login-password":
        print({password!r})
elif arguments[0] == "push":
    repository, _, tag = arguments[1].partition("/")[2].partition(":")
    if real:
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = dict(schemaVersion=2, mediaType=kind, config=dict(digest=tag), layers=[])
        ecr().put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))
    state["images"].append(tag)
    keep()
print(name + " did it", file=sys.stderr)
"""


@dataclass(frozen=True)
class FakeTools:
    """A folder to be the whole PATH: the fakes that a test puts there, and what a shell needs."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, *names: str) -> FakeTools:
        """Fakes of these names; nothing else of their kind can be found."""
        (folder / "bin").mkdir(parents=True)
        tools = cls(folder)
        tools._write({"repositories": [], "images": [], "failing": [], "holding": []})
        for basic in _BASIC:
            (folder / "bin" / basic).symlink_to(str(shutil.which(basic)))
        program = _PROGRAM.format(
            python=sys.executable, folder=str(folder), path=sys.path, address=ADDRESS, password=PASSWORD
        )
        for name in names:
            (folder / "bin" / name).write_text(program, encoding="utf-8")
            (folder / "bin" / name).chmod(0o755)
        return tools

    @property
    def path(self) -> str:
        return str(self.folder / "bin")

    @property
    def environment(self) -> dict[str, str]:
        """Without anything of the machine's AWS."""
        return {"PATH": self.path, "HOME": str(self.folder), "LANG": "C.UTF-8"}

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        return found

    def fail(self, *lines: str) -> None:
        """Has the commands that begin so fail, and no others."""
        self._write({**self.state, "failing": lines})

    def hold(self, *lines: str) -> None:
        """Has the commands that begin so wait until this is called again without them."""
        self._write({**self.state, "holding": lines})

    def calls(self) -> list[str]:
        """All calls so far, a line each; what came by standard input stands behind ``<``."""
        path = self.folder / "calls.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [" ".join(json.loads(line)) for line in lines]

    def forget(self) -> None:
        """Forgets the calls so far."""
        if (self.folder / "calls.jsonl").exists():
            os.remove(self.folder / "calls.jsonl")

    def _write(self, state: dict[str, Any]) -> None:
        new = self.folder / "state.json.new"
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(self.folder / "state.json")
