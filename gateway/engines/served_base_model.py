"""The base model that the engine serves, as the rest of the gateway needs to know it."""

import hashlib
from functools import lru_cache
from pathlib import Path

import msgspec

import prompts
from gateway.engines.training_traits import TrainingTraits, read_training_traits
from gateway.settings import Settings, SettingsError

__all__ = ["ServedBaseModel", "choose_markers"]


class ServedBaseModel(msgspec.Struct, frozen=True):
    """Public name, folder of the checkpoint (for training and the verdict), and digest of its weights.

    `path` is empty in a process that knows the base from the database alone.
    """

    name: str
    path: str
    digest: str
    names: tuple[str, ...] = ()
    """Other names by which an adapter may call its base: the Hugging Face id, the local path."""
    chat_template_digest: str = ""
    folds_system: bool = False
    """The system text goes into the first user message, see `training.chat_format`."""
    markers: tuple[str, ...] | None = None
    """The spellings that are broken in texts that others wrote, see `training.markers`; None where unknown."""
    training: TrainingTraits | None = None
    """For processes without its files; None where an older version prepared it."""

    @property
    def markers_digest(self) -> str:
        """The SHA-256 of the markers; "" where they aren't known, so that those of all families stand in."""
        return "" if self.markers is None else hashlib.sha256(msgspec.json.encode(self.markers)).hexdigest()

    @classmethod
    def load(cls, settings: Settings) -> "ServedBaseModel":
        """Read what `braid up` left under the home folder.

        Raises:
            SettingsError: No base model has been prepared there.
        """
        try:
            return msgspec.json.decode(cls.locate_file(settings.home).read_bytes(), type=cls)
        except FileNotFoundError:
            raise SettingsError(
                f"No base model is prepared under {settings.home}. Run 'braid up', which prepares it, first."
            ) from None

    @classmethod
    def find(cls, settings: Settings) -> "ServedBaseModel | None":
        """Read what `load` reads, or return None where nothing is prepared: others' engines know their own base."""
        return cls.load(settings) if cls.locate_file(settings.home).exists() else None

    def find_training_traits(self) -> TrainingTraits | None:
        """Read what it asks of trainings from its files, or return what was noted where they are elsewhere."""
        folder = Path(self.path)
        return read_training_traits(folder) if self.path and folder.is_dir() else self.training

    @staticmethod
    def locate_file(home: Path) -> Path:
        return home / "run" / "base.json"


def choose_markers(base: ServedBaseModel | None) -> prompts.Markers:
    """Return what is broken in texts for this base: its own markers, or those of all known families."""
    return prompts.GENERIC if base is None or base.markers is None else _compile_markers(base.markers)


@lru_cache(maxsize=2)  # of thousands, which some tokenizers reserve, this takes 50 ms
def _compile_markers(texts: tuple[str, ...]) -> prompts.Markers:
    return prompts.Markers.of(texts)
