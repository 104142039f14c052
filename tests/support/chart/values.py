"""The values that the chart is tested with: by default, as large as it goes, and with everything brought along."""

from __future__ import annotations

from typing import Any

SHARED = {"releases": {"accessMode": "ReadWriteMany"}, "workspace": {"accessMode": "ReadWriteMany"}}

MATRIX: dict[str, dict[str, Any]] = {
    "default": {},
    "large": {
        "url": "https://sky.example.org",
        "api": {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 9}},
        "portal": {"replicas": 3},
        "storage": SHARED,
        "catalogues": {"load": True},
        "hub": {"subdomains": True, "nodeSelector": {"disk": "fast"}},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"example.org/owner": "sky"},
            "tls": {"secretName": "sky-tls", "clusterIssuer": "letters"},
        },
        "images": {"registry": "registry.example.org/sky/", "pullSecrets": ["registry"]},
        "settings": {
            "queries": {"scan": {"workers": 6, "memory_bytes": 17_179_869_184}},
            "uploads": {"hosts": ["a.org"]},
        },
    },
    "brought along": {
        "url": "https://sky.example.org:8443",
        "secrets": {"existingSecret": "sky-secrets"},
        "database": {"kind": "external", "external": {"host": "db.example.org", "existingSecret": "sky-database"}},
        "auth": {
            "kind": "oidc",
            "adminUsers": ["ada"],
            "oidc": {
                "clientId": "pachon",
                "existingSecret": "sky-oidc",
                "authorizeUrl": "https://id.example.org/authorize",
                "tokenUrl": "https://id.example.org/token",
                "userdataUrl": "https://id.example.org/userinfo",
                "allowedGroups": ["rights-holders", "staff"],
            },
        },
        "storage": {name: {"existingClaim": f"sky-{name}", **volume} for name, volume in SHARED.items()},
        "hub": {"storage": {"existingClaim": "sky-hub"}},
        "api": {"replicas": 2},
        "portal": {"replicas": 2},
        "gateway": {"enabled": True, "parentRefs": [{"name": "doors"}], "sessionPersistence": True},
        "labs": {
            "createNamespace": False,
            "internet": False,
            "prePull": False,
            "homeGiB": 0.5,
            "homeClassName": "fast",
            "releasesClaim": "releases",
            "nodeSelector": {"pool": "labs"},
        },
        "allocation": {"share": 0.33, "capacity": {"cpu": 96.5, "memoryGiB": 384}},
    },
    "own login": {
        "url": "http://sky.example.org",
        "auth": {"kind": "custom", "authenticatorClass": "nullauthenticator.NullAuthenticator"},
        "hub": {"extraConfig": {"banner": "c.JupyterHub.template_vars = {}\n"}},
        "ingress": {"enabled": True, "controller": "traefik"},
        "portal": {"replicas": 2},
        "images": {"platform": {"digest": "sha256:" + "a" * 64}},
        "fullnameOverride": "sky",
    },
}
