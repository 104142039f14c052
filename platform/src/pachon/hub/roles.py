"""Who may do what at the hub: custom scopes, roles of everybody and of data rights holders, scopes of tokens."""

from __future__ import annotations

from pydantic import SecretStr

from pachon.app.settings import Settings
from pachon.core import clock
from pachon.identity.models import Principal, Scope
from pachon.rights.models import Access
from pachon.rights.policy import RightsPolicy

API_CLIENT = "service-api"
PORTAL_CLIENT = "service-portal"
LABS_SERVICE = "labs"
ACCESS_API = "access:services!service=api"
ACCESS_PORTAL = "access:services!service=portal"

CUSTOM_SCOPES = {
    Scope.QUERY.value: {"description": "Ask catalogues in your name and read your own executions"},
    Scope.ADMIN.value: {"description": "See the state and the totals of the whole platform"},
    Scope.ALL_QUERIES.value: {"description": "Read everybody's executions, texts of queries included"},
    Scope.MOUNTS.value: {
        "description": "Ask which release folders a person's lab may see: for the hub's service `labs` alone"
    },
    Scope.ALLOCATION.value: {
        "description": "Reserve a part of the share of user computing: for the hub's service `labs` alone"
    },
}

_ASPECTS = {Access.SPAWN: "self", Access.PORTAL: ACCESS_PORTAL}
_EVERYBODY = ("read:users!user", "users:activity!user", "tokens!user", ACCESS_API, Scope.QUERY.value)
_OWN_PROFILE = ("read:users:name!user", "read:users:groups!user")

QUERY_TOKEN_SCOPES = (*_OWN_PROFILE, ACCESS_API, Scope.QUERY.value)
"""What a person's own token for TOPCAT, pyvo or a script needs: to ask the Web APIs as that person, and no more."""

LAB_TOKEN_SCOPES = ("users:activity!user", "access:servers!server", *_OWN_PROFILE, ACCESS_API, Scope.QUERY.value)
"""What a lab's `JUPYTERHUB_API_TOKEN` may do: run the lab, and ask the Web APIs as its owner."""

SERVICE_TOKEN_SCOPES = (*_OWN_PROFILE, ACCESS_API, Scope.QUERY.value, Scope.ADMIN.value)
"""What a browser session at the Web APIs or the Portal may do, as far as the person may."""


def roles(settings: Settings) -> list[dict[str, object]]:
    """The roles, in the words of `JupyterHub.load_roles`.

    Everybody who logs in sees their profile, makes tokens and uses the Web APIs; who else starts a lab and enters the
    Portal is as the rights policy decides for members of no group, and for data rights holders.
    """
    policy, holder_groups = settings.rights.policy(), settings.rights.holder_groups
    return [
        {
            "name": "user",
            "description": "Everybody: own profile, own tokens, Web APIs",
            "scopes": [*_EVERYBODY, *_scopes_of_aspects(policy, frozenset())],
        },
        {
            "name": "rights-holder",
            "description": "Data rights holders: JupyterLab and the Portal",
            "scopes": _scopes_of_aspects(policy, holder_groups),
            "groups": sorted(holder_groups),
        },
        {
            "name": "platform-admin",
            "description": "Sees the state of the whole platform",
            "scopes": [Scope.ADMIN.value],
            "users": sorted(settings.hub.administrators),
        },
        {
            "name": "lab-starter",
            "description": "The hub itself, when it starts a lab",
            "scopes": [Scope.MOUNTS.value, Scope.ALLOCATION.value],
            "services": [LABS_SERVICE],
        },
        {
            "name": "people-finder",
            "description": "The Web APIs, to tell whether there is somebody whom a query is to be shared with",
            "scopes": ["list:users"],
            "services": ["api"],
        },
    ]


def _scopes_of_aspects(policy: RightsPolicy, groups: frozenset[str]) -> list[str]:
    """What opens those parts of the platform that are open to somebody in some groups."""
    somebody = Principal("somebody", groups)
    return [scope for access, scope in _ASPECTS.items() if policy.decide(somebody, access, at=clock.now()).allowed]


def services(settings: Settings) -> list[dict[str, object]]:
    """The Web APIs and the Portal as external services: each its own OAuth client, started by nobody here.

    `labs` is no program: it is the name by which the hub itself asks the Web APIs when it starts a lab.
    """
    identity = settings.identity
    clients = (
        ("api", API_CLIENT, identity.api_token, ()),
        ("portal", PORTAL_CLIENT, identity.portal_token, (ACCESS_PORTAL,)),
    )
    labs = settings.hub.labs_token
    return [
        {"name": LABS_SERVICE, "api_token": labs.get_secret_value() if labs else "", "display": False},
        *(_client(settings, name, client, token, access) for name, client, token, access in clients),
    ]


def _client(
    settings: Settings, name: str, client: str, token: SecretStr | None, access: tuple[str, ...]
) -> dict[str, object]:
    return {
        "name": name,
        "api_token": token.get_secret_value() if token else "",
        "oauth_client_id": client,
        "oauth_redirect_uri": f"{settings.base_url}/{name}/oauth_callback",
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": [*SERVICE_TOKEN_SCOPES, *access],
        "display": False,
    }
