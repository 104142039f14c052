"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler on free ports of 127.0.0.1."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from support.cluster.certificates import Authority, Credential, write_key
from support.stack import free_ports

MASTERS = "system:masters"
_NAMES = ("127.0.0.1", "10.96.0.1", "localhost", "kubernetes.default.svc")
_NOBODY = "192.0.2.1"
"""An address for documentation: the API server tells nobody where it is, and asks for one all the same."""
_READY_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane without a node."""

    folder: Path
    url: str
    authority: Authority
    admin_kubeconfig: Path
    pids: Mapping[str, int]


@contextmanager
def running_control_plane(programs: Path, folder: Path) -> Iterator[ControlPlane]:
    """Start the four processes, wait until the API server is ready, end them by their ids.

    RBAC decides, and the default admission plugins are on: PodSecurity, ResourceQuota and LimitRanger among them.

    Parameters
    ----------
    programs
        Folder of the components (`support.cluster.programs`).
    folder
        Of the state, keys and logs.
    """
    etcd_port, peer_port, api_port = free_ports(3)
    url = f"https://127.0.0.1:{api_port}"
    authority = Authority(folder / "keys")
    server = authority.issue("kube-apiserver", hosts=_NAMES)
    token_key = write_key(folder / "keys" / "tokens.key", ec.generate_private_key(ec.SECP256R1()))
    manager = authority.kubeconfig(url, "system:kube-controller-manager", groups=[MASTERS])
    scheduler = authority.kubeconfig(url, "system:kube-scheduler")
    admin = authority.issue("admin", groups=[MASTERS])
    login = {"client-certificate": str(admin.certificate_path), "client-key": str(admin.key_path)}
    with ExitStack() as running:
        running.callback(shutil.rmtree, folder / "etcd", ignore_errors=True)
        processes = Processes(programs, folder / "logs", running)
        processes.start("etcd", etcd_flags(folder / "etcd", etcd_port, peer_port))
        processes.start("kube-apiserver", _api_flags(api_port, etcd_port, authority, server, token_key))
        _wait_until_ready(url, authority, admin, processes)
        processes.start("kube-controller-manager", _manager_flags(manager, authority, token_key))
        processes.start("kube-scheduler", {"kubeconfig": scheduler, "secure-port": 0, "leader-elect": "false"})
        pids = {name: process.pid for name, process in processes.running.items()}
        yield ControlPlane(folder, url, authority, authority.write_kubeconfig("admin", url, login), pids)


class Processes:
    """Children that end with this process, whatever happens to it."""

    def __init__(self, programs: Path, logs: Path, stack: ExitStack) -> None:
        logs.mkdir()
        self._programs, self._logs = programs, logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        stack.callback(self._end)

    def start(self, name: str, flags: Mapping[str, object]) -> None:
        """Start a component; its output goes to a log."""
        words = [f"--{flag}={value}" for flag, value in flags.items()]
        with (self._logs / f"{name}.txt").open("wb") as log:
            command = ["setpriv", "--pdeathsig", "KILL", self._programs / name, *words]
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def complain_of_ended(self) -> None:
        """Raise with the end of the log of a component that has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                log = (self._logs / f"{name}.txt").read_text()
                raise RuntimeError(f"{name} ended with exit code {process.returncode}:\n{log[-2000:]}")

    def _end(self) -> None:
        """What they know is thrown away: nothing is gained by letting a server wait for its watchers."""
        for process in self.running.values():
            process.kill()
            process.wait()


def etcd_flags(folder: Path, client_port: int, peer_port: int) -> dict[str, object]:
    """Of one member that keeps what it is told in a folder, and is quick rather than safe."""
    client_url, peer_url = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    return {
        "name": "test",
        "data-dir": folder,
        "unsafe-no-fsync": "true",
        "listen-client-urls": client_url,
        "advertise-client-urls": client_url,
        "listen-peer-urls": peer_url,
        "initial-advertise-peer-urls": peer_url,
        "initial-cluster": f"test={peer_url}",
    }


def _api_flags(
    port: int, etcd_port: int, authority: Authority, server: Credential, token_key: Path
) -> dict[str, object]:
    return {
        "etcd-servers": f"http://127.0.0.1:{etcd_port}",
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "advertise-address": _NOBODY,
        "endpoint-reconciler-type": "none",
        "tls-cert-file": server.certificate_path,
        "tls-private-key-file": server.key_path,
        "client-ca-file": authority.certificate_path,
        "authorization-mode": "Node,RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-signing-key-file": token_key,
        "service-account-key-file": token_key,
        "service-cluster-ip-range": "10.96.0.0/16",
    }


def _manager_flags(kubeconfig: Path, authority: Authority, token_key: Path) -> dict[str, object]:
    return {
        "kubeconfig": kubeconfig,
        "secure-port": 0,
        "leader-elect": "false",
        "root-ca-file": authority.certificate_path,
        "service-account-private-key-file": token_key,
        "node-monitor-grace-period": "24h",
    }


def _wait_until_ready(url: str, authority: Authority, login: Credential, processes: Processes) -> None:
    context = ssl.create_default_context(cafile=authority.certificate_path)
    context.load_cert_chain(login.certificate_path, login.key_path)
    give_up_at = time.monotonic() + _READY_TIMEOUT_S
    with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=5) as client:
        while not _is_ready(client):
            processes.complain_of_ended()
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"kube-apiserver is not ready after {_READY_TIMEOUT_S:.0f} s")
            time.sleep(0.1)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
