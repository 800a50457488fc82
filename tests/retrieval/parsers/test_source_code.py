import pytest

from retrieval.chunks import split_into_chunks
from retrieval.parsers.formats import find_text_format
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.source_code import parse_source_code
from tests.retrieval.words import word_offsets

PYTHON = '''"""Doc."""
import os


# about f
@cached
def f(x):
    return x


class A(B):
    async def g(self):
        if x:
            pass
'''
C = "#include <a>\n\nstatic int add(int a, int b)\n{\n    if (a) {\n        return f(b);\n    }\n}\n\nstruct p {\n};\n"
JAVA = (
    "public class A {\n    /** Adds. */\n    @Override\n    public int add(int a) {\n        for (;;) { }\n    }\n}\n"
)
TYPESCRIPT = "export class A {}\n\nexport const f = async (x: number) => {\n  if (x) { g(x); }\n};\n\ninterface B { }\n"
GO = "package a\n\nfunc (s *S) Get(k string) error {\n\treturn nil\n}\n\ntype S struct {\n}\n"
RUBY = "module M\n  class A\n    def b?(x)\n    end\n  end\nend\n"
SHELL = "set -e\n\nbuild() {\n    make\n}\nfunction test {\n    make test\n}\n"
PHP = "<?php\nfinal class A {\n    private static function b(int $x): int {\n        return $x;\n    }\n}\n"
CSHARP = (
    "namespace N\n{\n    internal sealed class A : B\n    {\n        public async Task<int> Get(int x)\n        {\n"
    "        }\n    }\n}\n"
)
TEX = "\\documentclass{a}\n\\section{One}\nText.\n\\subsection*{Two} % x\n"


def parse(text: str, filename: str) -> ParsedDocument:
    format_ = find_text_format(text, filename)
    assert format_.kind == "code"
    return parse_source_code(FileContent(text.encode(), format_.media_type_of(filename), text), ParseLimits())


@pytest.mark.parametrize(
    ("text", "filename", "titles"),
    [
        (PYTHON, "a.py", [(1, "def f(x)"), (1, "class A(B)"), (2, "async def g(self)")]),
        (C, "a.c", [(1, "static int add(int a, int b)"), (1, "struct p")]),
        (JAVA, "a.java", [(1, "public class A"), (2, "public int add(int a)")]),
        (
            TYPESCRIPT,
            "a.ts",
            [(1, "export class A {}"), (1, "export const f = async (x: number) =>"), (1, "interface B { }")],
        ),
        (GO, "a.go", [(1, "func (s *S) Get(k string) error"), (1, "type S struct")]),
        (RUBY, "a.rb", [(1, "module M"), (2, "class A"), (3, "def b?(x)")]),
        (SHELL, "a.sh", [(1, "build()"), (1, "function test")]),
        (PHP, "a.php", [(1, "final class A"), (2, "private static function b(int $x): int")]),
        (
            CSHARP,
            "a.cs",
            [(1, "namespace N"), (2, "internal sealed class A : B"), (3, "public async Task<int> Get(int x)")],
        ),
        (TEX, "a.tex", [(3, "One"), (4, "Two")]),
        ("a { color: red }\n", "a.css", []),
    ],
)
def test_functions_and_classes_are_sections_and_the_text_stays(
    text: str, filename: str, titles: list[tuple[int, str]]
) -> None:
    parsed = parse(text, filename)
    assert parsed.text == text
    assert [(heading.level, heading.title) for heading in parsed.headings] == titles


def test_comments_and_decorators_belong_to_what_they_stand_above() -> None:
    assert PYTHON[parse(PYTHON, "a.py").headings[0].start :].startswith("# about f\n@cached\ndef f(x)")


def test_each_piece_of_a_long_function_has_its_first_line() -> None:
    body = "".join(f"    step({n})\n" + "\n" * (n % 5 == 0) for n in range(100))
    chunks = split_into_chunks(parse(f"def f(x):\n{body}", "a.py"), word_offsets, max_tokens=60)
    assert len(chunks) > 3
    assert all(chunk.whole.startswith("def f(x):\n") for chunk in chunks)


@pytest.mark.timeout(20)
def test_code_that_a_program_made_costs_little_time() -> None:
    parse("function a(){" + "x=(1,2);" * 200_000 + "}", "a.js")
    parse("public static " * 100_000, "a.java")
    parse("a b " * 20 + "\n", "a.c")
