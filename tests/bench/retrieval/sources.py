"""Debian's documentation packages, fetched once into `.braid/bench` and unpacked there; nothing is installed."""

import gzip
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

__all__ = ["CACHE", "PACKAGES", "find_text", "list_files", "unpack", "unpack_wheel"]

CACHE = Path(".braid/bench")
PACKAGES = (
    *("perl-doc", "python3.11-doc", "debian-faq", "sqlite3-doc"),
    *("manpages-de", "manpages-fr", "manpages-es", "manpages-ja"),
    *("debian-handbook", "harden-doc"),
    *("debian-faq-de", "debian-faq-fr", "debian-faq-it", "debian-faq-nl", "debian-faq-pt"),
    *("debian-faq-ja", "debian-faq-zh-cn"),
)
_OTHER_PYTHONS = {"python3.11-doc": "python3-doc"}


@cache
def unpack() -> Path:
    """Return the folder in which the packages' files lie."""
    packages, root = CACHE / "debs", CACHE / "files"
    packages.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        if next(packages.glob(f"{name}_*.deb"), None) is None:
            _download(name, packages)
        file = next(packages.glob(f"{name}_*.deb"))
        stamp = root / f".{file.stem}"
        if not stamp.exists():
            root.mkdir(exist_ok=True)
            subprocess.run(["dpkg-deb", "-x", str(file.resolve()), str(root)], check=True)
            stamp.touch()
    return root


def _download(name: str, folder: Path) -> None:
    result = subprocess.run(["apt-get", "download", name], cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(
            f"The Debian package {name} can't be fetched: {result.stderr.strip()[-300:]}\n"
            f"Run 'apt-get update', or lay its .deb into {folder}. Debian 12 has all of them "
            f"({', '.join(PACKAGES)}; in other releases {_OTHER_PYTHONS} and its number differ)."
        )


def list_files(pattern: str) -> list[Path]:
    """List the packages' files below `usr/share`, each once: some lie behind links as well."""
    files = {file.resolve(): file for file in sorted(unpack().glob(f"usr/share/{pattern}")) if file.exists()}
    return sorted(files.values())


def find_text(file: Path) -> str:
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return data.decode("utf-8", "replace")


def unpack_wheel(name: str, version: str) -> Path:
    """Return the folder of a Python package that is fetched into the cache: only this benchmark needs it."""
    folder = CACHE / "packages" / name
    if not folder.exists():
        wheels = CACHE / "wheels"
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), f"{name}=={version}"]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl"))) as wheel:
            wheel.extractall(folder)
    return folder
