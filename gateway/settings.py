"""Configuration: flags > environment (`BRAID_…`, secrets also as `BRAID_…_FILE`) > `braid.toml` > defaults."""

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.engine_options import EngineOptions

__all__ = ["Settings", "SettingsError", "check_url", "load_settings"]

_PRIVATE_PLACE = re.compile(r"(?:https|ssh)://[^\s=,\"]+=(?!BRAID_)[A-Za-z_]\w*", re.ASCII)

_PREFIX = "BRAID_"
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
_NO_SETTINGS = {"BRAID_CONFIG", "BRAID_URL", "BRAID_KEY"}  # the last two tell the command line where a gateway is


class SettingsError(Exception):
    """The configuration can't be used; the message names the key, where it stands, and what would be right."""


class Settings(BaseSettings):
    """The settings of an operator. An empty URL means that the part runs here, under `braid up`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path = Path(".braid")
    """Folder for state: database, artifacts, index, models, logs."""
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    """The address at which metrics and health details of gateway and worker are served, to the operator alone."""
    admin_port: int | None = Field(default=None, ge=0, le=65_534)
    """The gateway's port for those, and a worker's is the one after it; left out: the second after `port`."""
    base_model: str = ""
    """A Hugging Face id or a local path; empty: the packaged 135M model."""
    base_model_name: str = ""
    """The name that clients see for the base model; empty: made from `base_model`."""
    embedder: str = ""
    """A sentence-transformers id or local path; empty: the packaged all-MiniLM-L6-v2."""
    database_url: str = ""
    database_connections: int = Field(default=20, ge=2)
    """Connections to the database at the same time, per process."""
    database_wait_seconds: float = Field(default=5.0, gt=0)
    """The longest wait for one of them."""
    database_statement_seconds: float = Field(default=30.0, ge=0)
    """PostgreSQL ends statements that take longer; 0: none."""
    artifacts_url: str = ""
    engine_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """vLLM servers that somebody else runs, comma-separated; empty: one is started here."""
    engine_connect_seconds: float = Field(default=2.0, gt=0)
    """The longest time that connecting to an engine may take."""
    engine_first_byte_seconds: float = Field(default=600.0, gt=0)
    """The longest wait for an answer's first byte, which for a plain answer is the whole generation."""
    engine_gap_seconds: float = Field(default=60.0, gt=0)
    """The longest silence inside an answer; `engine_first_byte_seconds` where that is shorter."""
    engine_idle_seconds: float = Field(default=4.0, gt=0)
    """The time that an idle connection is kept: less than the engine keeps it, which is 5 s for vLLM."""
    rewrite_seconds: float = Field(default=3.0, gt=0)
    """The longest wait for the engine to rewrite a question; then the question is searched for as it is."""
    engine_adapter_dir: str = ""
    """The folder of adapters as those servers see it; empty: at the same path as the gateway."""
    reindex_automatically: bool = False
    """A worker indexes documents again by itself where the index changed; else `braid docs reindex` does."""
    engine_gpu_share: float | None = Field(default=None, gt=0, le=0.98)
    """Share of a GPU's memory for the engine that is started here; none: what leaves room for training."""
    engine_options: str = ""
    """Further options of that engine, as on vLLM's command line."""
    training_executor: Literal["local", "ray"] = "local"
    """The place where trainings run: the worker's machine, or a Ray cluster, as its jobs."""
    ray_address: str = ""
    """The URL of that cluster's dashboard, which has its Jobs API."""
    ray_token: SecretStr | None = None
    ray_cpus: int = Field(default=4, ge=0, le=1_024)
    """Cores that a training asks of the cluster."""
    ray_gpus: float = Field(default=1.0, ge=0, le=64)
    """GPUs that it asks for; more than one are used where `training_processes` allows it."""
    training_device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """The device on which adapters are trained and proven; `auto`: the CUDA device with the most free memory, else the
    processor."""
    training_processes: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = 1
    """The most processes that train one adapter together, each on a device of its own; `auto`: all that have room."""
    training_wait_seconds: float = Field(default=30.0, ge=0, le=86_400)
    """The longest wait for memory on that device, before a training is refused."""
    training_price_per_hour: float | None = Field(default=None, ge=0)
    """The price of an hour of training, for the cost that jobs show; none: they show time alone."""
    training_currency: str = Field(default="EUR", min_length=1, max_length=8)
    """The currency of that price."""
    reranker: str = ""
    """A cross-encoder (id or local path) or the URL of a `/rerank` service; empty: none. Releases ask for it."""
    reranker_model: str = ""
    """The name of that service's model."""
    reranker_api_key: SecretStr | None = None
    qdrant_url: str = ""
    qdrant_api_key: SecretStr | None = None
    qdrant_ca_file: str = ""
    """Certificates (PEM) to know the Qdrant server by, where those of the system don't do."""
    admin_key: SecretStr | None = None
    max_lora_rank: int = 16
    """The largest rank of an adapter; vLLM takes only those of `_LORA_RANKS`."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of web pages whose scripts may call the gateway, comma-separated; empty: none."""
    allow_grammars: bool = False
    """Clients may give engines regular expressions, and formats of an answer that aren't OpenAI's."""
    max_connections: int = Field(default=4096, ge=1)
    """Open connections of clients at the same time, per gateway."""
    max_connections_per_client: int = Field(default=1024, ge=1)
    """Of those, from one address; behind a proxy that has only one, give `max_connections`."""
    client_pause_seconds: float = Field(default=30.0, gt=0)
    """The longest silence inside a request's body."""
    client_unread_seconds: float = Field(default=60.0, gt=0)
    """The longest time that a client may leave its answer unread."""
    max_file_bytes: int = Field(default=512 * 1024**2, ge=1, le=8 * 1024**3)
    """The most bytes of a file that is sent in one request, or of a document."""
    max_queued_jobs: int = Field(default=100, ge=1)
    """The most fine-tuning jobs of a tenant that wait, and the most imports of adapters."""
    tenant_storage_bytes: int = Field(default=100 * 1024**3, ge=0)
    """The most that a tenant may store: files, documents, uploads, adapters, rows and evaluations; 0: no bound."""
    grace_seconds: float = 20.0
    """Seconds that running answers may go on after SIGTERM."""
    answer_days: int = Field(default=90, ge=0)
    """Days that the record of an answer is kept; 0: for good. So with the next four."""
    job_days: int = Field(default=30, ge=0)
    """Of a job in the job table that has ended."""
    event_days: int = Field(default=365, ge=0)
    """Of a fine-tuning job's events."""
    eval_run_days: int = Field(default=90, ge=0)
    """Of a run of an eval that has ended, with its answers and grades."""
    report_days: int = Field(default=365, ge=0)
    """Of evaluations, comparisons, gates and diagnoses that have ended, with their reports."""
    adapter_hours: int = Field(default=1, ge=0)
    """Hours that the weights of an adapter are kept after it was deleted or refused; 0: for good."""
    model_python: Path = Path(".venv-model/bin/python")
    """The interpreter of the environment with vLLM, training and the retriever."""
    source_folders: Annotated[tuple[str, ...], NoDecode] = ()
    """Folders that tenants' sources may be in, comma-separated, `{tenant}` for a tenant's name; empty: none."""
    source_buckets: Annotated[tuple[str, ...], NoDecode] = ()
    """The same for S3-compatible stores, `s3://bucket/prefix` each; the worker's environment has the credentials."""
    source_repositories: Annotated[tuple[str, ...], NoDecode] = ()
    """Places of private git repositories, `https://host/path=VARIABLE`, comma-separated, `{tenant}` as above.

    The variable of the worker's environment has the token, or for `ssh://user@host/path` the path of the key."""
    source_networks: Annotated[tuple[str, ...], NoDecode] = ()
    """Networks that sources may be read from though they aren't public, comma-separated; empty: none."""
    log_level: str = "info"
    access_log: bool = True
    """Each request has a line in the gateway's log."""

    @field_validator(
        *("engine_urls", "cors_origins", "source_folders", "source_buckets", "source_repositories", "source_networks"),
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(url.strip().rstrip("/") for url in value.split(",") if url.strip())
        return value

    @field_validator("engine_urls")
    @classmethod
    def _can_be_asked(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            check_url(url)
        return urls

    @field_validator("source_repositories")
    @classmethod
    def _name_variables(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        for place in places:
            if not _PRIVATE_PLACE.fullmatch(place):
                raise ValueError(
                    f"{place!r} isn't of the form https://host/path=VARIABLE or ssh://user@host/path=VARIABLE, where "
                    "VARIABLE is one of the worker's environment that doesn't begin with BRAID_"
                )
        return places

    @field_validator("source_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network)
        return networks

    @field_validator("engine_options")
    @classmethod
    def _is_not_owned(cls, options: str) -> str:
        EngineOptions.parse(options).count_gpus()
        return options

    @field_validator("max_lora_rank")
    @classmethod
    def _is_served(cls, rank: int) -> int:
        if rank not in _LORA_RANKS:
            raise ValueError(f"vLLM serves the ranks {', '.join(map(str, _LORA_RANKS))}")
        return rank

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.home.resolve() / 'braid.db'}"

    @property
    def artifacts(self) -> Path:
        """Folder of the content-addressed bytes."""
        if not self.artifacts_url:
            return self.home.resolve() / "artifacts"
        if self.artifacts_url.startswith("file://"):
            return Path(self.artifacts_url.removeprefix("file://"))
        raise SettingsError(
            f"BRAID_ARTIFACTS_URL is {self.artifacts_url!r}, and only file:///… is supported. "
            "Give a folder that every part of Braid can reach."
        )

    @property
    def retriever_socket(self) -> Path:
        return self.home.resolve() / "run" / "retriever.sock"

    @property
    def second_retriever_socket(self) -> Path:
        """The socket of a second retriever, which has the index that documents move to."""
        return self.home.resolve() / "run" / "second.sock"

    @property
    def local_engine_url(self) -> str:
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def gateway_admin_port(self) -> int:
        return self.port + 2 if self.admin_port is None else self.admin_port

    @property
    def worker_admin_port(self) -> int:
        return self.gateway_admin_port + 1

    @property
    def client_port_is_private(self) -> bool:
        """Whether only this machine reaches the clients' port, and no admin port was asked for instead."""
        return self.admin_port is None and (self.host == "localhost" or _is_loopback(self.host))

    @property
    def replica_urls(self) -> tuple[str, ...]:
        return self.engine_urls or (self.local_engine_url,)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # load_settings merges the TOML file and the _FILE variants itself, below flags and environment.
        return init_settings, env_settings


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str) -> SplitResult:
    """Take a server's URL apart, or raise `ValueError` if none can be at it."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("a server's URL can't have a name and password in it: it has the form http://host:port.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError(f"{url!r} is no URL of a server: it has the form http://host:port or https://host:port/path.")
    if not url.isascii() or not url.isprintable() or " " in url or parts.port == 0:
        raise ValueError(f"{url!r} is no URL of a server: the host, its port or a character in it can't be used.")
    parts.hostname.encode("idna")  # which fails as connecting would, for an empty label or one that is too long
    return parts


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Merge all sources into one `Settings`; the TOML file is `$BRAID_CONFIG`, or `braid.toml` where it is there.

    Args:
        flags: The values of the command line; `None` counts as absent.

    Raises:
        SettingsError: An unknown key, a value of the wrong type, or an unreadable file.
    """
    path = Path(os.environ.get("BRAID_CONFIG", "braid.toml"))
    values = _read_toml(path) if path.exists() or "BRAID_CONFIG" in os.environ else {}
    setting_names = set(Settings.model_fields)
    for key in values:
        if key not in setting_names:
            raise SettingsError(f"{path}: there is no setting {key!r}.{_suggest(key, setting_names)}")
    for name in os.environ:
        if name.startswith(_PREFIX) and not name.startswith("BRAID_TEST_") and name not in _NO_SETTINGS:
            key = name.removeprefix(_PREFIX).lower()
            if key.removesuffix("_file") not in setting_names:
                raise SettingsError(
                    f"The environment has {name}, which is no setting.{_suggest(key, setting_names, _PREFIX)}"
                )
            if key.endswith("_file") and key not in setting_names:
                values[key.removesuffix("_file")] = _read_secret(name)
            elif key in setting_names:
                values.pop(key, None)  # the environment wins over the file, and pydantic reads it itself
    values |= {key: value for key, value in (flags or {}).items() if value is not None}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        value = "" if "@" in str(first["input"]) else f" (it is {first['input']!r})"  # it may hold a password
        raise SettingsError(
            f"The setting {name} can't be used: {reason}{value}. "
            f"It comes from a flag, {_PREFIX}{name.upper()} or {path}."
        ) from None
    if not settings.database.startswith("sqlite") and not settings.qdrant_url:
        raise SettingsError(
            "database_url is a server, which gateways on several machines share, and the index would be embedded in "
            "each of them, with a part of the documents. Give a Qdrant server with qdrant_url, or leave database_url "
            "out."
        )
    return settings


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The configuration file {path} can't be read: {error}") from None


def _read_secret(name: str) -> str:
    try:
        return Path(os.environ[name]).read_text().strip()
    except OSError as error:
        raise SettingsError(f"{name} names a file that can't be read: {error}") from None


def _suggest(key: str, setting_names: set[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(key, setting_names, n=1)
    full_names = {name: prefix + name.upper() if prefix else name for name in setting_names}
    if close:
        return f" Did you mean {full_names[close[0]]}?"
    return " Settings are: " + ", ".join(sorted(full_names.values())) + "."
