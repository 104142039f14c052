"""Which tests stay together when several processes share the suite."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

SHARED = {
    "a cluster": (
        "cluster/test_chart.py",
        "cluster/test_chart_labs.py",
        "cluster/test_control_plane.py",
        "cluster/test_helm.py",
        "cluster/test_kube_spawner.py",
        "cluster/test_labs.py",
    ),
    "a platform that is killed": ("e2e/test_jobs.py", "e2e/test_lab_releases.py", "e2e/test_process_model.py"),
    "a platform with a Portal": ("browser/test_portal.py", "browser/test_portal_queries.py"),
    "real catalogues": ("browser/test_lab.py", "e2e/test_lab.py", "e2e/test_readme.py", "preview/test_catalogues.py"),
    "two installations": ("rights/test_canaries.py", "rights/test_group_change.py", "rights/test_planted_leaks.py"),
}
"""Modules below `tests/`, by what they share that is expensive to start."""
_GROUPS = {f"tests/{module}": name for name, modules in SHARED.items() for module in modules}


class TogetherScheduling(LoadScopeScheduling):
    """Gives a process all tests of a module, or of the modules that share something, at once."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return _GROUPS.get(module, module)
