"""A program that takes a PEFT folder's two files out of an uploaded `.zip`, as if an enemy had packed it.

    python -m gateway.adapters.archive ARCHIVE FOLDER

The importer runs it as that program, so that a file which makes the reader take all memory ends only this process.
Exit status 0: both files are in FOLDER. 1: refused, and stdout says why. 2: this machine couldn't, for the reason on
stdout, such as a full disk.
"""

import errno
import lzma
import resource
import stat
import sys
import zipfile
import zlib
from codecs import BOM_UTF8
from pathlib import Path, PurePosixPath

__all__ = ["CONFIG", "WEIGHTS", "ArchiveRefused", "extract"]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_LIMITS = {CONFIG: 1 << 20, WEIGHTS: 4 << 30}
_MAX_MEMBERS = 1_000
_MEMORY = 256 << 20
_CPU_SECONDS = 300
_PART = 1 << 20
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, UnicodeError
)  # fmt: skip
"""The errors of zipfile for damage; RuntimeError is for a password, NotImplementedError for an unknown compression."""
_MAC_FOLDER = "__MACOSX"  # what a Mac knows of the files beside it


class ArchiveRefused(Exception):
    """The upload isn't an archive that can be taken; the text says why and what to do."""


def extract(archive: Path, folder: Path) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors` of `archive` to `folder`, which is empty.

    They may stand at the archive's root or in a folder, of several (a trainer's checkpoints) in the uppermost;
    everything else in it is left where it is.

    Raises:
        ArchiveRefused: No zip file, a member that is a link or points outside, too large, or a file missing or twice.
    """
    try:
        with zipfile.ZipFile(archive) as zip_file:
            _take(zip_file, folder)
    except (*_UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # those two are of damage, too
            raise
        raise ArchiveRefused(
            f"The file can't be unpacked ({error}). Pack the adapter's folder as a plain .zip, without a password."
        ) from error


def _take(archive: zipfile.ZipFile, folder: Path) -> None:
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise ArchiveRefused(f"The archive holds {len(members)} members. Pack only the adapter's folder.")
    folders: dict[PurePosixPath, dict[str, zipfile.ZipInfo]] = {}
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise ArchiveRefused(f"The member {member.filename[:200]!r} points outside of the archive. Pack it again.")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveRefused(f"The member {member.filename[:200]!r} is a link or a device. Pack real files.")
        if path.name in _LIMITS and not member.is_dir() and path.parts[0] != _MAC_FOLDER:
            files = folders.setdefault(path.parent, {})
            if path.name in files:
                raise ArchiveRefused(f"The archive holds {path.name} more than once. Pack one adapter's folder alone.")
            files[path.name] = member
    for name, member in _choose_folder(folders, [member.filename for member in members]).items():
        _copy(archive, member, folder / name, _LIMITS[name])


def _choose_folder(
    folders: dict[PurePosixPath, dict[str, zipfile.ZipInfo]], members: list[str]
) -> dict[str, zipfile.ZipInfo]:
    """Return the two files of the uppermost folder that has both."""
    whole = [path for path, files in folders.items() if len(files) == len(_LIMITS)]
    if not whole:
        names = {name for files in folders.values() for name in files}
        raise ArchiveRefused(_describe_missing(next((n for n in _LIMITS if n not in names), WEIGHTS), members))
    depth = min(len(path.parts) for path in whole)
    uppermost = [path for path in whole if len(path.parts) == depth]
    if len(uppermost) > 1:
        raise ArchiveRefused(
            f"The archive holds {CONFIG} more than once, in {len(uppermost)} folders. Pack one adapter's folder alone."
        )
    return folders[uppermost[0]]


def _describe_missing(name: str, members: list[str]) -> str:
    if name == WEIGHTS and any(other.endswith((".bin", ".pt", ".pth", ".pkl")) for other in members):
        return (
            f"The archive has no {WEIGHTS}, only pickled weights, which can run code when they are opened. "
            "Save the adapter with peft's save_pretrained(…, safe_serialization=True)."
        )
    return f"The archive has no {name}. Pack the folder that peft's save_pretrained wrote."


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, limit: int) -> None:
    size = 0
    with archive.open(member) as source, target.open("xb") as file:
        while part := source.read(_PART):
            size += len(part)
            # The size that an archive declares is its author's word, so the bytes themselves are counted.
            if size > limit:
                raise ArchiveRefused(f"{target.name} unpacks to more than {limit} bytes, which is the limit.")
            # Engines read no config that begins with a byte order mark, which some editors write.
            file.write(part.removeprefix(BOM_UTF8) if target.name == CONFIG and size == len(part) else part)


def main(arguments: list[str]) -> int:
    """Unpack under limits of memory and time; see the module."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    try:
        extract(Path(arguments[0]), Path(arguments[1]))
    except ArchiveRefused as refused:
        sys.stdout.write(str(refused))
        return 1
    except OSError as error:
        sys.stdout.write(error.strerror or type(error).__name__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
