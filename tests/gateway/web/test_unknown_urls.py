import pytest

from gateway.web.unknown_urls import explain_unknown


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/support/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/chat/completions", "/v1/chat/completions"),
        ("/V1/Chat/Completions", "/v1/chat/completions"),
        ("/v1/completions", "/v1/chat/completions"),
        ("/v1/messages", "/v1/chat/completions"),
        ("/models", "/v1/models"),
        ("/api/models/a/b", "/v1/models/a/b"),
        ("/vector_stores/vs_1/search", "/v1/vector_stores/vs_1/search"),
    ],
)
def test_a_base_url_that_is_wrong_by_a_part_is_told_the_right_one(path: str, meant: str) -> None:
    error = explain_unknown("POST", path)
    assert f"There is no POST {path} here. Did you mean {meant}?" in error.message
    assert (error.status, error.code) == (404, "unknown_url")


@pytest.mark.parametrize(
    "path", ["/", "/favicon.ico", "/v1/batches", "/v1/models", "/v1/files/file-1/none", "/api/other"]
)
def test_nothing_is_made_up_for_other_paths(path: str) -> None:
    assert explain_unknown("GET", path).message == f"There is no GET {path} here."


def test_a_long_path_is_not_all_repeated() -> None:
    assert len(explain_unknown("GET", f"/models/{'x' * 16_000}").message) < 1_300


@pytest.mark.parametrize(
    ("path", "is_base_wrong"),
    [("/v1/completions", False), ("/v1/messages", False), ("/chat/completions", True), ("/v1/v1/models", True)],
)
def test_only_a_wrong_base_url_is_told_how_it_ends(path: str, is_base_wrong: bool) -> None:
    assert ("base URL" in explain_unknown("POST", path).message) == is_base_wrong


@pytest.mark.parametrize(
    "path", ["/v1/responses/resp_1", "/v1/responses/resp_1/input_items", "/v1/chat/completions/chatcmpl-1/messages"]
)
def test_who_wants_an_answer_again_is_told_that_none_is_stored(path: str) -> None:
    assert "aren't stored" in explain_unknown("GET", path).message
