import ast
import json
import re
import shlex
from pathlib import Path

from gateway.demo.next_steps import describe_next_steps

TEXT = describe_next_steps("http://127.0.0.1:8080", "sk-braid-1", "kestrel-assistant", "How long?", Path("/h/up.lock"))


def test_the_curl_line_is_a_request_for_the_assistant() -> None:
    command = re.search(r"^curl .*?\}'$", TEXT, re.MULTILINE | re.DOTALL)
    assert command is not None
    words = shlex.split(command.group().replace("\\\n", " "))
    assert words[1] == "http://127.0.0.1:8080/v1/chat/completions"
    assert "authorization: Bearer sk-braid-1" in words
    body = json.loads(words[-1])
    assert body == {"model": "kestrel-assistant", "messages": [{"role": "user", "content": "How long?"}]}


def test_the_python_snippet_is_python() -> None:
    snippet = re.search(r"<<'EOF'\n(.*?)\nEOF", TEXT, re.DOTALL)
    assert snippet is not None
    ast.parse(snippet.group(1))


def test_the_way_to_stop_it_is_said() -> None:
    assert TEXT.endswith("Stop it with: kill $(cat /h/up.lock)")
