"""A release: everything that decides how an assistant answers, but the documents' content; and its fingerprint."""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

import prompts
from gateway.engines.served_base_model import ServedBaseModel
from retrieval.identity import IndexIdentity
from retrieval.messages import RetrieverInfo, Weights

__all__ = [
    "AdapterRef",
    "Boost",
    "PromptRef",
    "ReleaseSpec",
    "RetrievalSpec",
    "ServedParts",
    "Stage",
    "split_release",
]

_MAX_DIGITS = 9  # of a release's number


class AdapterRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """An adapter by the client's name, the engine's name, the digest of its weights, and what its requests bring."""

    model: str
    served_name: str
    digest: str
    chat_template_kwargs: dict[str, Any] = {}


class PromptRef(msgspec.Struct, frozen=True):
    """A prompt's version and the digest of its template."""

    name: str
    version: int
    digest: str


class Boost(msgspec.Struct, frozen=True, omit_defaults=True):
    """A preference among passages, by an attribute of their documents.

    `weight` is the share that is added to the score where the attribute has this `value`; with `half_life_days` the
    attribute is a moment (Unix seconds, or an ISO date), and its age halves the share again and again.
    """

    attribute: str
    weight: float
    value: str | float | bool | None = None
    half_life_days: float | None = None


class RetrievalSpec(msgspec.Struct, frozen=True):
    """The stores that are asked, and the way; `mode` is for when they can't be.

    `filters` lets through which documents may answer, by their attributes. `when` is `auto` where small talk isn't
    searched for, `rewrite` says which questions are rewritten before the search. Of what was found, at most
    `max_per_document` passages of one document stay, copies stand behind the best of them (`collapse_duplicates`),
    `boosts` rank, and `expand` extends passages within `passage_characters` for all. What is unset isn't in the digest,
    so that releases from before it was there stay as they were: all is searched for as it is, and stays as it was
    found. Without a passage that answers with `least_probability` none is given, and with `rerank` the retriever's
    reranker orders them.
    `links` is `any` where answers may link to anything. `weights` are those of a request that names its stores itself:
    no release has them.
    """

    vector_stores: tuple[str, ...]
    top_k: int = 5
    score_threshold: float = 0.0
    mode: Literal["required", "degrade"] = "required"
    embedder: str = ""
    filters: dict[str, Any] | UnsetType = UNSET
    least_probability: float | UnsetType = UNSET
    rerank: bool | UnsetType = UNSET
    links: Literal["any"] | UnsetType = UNSET
    when: Literal["auto", "always"] | UnsetType = UNSET
    rewrite: Literal["auto", "always"] | UnsetType = UNSET
    max_per_document: int | UnsetType = UNSET
    collapse_duplicates: bool | UnsetType = UNSET
    boosts: tuple[Boost, ...] | UnsetType = UNSET
    expand: Literal["neighbours", "section"] | UnsetType = UNSET
    passage_characters: int | UnsetType = UNSET
    weights: Weights | UnsetType = UNSET


class ReleaseSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that a fingerprint covers; what has its default is left out, so that older ones stay as they are."""

    base_model: str
    base_digest: str
    adapter: AdapterRef | None
    prompt: PromptRef | None
    builtin_prompt: str
    """Digest of the built-in prompt, whose blocks stand in for those that a prompt leaves out."""
    retrieval: RetrievalSpec | None
    sampling: dict[str, Any]
    variables: dict[str, Any] = {}
    """Values for the prompt's own names."""
    chat_template: str = ""
    """Digest of the base's chat template."""
    folds_system: bool = False
    """True where the system text goes into the first user message."""
    markers: str = ""
    """Digest of what is broken in texts as more than text to the base; "" for what any known family of models knows."""
    ranking: str = ""
    """The versions of the keyword encoder and of the fusion, where there is retrieval."""
    evidence: str = ""
    """The layout of passages in the prompt, likewise."""

    def as_served(self, base: ServedBaseModel | None, indexes: Sequence[str] = ()) -> "ReleaseSpec":
        """Return the spec as it answers now, where the base model or a built-in part isn't that of its making any more.

        What wasn't known then stays unknown, and so does what of the base isn't known now. `indexes` are the identities
        of the index that was searched: its documents may have been indexed again since, with another embedder.
        """
        parts: dict[str, Any] = {}
        if self.prompt is not None or self.retrieval is not None:  # else messages go on as they are
            parts["builtin_prompt"] = prompts.compile(prompts.DEFAULT).digest
        if self.evidence:
            parts["evidence"] = prompts.EVIDENCE_LAYOUT
        if base is not None and self.base_digest:
            parts["base_digest"] = base.digest
        if base is not None and self.chat_template and base.chat_template_digest:
            parts |= {"chat_template": base.chat_template_digest, "folds_system": base.folds_system}
        if base is not None and self.markers and base.markers_digest:
            parts["markers"] = base.markers_digest
        for index in map(IndexIdentity.parse, indexes):
            if self.retrieval is not None and self.retrieval.embedder and index.embedder:
                parts["retrieval"] = msgspec.structs.replace(self.retrieval, embedder=index.embedder)
            if self.ranking and index.keywords:
                parts["ranking"] = "/".join([index.keywords, *self.ranking.split("/")[1:]])
        return msgspec.structs.replace(self, **parts)

    @property
    def fingerprint(self) -> str:
        """The text `rel_` and 24 hex digits of the SHA-256 of the canonical JSON."""
        canonical = msgspec.json.encode(msgspec.to_builtins(self), order="deterministic")
        return "rel_" + hashlib.sha256(canonical).hexdigest()[:24]


class ServedParts(msgspec.Struct, frozen=True):
    """The parts that run here, for a release to name: "" where one isn't known yet.

    `base_model` is the base model's public name, `base_digest` its files' digest, `chat_template` that of its template,
    `markers` that of what it takes for more than text, `embedder` the embedder's identity, `ranking` the versions of
    what ranks passages.
    """

    base_model: str
    base_digest: str
    embedder: str
    ranking: str = ""
    chat_template: str = ""
    folds_system: bool = False
    markers: str = ""

    @classmethod
    def of(cls, base_model: str, base: ServedBaseModel | None, retriever: RetrieverInfo | None) -> "ServedParts":
        """Return what is known of the base model and the retriever."""
        return cls(
            base_model=base_model,
            base_digest=base.digest if base else "",
            embedder=retriever.embedder if retriever else "",
            ranking=retriever.ranking if retriever else "",
            chat_template=base.chat_template_digest if base else "",
            folds_system=base is not None and base.folds_system,
            markers=base.markers_digest if base else "",
        )


class Stage(msgspec.Struct, frozen=True):
    """One release's share of the traffic, in parts of the sum of all weights."""

    release: int
    weight: int


def split_release(model: str) -> tuple[str, int | None]:
    """Return the assistant's name and the release's number that a model's name is made of; None without a number."""
    name, pinned, number = model.rpartition("@")
    if pinned and number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS:
        return name, int(number)
    return model, None
