import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.environments.environment import Environment, InstallFailed
from deploy.environments.installer import Installer, translate

ROOT = Path(__file__).resolve().parents[3]
UV = ROOT / ".venv/bin/uv"

SETTINGS = """\
:env:.find-links='/wheels /more wheels'
:env:.index-url='https://mirror.example/simple'
global.index-url='https://other.example/simple'
global.extra-index-url='\\nhttps://a.example/simple\\nfile:///b'
install.timeout='180'
global.trusted-host='mirror.example'
global.cert='/etc/company.pem'
global.proxy='http://proxy.example:3128'
"""


def test_uv_is_told_what_pip_is_told() -> None:
    assert translate(SETTINGS) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example/simple file:///b",
        "UV_FIND_LINKS": "/wheels /more wheels",
        "UV_HTTP_TIMEOUT": "180",
        "UV_INSECURE_HOST": "mirror.example",
        "SSL_CERT_FILE": "/etc/company.pem",
        "HTTP_PROXY": "http://proxy.example:3128",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }


def test_the_real_pips_settings_are_understood(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nno-index = true\n[install]\nfind-links =\n  /one\n  /two\n")
    environment = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_TIMEOUT": "7"}
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    told = translate(listing)
    assert (told["UV_FIND_LINKS"], told["UV_NO_INDEX"], told["UV_HTTP_TIMEOUT"]) == ("/one /two", "true", "7")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    file = tmp_path / "wheels" / "kettle-1.0+cpu-py3-none-any.whl"
    file.parent.mkdir()
    about = "kettle-1.0+cpu.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("kettle.py", "")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: kettle\nVersion: 1.0+cpu\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return file


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest, tmp_path: Path, wheel: Path) -> Installer:
    environment = Environment(tmp_path / "venv")
    environment.folder.mkdir()
    target = ("--target", str(tmp_path / "target"))
    if request.param == "pip":
        command = (sys.executable, "-m", "pip", "install", *target)
        return Installer(
            environment, "pip", command, variables={"PIP_FIND_LINKS": str(wheel.parent), "PIP_NO_INDEX": "1"}
        )
    settings = f"global.find-links='{wheel.parent}'\nglobal.no-index='1'"
    return Installer(environment, "uv", (str(UV), "pip", "install", *target), variables=translate(settings))


def locked(folder: Path, digest: str) -> tuple[str, ...]:
    (folder / "list.txt").write_text(f"kettle==1.0+cpu \\\n    --hash=sha256:{digest}\n")
    return ("--require-hashes", "--only-binary", ":all:", "-r", str(folder / "list.txt"))


def test_the_locked_file_is_installed(tmp_path: Path, wheel: Path, installer: Installer) -> None:
    installer.install("installing", *locked(tmp_path, hashlib.sha256(wheel.read_bytes()).hexdigest()))
    assert (tmp_path / "target" / "kettle.py").exists()


def test_another_file_than_the_locked_one_is_refused(tmp_path: Path, installer: Installer) -> None:
    with pytest.raises(
        InstallFailed, match=r"kettle[\s\S]*isn't the one that was locked[\s\S]*PIP_INDEX_URL"
    ) as failed:
        installer.install("installing", *locked(tmp_path, "0" * 64))
    assert failed.value.is_mismatch
    assert not (tmp_path / "target" / "kettle.py").exists()


def test_a_wheel_that_is_nowhere_is_told_from_one_that_was_changed(
    tmp_path: Path, wheel: Path, installer: Installer
) -> None:
    wheel.unlink()
    with pytest.raises(InstallFailed, match="kettle") as failed:
        installer.install("installing", *locked(tmp_path, "0" * 64))
    assert not failed.value.is_mismatch
