"""The base model that the engine serves, as the rest of the gateway needs to know it."""

from pathlib import Path

import msgspec

from gateway.settings import Settings, SettingsError

__all__ = ["ServedBaseModel"]


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

    @classmethod
    def load(cls, settings: Settings) -> "ServedBaseModel":
        """Read what `braid up` left under the home folder.

        Raises:
            SettingsError: No base model has been prepared there.
        """
        try:
            return msgspec.json.decode(cls.file(settings.home).read_bytes(), type=cls)
        except FileNotFoundError:
            raise SettingsError(
                f"No base model is prepared under {settings.home}. Run 'braid up', which prepares it, first."
            ) from None

    @classmethod
    def find(cls, settings: Settings) -> "ServedBaseModel | None":
        """Like `load`, but None where nothing is prepared: engines that somebody else runs know their own base."""
        return cls.load(settings) if cls.file(settings.home).exists() else None

    @staticmethod
    def file(home: Path) -> Path:
        return home / "run" / "base.json"
