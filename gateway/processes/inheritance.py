"""The environment that a child inherits: of this process's variables those that its kind of program needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BARE", "BASE_MODEL", "ENGINE", "GATEWAY", "RETRIEVER", "TRAINER", "WORKER", "Inheritance"]

_SECRET = re.compile(r"(?:^|_)(?:TOKEN|KEY|SECRET|PASS|PASSWORD|PASSWD|PASSPHRASE|PAT|AUTH|CREDENTIALS?)$", re.I)


@dataclass(frozen=True, slots=True)
class Inheritance:
    """Names of variables; a star at the end of one stands for any ending.

    What isn't listed isn't passed on: nobody can list the secrets that a machine's environment has.

    Attributes:
        names: Those that tell a program where its files are, and how to use the machine. A star in them lets no name
            through that ends as a secret's does (`VLLM_API_KEY`).
        secrets: Those that may hold a secret that this program needs.
    """

    names: tuple[str, ...]
    secrets: tuple[str, ...] = ()

    def __or__(self, other: "Inheritance") -> "Inheritance":
        return Inheritance(self.names + other.names, self.secrets + other.secrets)

    def take(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return those of the environment's variables that are listed."""
        return {name: value for name, value in environment.items() if self._lists(name)}

    def _lists(self, name: str) -> bool:
        if name in self.names or any(_fits(name, one) for one in self.secrets):
            return True
        return not _SECRET.search(name) and any(_fits(name, one) for one in self.names)


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


BARE = Inheritance(("PATH", "LANG", "LC_*", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHON*"))
"""Variables that an interpreter needs to start: for programs that read what strangers sent, or tell of the machine."""

_PROGRAM = BARE | Inheritance(
    (
        *("HOME", "USER", "LOGNAME", "LANGUAGE", "TMP", "TEMP", "XDG_*", "VIRTUAL_ENV", "CONDA_PREFIX"),
        *("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_*"),
        *("OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "NUMEXPR_*", "RAYON_*"),
    )
)
_COMPUTING = Inheritance(
    (
        *("CUDA*", "NVIDIA_*", "NCCL_*", "GLOO_*", "UCX_*", "CUBLAS*", "CUDNN*", "HIP_*", "HSA_*", "ROCR_*", "ROCM_*"),
        *("TORCH*", "PYTORCH_*", "ATEN_*", "ONEDNN_*", "DNNL_*", "TRITON_*", "FLASHINFER_*", "BNB_*", "ACCELERATE_*"),
        *("HF_*", "HUGGINGFACE_*", "TRANSFORMERS_*", "TOKENIZERS_*", "SENTENCE_TRANSFORMERS_*", "SAFETENSORS_*"),
        *("CC", "CXX", "CPATH", "LIBRARY_PATH"),  # Triton compiles its kernels
    )
)
_CERTIFICATES = Inheritance(("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
# A proxy's address may have a password in it.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
_DOWNLOADS = _CERTIFICATES | Inheritance((), (*_PROXIES, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
_DATABASE = Inheritance(("PG*", "KRB5*"), ("PGPASSWORD",))

# The last is no setting: by it tests tell the trainer that stands in for this one what to do.
TRAINER = _PROGRAM | _COMPUTING | Inheritance(("BRAID_TEST_TRAINER",))
"""A training reads files and writes files; its base model lies there already."""

ENGINE = _PROGRAM | _COMPUTING | Inheritance(("VLLM_*", "LMCACHE_*", "RAY_*"))
RETRIEVER = _PROGRAM | _COMPUTING | _DOWNLOADS
BASE_MODEL = _PROGRAM | _COMPUTING | _DOWNLOADS
GATEWAY = _PROGRAM | _CERTIFICATES | _DATABASE
WORKER = TRAINER | _CERTIFICATES | _DATABASE | Inheritance((), (*_PROXIES, "AWS_*"))
"""The variables that it gives its trainer, and those that it reads buckets with. Those of git repositories have the
operator's names."""
