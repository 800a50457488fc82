from pydantic import BaseModel

from gateway.pages import CursorPage

__all__ = ["DocumentAnswer", "DocumentAnswerList"]


class DocumentAnswer(BaseModel):
    """An answer that had passages of a document in its prompt, by their `numbers` there.

    `cited` says whether the answer marks one of them; `version` and `index_epoch` are those of the document then.
    """

    answer_id: str
    created_at: int
    model: str
    release: str | None
    fingerprint: str | None
    version: int
    index_epoch: int
    numbers: list[int]
    cited: bool


class DocumentAnswerList(CursorPage[DocumentAnswer]):
    pass
