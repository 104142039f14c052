"""JupyterHub's configuration, made from the platform's settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from pachon.app.settings import PLATFORM_MARK, Settings
from pachon.core.errors import SetupError
from pachon.hub import pages, proxy, roles
from pachon.hub.accounts import DEMO_ACCOUNTS

NO_ISOLATION = (
    "Embedded mode isolates nobody from this machine: every lab runs as the user who started the platform. "
    "Use it alone or among people you trust."
)
KUBERNETES = "kubernetes"
_LAB_START_TIMEOUT_S = 90
_TELL_ROUTES_AGAIN_EVERY_S = 10


def configure(c: Any, settings: Settings) -> None:  # noqa: ANN401 -- traitlets' Config takes any attribute
    """Fill JupyterHub's configuration object."""
    _configure_hub(c, settings)
    _configure_proxy(c, settings)
    _configure_login(c, settings)
    _configure_labs(c, settings)
    c.JupyterHub.custom_scopes = roles.CUSTOM_SCOPES
    c.JupyterHub.load_roles = roles.roles(settings)
    c.JupyterHub.services = roles.services(settings)
    c.JupyterHub.template_paths = [str(pages.FOLDER)]
    is_local = settings.labs.spawner != KUBERNETES
    c.JupyterHub.template_vars = pages.variables(settings, note=NO_ISOLATION if is_local else "")


def _configure_hub(c: Any, settings: Settings) -> None:  # noqa: ANN401 -- traitlets' Config takes any attribute
    folder = settings.home.resolve() / "hub"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    listen = settings.listen
    c.JupyterHub.bind_url = f"{settings.base_url}/"
    c.JupyterHub.hub_bind_url = f"http://{listen.inner_host}:{listen.hub_port}"
    c.JupyterHub.hub_connect_url = listen.hub_url
    c.JupyterHub.hub_routespec = proxy.HUB_PREFIX
    c.JupyterHub.db_url = settings.hub.db_url or f"sqlite:///{folder / 'jupyterhub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(folder / "cookie_secret")
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.cleanup_proxy = False
    c.JupyterHub.default_url = "/hub/home"


def _configure_proxy(c: Any, settings: Settings) -> None:  # noqa: ANN401 -- traitlets' Config takes any attribute
    listen = settings.listen
    control = listen.proxy_api_url
    token = _secret(settings.hub.proxy_token, "hub.proxy_token")
    c.Proxy.should_start = False
    if settings.hub.proxy == proxy.TRAEFIK:
        c.JupyterHub.proxy_class = "traefik_file"
        c.TraefikFileProviderProxy.dynamic_config_file = str(proxy.hub_routes_path(settings))
        c.TraefikProxy.traefik_entrypoint = proxy.ENTRY_POINT
        c.TraefikProxy.traefik_api_url = control
        c.TraefikProxy.traefik_api_username = proxy.CONTROL_USER
        c.TraefikProxy.traefik_api_password = token
    else:
        c.JupyterHub.proxy_class = "configurable-http-proxy"
        c.ConfigurableHTTPProxy.api_url = control
        c.ConfigurableHTTPProxy.auth_token = token
        c.Proxy.extra_routes = proxy.fixed_routes(settings)
        c.JupyterHub.last_activity_interval = _TELL_ROUTES_AGAIN_EVERY_S  # after each look at activity it checks routes


def _configure_login(c: Any, settings: Settings) -> None:  # noqa: ANN401 -- traitlets' Config takes any attribute
    c.JupyterHub.authenticator_class = settings.hub.authenticator_class
    c.Authenticator.admin_users = set(settings.hub.administrators)
    passwords = {name: password.get_secret_value() for name, password in settings.hub.demo_passwords.items()}
    c.DemoAuthenticator.passwords = passwords
    c.DemoAuthenticator.holder_group = min(settings.rights.holder_groups, default="rights-holders")
    c.DemoAuthenticator.manage_groups = True
    c.DemoAuthenticator.allow_all = True
    c.DemoAuthenticator.allowed_users = {account.name for account in DEMO_ACCOUNTS}


def _configure_labs(c: Any, settings: Settings) -> None:  # noqa: ANN401 -- traitlets' Config takes any attribute
    c.Spawner.default_url = "/lab"
    c.Spawner.server_token_scopes = list(roles.LAB_TOKEN_SCOPES)
    c.Spawner.environment = {
        "PACHON_DOCS_URL": f"{settings.base_url}/docs/",
        "PANEL_INLINE": "true",  # a lab may reach no other host
        **_notebook_templates(settings),
    }
    if settings.labs.spawner == KUBERNETES:
        _configure_pods(c, settings)
    else:
        _configure_processes(c, settings)


def _configure_processes(c: Any, settings: Settings) -> None:  # noqa: ANN401 -- traitlets' Config takes any attribute
    homes = settings.home.resolve() / "homes"
    c.JupyterHub.spawner_class = "pachon.hub.labs.LabSpawner"
    c.LabSpawner.platform_url = settings.api_url
    c.LabSpawner.platform_token = _secret(settings.hub.labs_token, "hub.labs_token")
    c.LabSpawner.home_dir_template = str(homes / "{username}")
    c.Spawner.cmd = [sys.executable, "-m", "pachon.hub.singleuser"]
    c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
    c.Spawner.start_timeout = c.Spawner.http_timeout = _LAB_START_TIMEOUT_S
    c.Spawner.mem_limit = settings.hub.lab_memory_bytes
    c.Spawner.environment |= {
        PLATFORM_MARK: str(settings.home.resolve()),
        "PACHON_API_URL": f"{settings.base_url}/api",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }


def _configure_pods(c: Any, settings: Settings) -> None:  # noqa: ANN401 -- traitlets' Config takes any attribute
    """Pods that meet the Pod Security Standard `restricted`, without a token for Kubernetes."""
    labs, storage = settings.labs, settings.labs.storage
    c.JupyterHub.spawner_class = "pachon.hub.kube_labs.KubeLabSpawner"
    c.JupyterHub.allow_named_servers = labs.named_servers > 0
    c.JupyterHub.named_server_limit_per_user = labs.named_servers
    c.Spawner.cmd = ["jupyterhub-singleuser"]
    c.Spawner.start_timeout = labs.start_timeout_s
    c.Spawner.environment |= {
        "HOME": labs.home_path,
        "PACHON_API_URL": settings.api_url,
        "PACHON_PUBLIC_URL": settings.base_url,
    }
    spawner = c.KubeLabSpawner
    spawner.labs = labs
    spawner.pools = frozenset(settings.allocation.pools)
    spawner.releases_root = settings.releases_path
    spawner.platform_url = settings.api_url
    spawner.platform_token = _secret(settings.hub.labs_token, "hub.labs_token")
    spawner.namespace = labs.namespace
    spawner.working_dir = labs.home_path
    spawner.uid = spawner.gid = spawner.fs_gid = labs.user_id
    spawner.pod_security_context = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "fsGroupChangePolicy": "OnRootMismatch",
    }
    spawner.container_security_context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    spawner.automount_service_account_token = False
    spawner.extra_pod_config = {"enableServiceLinks": False}
    spawner.image_pull_policy = labs.pull_policy
    spawner.image_pull_secrets = list(labs.pull_secrets)
    spawner.node_selector = dict(labs.node_selector)
    spawner.extra_labels = {"app.kubernetes.io/part-of": "pachon"}
    spawner.storage_pvc_ensure = True
    spawner.pvc_name_template = "home-{username}"
    spawner.storage_capacity = str(storage.home_bytes)
    spawner.storage_class = storage.home_class
    spawner.storage_access_modes = [storage.home_access_mode]
    spawner.volumes = {"home": {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}}
    spawner.volume_mounts = {"home": {"name": "home", "mountPath": labs.home_path}}


def _notebook_templates(settings: Settings) -> dict[str, str]:
    path = settings.hub.notebook_templates_path
    return {} if path is None else {"PACHON_NOTEBOOK_TEMPLATES": str(path.resolve())}


def _secret(value: SecretStr | None, name: str) -> str:
    if value is None:
        raise SetupError(f"The setting {name} is missing: 'pachon up' makes it, other starts must give it.")
    return value.get_secret_value()
