"""Settings: one validated tree that refuses unknown keys.

Read from the YAML file named by `PACHON_SETTINGS` (optional), then from environment variables named
`PACHON_<GROUP>__<NAME>`, which win: secrets come from there. Nothing else in the package reads the environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from pachon.app.lab_settings import AllocationSettings, Group, LabSettings
from pachon.rights.models import Access
from pachon.rights.policy import RightsPolicy

GIBIBYTE = 1024**3
PLATFORM_MARK = "PACHON_PLATFORM_HOME"
"""Environment variable that every process of a platform carries, labs too: the home it belongs to."""
INNER_HOST = "127.0.0.1"
"""Where the processes behind the proxy listen on one machine: they trust each other, so no other may reach them."""
_DEMO_AUTHENTICATOR = "pachon.hub.demo.DemoAuthenticator"
_EVERYWHERE = {"0.0.0.0": INNER_HOST, "::": "::1"}  # noqa: S104 -- compared with, not bound to


def _inner_url(host: str, port: int) -> str:
    """Address of a process behind the proxy, without a trailing slash."""
    return f"http://{host}:{port}"


class ListenSettings(Group):
    """Where the processes listen, and under which names they find each other."""

    host: str = Field(
        INNER_HOST,
        description="Address of the proxy, the one door: `0.0.0.0` lets in other machines (set `public_url` too). "
        "All processes behind it stay on `127.0.0.1`.",
    )
    inner_host: str = Field(
        INNER_HOST,
        description="Address on which hub, Web APIs and Portal listen. They trust each other: another one than "
        "`127.0.0.1` is for pods behind network policies.",
    )
    hub_host: str = Field(INNER_HOST, description="Name under which the other processes reach the hub.")
    api_host: str = Field(INNER_HOST, description="Name under which they reach the Web APIs.")
    portal_host: str = Field(INNER_HOST, description="Name under which the proxy reaches the Portal.")
    proxy_api_host: str = Field(INNER_HOST, description="Name under which the hub reaches the proxy's control port.")
    trusted_proxies: frozenset[str] = Field(
        frozenset({INNER_HOST}),
        description="Addresses and networks of proxies: what they say of a visitor's address is believed.",
    )
    finish_s: float = Field(
        5, ge=0, description="How long answers under way may take when the Web APIs are told to end, seconds."
    )
    proxy_port: int = Field(8000, description="The one port people use.")
    proxy_api_port: int = Field(8001, description="Control port of the proxy; only the hub talks to it.")
    hub_port: int = Field(8002, description="JupyterHub's own API and pages.")
    api_port: int = Field(8003, description="Web APIs.")
    portal_port: int = Field(8004, description="Portal.")

    @property
    def hub_url(self) -> str:
        """The hub, without a trailing slash."""
        return _inner_url(self.hub_host, self.hub_port)

    @property
    def api_url(self) -> str:
        """The Web APIs' process, without a trailing slash: their addresses begin with `/api`."""
        return _inner_url(self.api_host, self.api_port)

    @property
    def portal_url(self) -> str:
        """The Portal's process, without a trailing slash."""
        return _inner_url(self.portal_host, self.portal_port)

    @property
    def proxy_api_url(self) -> str:
        """The proxy's control port, without a trailing slash."""
        return _inner_url(self.proxy_api_host, self.proxy_api_port)


class DatabaseSettings(Group):
    """Where state is kept."""

    url: str | None = Field(
        None, description="SQLAlchemy URL (`sqlite:///...` or `postgresql+psycopg://...`); default: SQLite in `home`."
    )


class IdentitySettings(Group):
    """How the Web APIs learn who asks."""

    hub_url: HttpUrl | None = Field(None, description="Base of JupyterHub's REST API; default: from `listen`.")
    cache_s: float = Field(
        30,
        ge=0,
        le=30,
        description="How long an answer of the hub is believed, seconds: groups change within that time.",
    )
    timeout_s: float = Field(5, gt=0, description="How long the hub may take to answer, seconds.")
    api_token: SecretStr | None = Field(None, description="Token of the service `api` (secret).")
    portal_token: SecretStr | None = Field(None, description="Token of the service `portal` (secret).")
    cookie_secret: SecretStr | None = Field(None, description="Key that seals the Web APIs' login cookie (secret).")


class RightsSettings(Group):
    """Who holds data rights."""

    holder_groups: frozenset[str] = Field(
        frozenset({"rights-holders"}), description="Hub groups whose members are data rights holders."
    )
    years_until_public: int = Field(2, ge=0, description="Years after which a release for holders is world public.")
    open_to_all: frozenset[Access] = Field(
        frozenset({Access.ALERT_STREAM}),
        description="Parts of the platform that are for everybody, of `spawn`, `portal`, `filter`, `alert-stream` and "
        "`alert-archive`.",
    )

    def policy(self) -> RightsPolicy:
        """The policy by which everything decides."""
        return RightsPolicy(self.holder_groups, self.years_until_public, self.open_to_all)


class WorkerClassSettings(Group):
    """Workers of one class of queries."""

    workers: int = Field(1, ge=1, description="Worker processes: as many queries run at once.")
    threads: int = Field(1, ge=1, description="Threads of one worker.")
    memory_bytes: int = Field(GIBIBYTE, ge=64 * 1024**2, description="Memory limit of one worker.")
    temp_disk_bytes: int = Field(20 * GIBIBYTE, ge=0, description="Spill limit of one worker.")
    running_per_person: int = Field(
        2, ge=1, description="Queries one person may run at once; of two or more workers, one is always left to others."
    )
    running_anonymous: int = Field(
        2, ge=1, description="Queries all anonymous visitors together may run at once; one worker is left here too."
    )
    queue_timeout_s: float = Field(60, ge=0, description="How long a synchronous query may wait for its turn, seconds.")
    time_limit_s: float | None = Field(
        None,
        gt=0,
        description="How long a query may work on its first row before it goes to the next larger class, seconds; "
        "the largest has no such limit.",
    )
    idle_s: float | None = Field(
        None,
        gt=0,
        description="Workers start when they are needed and end when they were not for so long, seconds; "
        "without, they start at once and stay.",
    )
    niceness: int = Field(0, ge=0, le=19, description="How far workers stand back when processors are short.")


_OF_CLASS: dict[str, dict[str, Any]] = {
    "short": {
        "workers": 4, "threads": 2, "running_per_person": 3, "running_anonymous": 3, "queue_timeout_s": 10,
        "time_limit_s": 5,
    },
    "scan": {
        "workers": 2, "threads": 2, "memory_bytes": 4 * GIBIBYTE, "time_limit_s": 120, "idle_s": 900, "niceness": 5,
    },
    "heavy": {"threads": 2, "memory_bytes": 6 * GIBIBYTE, "idle_s": 120, "niceness": 10},
}  # fmt: skip
"""For two cores and 24 GB of memory; `docs/adr/0019-classes-of-work.md` says how they grow."""


class QuerySettings(Group):
    """Limits of catalogue queries."""

    default_rows: int = Field(100_000, ge=1, description="MAXREC when the request names none.")
    max_rows: int = Field(10_000_000, ge=1, description="The largest MAXREC allowed.")
    short: WorkerClassSettings = Field(
        WorkerClassSettings.model_validate(_OF_CLASS["short"]),
        description="Workers of queries below a second: cones, identifiers, metadata.",
    )
    scan: WorkerClassSettings = Field(
        WorkerClassSettings.model_validate(_OF_CLASS["scan"]),
        description="Workers of queries below half a minute: whole columns, joins by key.",
    )
    heavy: WorkerClassSettings = Field(
        WorkerClassSettings.model_validate(_OF_CLASS["heavy"]),
        description="Workers of all longer queries.",
    )
    binding_at_once: int = Field(
        4, ge=1, description="Queries that are bound and sorted into classes at once, before they wait for their turn."
    )
    waiting: int = Field(200, ge=0, description="Queries of each class that may wait for their turn.")
    waiting_per_person: int = Field(50, ge=0, description="Queries of one person, or one address, that may wait.")
    disk_reserve_bytes: int = Field(
        5 * GIBIBYTE, ge=0, description="Disk that spilling leaves free: at start, smaller spill limits follow from it."
    )
    tiles_at_once: int = Field(2, ge=1, description="Density tiles counted at once; others wait.")
    event_streams_per_person: int = Field(20, ge=1, description="Streams of events one person may keep open.")
    sync_timeout_s: float = Field(60, gt=0, description="How long a synchronous query may run, seconds.")
    keep_executions_days: float = Field(7, gt=0, description="How long the record of an unnamed run is kept, days.")
    max_query_chars: int = Field(250_000, ge=1, description="The longest ADQL text accepted, characters.")

    @model_validator(mode="before")
    @classmethod
    def _known_classes(cls, given: object) -> object:
        """What is not said of a class is as in its defaults, not as in those of all classes."""
        if not isinstance(given, dict):
            return given
        partly = {name: given[name] for name in _OF_CLASS if isinstance(given.get(name), dict)}
        return {**given, **{name: {**_OF_CLASS[name], **own} for name, own in partly.items()}}


class JobSettings(Group):
    """Limits of jobs: queries that are answered later, by asynchronous TAP."""

    path: Path | None = Field(
        None, description="Folder of results, the same for all API processes; default: `jobs` in `home`."
    )
    running_per_process: int = Field(
        1,
        ge=0,
        description="Jobs of each class that execute at once in one API process, each in a query worker that "
        "synchronous queries go without; no more than the class has workers.",
    )
    running_total: int = Field(8, ge=1, description="Jobs of each class that execute at once in all.")
    running_per_person: int = Field(2, ge=1, description="Jobs of one person, of each class, that execute at once.")
    default_duration_s: int = Field(3_600, ge=1, description="How long a job may execute by default, seconds.")
    max_duration_s: int = Field(14_400, ge=1, description="How long a job may execute at most, seconds.")
    default_destruction_days: float = Field(7, gt=0, description="How long a job is kept by default, days.")
    max_destruction_days: float = Field(30, gt=0, description="How long a job may be kept at most, days.")
    max_result_bytes_total: int = Field(50 * GIBIBYTE, ge=1, description="Size on disk of the results of all people.")
    max_result_bytes_per_person: int = Field(
        5 * GIBIBYTE, ge=1, description="Size on disk of the results of one person, and of all anonymous visitors."
    )
    max_sent_bytes_per_person: int = Field(
        10 * GIBIBYTE,
        ge=1,
        description="Size on disk of the tables that one person, or all anonymous visitors, sent for jobs still kept.",
    )
    kept_per_person: int = Field(500, ge=1, description="Jobs that one person may keep.")
    kept_anonymous: int = Field(2_000, ge=1, description="Jobs that all anonymous visitors together may keep.")
    lease_s: float = Field(
        15, ge=1, description="After how many seconds without a sign of a process its jobs are executed by another."
    )


class ReceivingSettings(Group):
    """Limits of receiving requests with files."""

    at_once: int = Field(8, ge=1, description="Requests received at once in one process.")
    per_person: int = Field(
        2, ge=1, description="Of these, those of one person or address; of two or more, one is always left to others."
    )
    anonymous: int = Field(4, ge=1, description="Of these, those of all anonymous visitors together.")
    waiting: int = Field(100, ge=0, description="Requests that may wait for their turn.")
    waiting_per_person: int = Field(10, ge=0, description="Of these, those of one person or address.")
    wait_s: float = Field(20, ge=0, description="How long one may wait for its turn, seconds.")
    timeout_s: float = Field(1_800, gt=0, description="How long one may take to come, seconds.")
    stall_s: float = Field(30, gt=0, description="How long nothing may come of it, seconds.")


class UploadSettings(Group):
    """Limits of tables that people send with a query."""

    path: Path | None = Field(
        None, description="Folder of uploads while they are read, of this machine; default: `uploads` in `home`."
    )
    max_tables: int = Field(10, ge=0, description="Tables that one query may bring along; 0 for none.")
    max_bytes: int = Field(2 * GIBIBYTE, ge=1, description="Size of one table, as sent and unpacked.")
    max_rows: int = Field(20_000_000, ge=1, description="Rows of one table.")
    max_columns: int = Field(2_000, ge=1, description="Columns of one table.")
    hosts: frozenset[str] = Field(
        frozenset(),
        description="Hosts (`host` or `host:port`) whose http and https addresses may be uploaded. A name must stand "
        "for a public address; a private address is reached only where it is itself listed.",
    )
    timeout_s: float = Field(
        300, gt=0, description="How long fetching and converting the tables of one query may take."
    )
    memory_bytes: int = Field(
        2 * GIBIBYTE, ge=512 * 1024**2, description="Memory limit of the process that converts the tables of one query."
    )
    receiving: ReceivingSettings = Field(
        ReceivingSettings(), description="How many requests with files are received at once, and how long one may take."
    )


class SavedQuerySettings(Group):
    """Limits of saved queries."""

    path: Path | None = Field(
        None, description="Folder of kept results, the same for all API processes; default: `saved` in `home`."
    )
    kept_per_person: int = Field(10_000, ge=1, description="Queries that one person may keep.")
    versions_per_query: int = Field(1_000, ge=1, description="Versions of one query.")
    shares_per_query: int = Field(100, ge=0, description="People, groups and links with which one query is shared.")
    max_result_bytes_per_person: int = Field(
        2 * GIBIBYTE, ge=0, description="Size on disk of the results kept with one person's queries."
    )


class ConeSettings(Group):
    """Limits of Simple Cone Search."""

    max_radius_deg: float = Field(10.0, gt=0, le=180, description="The largest SR allowed, degrees.")
    max_rows: int = Field(1_000_000, ge=1, description="The largest MAXREC allowed.")


class DownloadSettings(Group):
    """Limits of bulk download and of fetching results of jobs, for each process of the Web APIs."""

    max_streams: int = Field(256, ge=1, description="How many downloads may be under way.")
    max_streams_per_person: int = Field(16, ge=1, description="How many of them may be one person's.")
    reader_threads: int = Field(4, ge=1, description="How many pieces of files are read from disk at once.")
    stall_timeout_s: float = Field(60, gt=0, description="How long a client may take for 256 KiB, seconds.")


class HubSettings(Group):
    """JupyterHub, embedded."""

    proxy: str = Field("traefik", pattern="^(traefik|configurable-http-proxy)$", description="The proxy in front.")
    proxy_command: Path | None = Field(
        None, description="Program of the proxy; default: beside this Python, then on the search path."
    )
    proxy_token: SecretStr | None = Field(None, description="Key of the proxy's control port (secret).")
    labs_token: SecretStr | None = Field(
        None, description="Token by which the hub asks which release folders a lab may see (secret)."
    )
    authenticator_class: str = Field(
        _DEMO_AUTHENTICATOR, description="JupyterHub authenticator; the default serves demo accounts."
    )
    db_url: str | None = Field(
        None, description="SQLAlchemy URL of JupyterHub's own database; default: SQLite in `home`."
    )
    config_files: tuple[Path, ...] = Field(
        (), description="Further JupyterHub configuration files, read last (production authenticators go there)."
    )
    admin_users: frozenset[str] = Field(
        frozenset(), description="Hub administrators; the demo accounts bring `admin`, other authenticators nobody."
    )
    demo_passwords: dict[str, SecretStr] = Field(
        {}, description="Passwords of the demo accounts, by name (secret); only the demo authenticator reads them."
    )
    lab_memory_bytes: int = Field(4 * GIBIBYTE, ge=0, description="Memory limit told to a lab.")
    notebook_templates_path: Path | None = Field(
        None, description="Folder of templates, `<name>.ipynb`, by which labs make notebooks of queries."
    )

    @property
    def administrators(self) -> frozenset[str]:
        """Who administers the hub: a name is only trusted when the authenticator in use is known to own it."""
        demo = {"admin"} if self.authenticator_class == _DEMO_AUTHENTICATOR else set()
        return self.admin_users | demo


class DataSettings(Group):
    """Where releases are read from."""

    path: Path | None = Field(None, description="Folder of releases; default: `releases` in `home`.")
    mass_path: Path | None = Field(
        None, description="Folder of archived releases, on storage that may be slow; default: `mass` in `home`."
    )
    keep_replaced_hours: float = Field(
        24,
        ge=0,
        description="How long files that are not read any more are kept; longer than any query runs, hours.",
    )
    default_catalogues: bool = Field(
        default=True, description="Whether `pachon up` builds the default catalogues that are missing."
    )
    packages_path: Path | None = Field(
        None,
        description="Folder with downloads already made, tried before the network; default: `downloads` in `home`.",
    )


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix="PACHON_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    public_url: HttpUrl | None = Field(None, description="Address people type; default: from `listen`.")
    home: Path = Field(Path("var"), description="Folder of everything this installation keeps.")
    failpoint: str | None = Field(
        None, description="Name of a point at which commands kill themselves, to test that a crash there does no harm."
    )
    docs_path: Path | None = Field(
        None, description="Folder of the built handbook, served at `/docs/`; default: what `make docs` built."
    )
    listen: ListenSettings = ListenSettings()
    database: DatabaseSettings = DatabaseSettings()
    identity: IdentitySettings = IdentitySettings()
    rights: RightsSettings = RightsSettings()
    queries: QuerySettings = QuerySettings()
    jobs: JobSettings = JobSettings()
    uploads: UploadSettings = UploadSettings()
    saved: SavedQuerySettings = SavedQuerySettings()
    scs: ConeSettings = ConeSettings()
    downloads: DownloadSettings = DownloadSettings()
    hub: HubSettings = HubSettings()
    labs: LabSettings = LabSettings()
    allocation: AllocationSettings = AllocationSettings()
    data: DataSettings = DataSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Explicit values win over the environment, which wins over the file."""
        del dotenv_settings, file_secret_settings
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if path := os.environ.get("PACHON_SETTINGS"):
            sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=path))
        return tuple(sources)

    @model_validator(mode="after")
    def _tiers_apart(self) -> Self:
        fast, mass = self.releases_path.resolve(), self.mass_path.resolve()
        if fast.is_relative_to(mass) or mass.is_relative_to(fast):
            message = "data.path and data.mass_path must be two folders, neither of them in the other"
            raise ValueError(message)
        return self

    @property
    def base_url(self) -> str:
        """The public address, without a trailing slash; links are built from it."""
        return str(self.public_url or self.front_url).rstrip("/")

    @property
    def front_url(self) -> str:
        """The proxy as seen from this machine, without a trailing slash."""
        host = _EVERYWHERE.get(self.listen.host, self.listen.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.listen.proxy_port}"

    @property
    def api_url(self) -> str:
        """Base of the Web APIs as the other processes see it, without a trailing slash."""
        return f"{self.listen.api_url}/api"

    @property
    def hub_api_url(self) -> str:
        """Base of the hub's REST API as the other processes see it, without a trailing slash."""
        return str(self.identity.hub_url or f"{self.listen.hub_url}/hub/api").rstrip("/")

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the state database."""
        return self.database.url or f"sqlite:///{self.home.resolve() / 'pachon.sqlite'}"

    @property
    def jobs_path(self) -> Path:
        """Folder of the results of jobs."""
        return self.jobs.path or self.home.resolve() / "jobs"

    @property
    def uploads_path(self) -> Path:
        """Folder of uploads while they are read."""
        return self.uploads.path or self.home.resolve() / "uploads"

    @property
    def saved_path(self) -> Path:
        """Folder of the results that are kept with saved queries."""
        return self.saved.path or self.home.resolve() / "saved"

    @property
    def releases_path(self) -> Path:
        """Folder of releases."""
        return self.data.path or self.home.resolve() / "releases"

    @property
    def mass_path(self) -> Path:
        """Folder of archived releases."""
        return self.data.mass_path or self.home.resolve() / "mass"
