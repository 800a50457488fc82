"""The error of a URL that no route has: mostly it is a client's base URL that is wrong by a part."""

import re

from gateway.errors import NotFound

__all__ = ["explain_unknown"]

_PLACE = re.compile(
    r"^(?:.*/)?(?P<place>chat/completions|responses|embeddings|models|files|uploads|vector_stores|fine_tuning/jobs|evals)"
    r"(?P<rest>/.*|)$",
    re.IGNORECASE,
)
_OLD_OR_FOREIGN = re.compile(r"/(?:completions|messages|generate|api/chat)$", re.IGNORECASE)
_UNSTORED = re.compile(r"^/v1/(?:responses/resp_|chat/completions/chatcmpl-)")
_MOST_SHOWN = 500


def explain_unknown(method: str, path: str) -> NotFound:
    """Return the error of a request for a path that isn't there, with the one that may have been meant.

    A base URL without `/v1`, with it twice, with a deployment's name in it, or with a path behind it that the client
    adds itself leads to such a path.
    """
    message = f"There is no {method} {path[:_MOST_SHOWN]} here."
    meant = _find_meant(path)
    if _UNSTORED.match(path):
        message += " Answers aren't stored to be had again; GET /api/answers/{answer_id} says what one was made of."
    elif meant:
        message += f" Did you mean {meant[:_MOST_SHOWN]}?"
        if not path.startswith("/v1/") or meant in path:
            message += " Clients of OpenAI's API take a base URL that ends with /v1."
    return NotFound(message, code="unknown_url")


def _find_meant(path: str) -> str:
    """Return the path of this API that has the same end; "" where there is none, or where it is the path itself."""
    if _OLD_OR_FOREIGN.search(path) and not path.endswith("/chat/completions"):
        return "/v1/chat/completions"
    match = _PLACE.search(path)
    if match is None:
        return ""
    meant = f"/v1/{match['place'].lower()}{match['rest']}"
    return "" if meant == path else meant
