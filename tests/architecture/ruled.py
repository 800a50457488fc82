"""Which rule holds for which modules, in which exceptions, and for which source it would fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from tests.architecture import function_names, name_rules, rules, vain_tests
from tests.architecture.source import PACKAGES, Module, modules, read


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule and the exceptions that it will always have, each with its reason.

    Attributes:
        says: The rule as a sentence.
        check: Finds what breaks it in a module.
        broken: A source that breaks it, so that the check is known to see something.
        reasons: What may break it, and why.
        modules: Where it holds.
    """

    says: str
    check: Callable[[Module], set[str]]
    broken: Module
    reasons: Mapping[str, str] = field(default_factory=dict)
    modules: Callable[[], tuple[Module, ...]] = modules


@cache
def breaches(rule: Rule) -> set[str]:
    """Return what breaks a rule now, the exceptions included."""
    return set().union(*(rule.check(module) for module in rule.modules()))


def everything() -> tuple[Module, ...]:
    """All Python of the repository."""
    return read(*PACKAGES, "tests", "deploy", "examples")


def without_tests() -> tuple[Module, ...]:
    """All Python of the repository but the tests."""
    return read(*PACKAGES, "deploy", "examples")


def tests() -> tuple[Module, ...]:
    return read("tests")


FIRST_SCHEMA = "gateway/migrations/scripts/versions/0001_the_first_schema.py"
BODY = "    x = 1\n" * 61
HANDLER = "@router.get('/')\ndef handler():\n" + "    x = 1\n" * 13
# Functions whose names others have given, or that are called by them as a command is.
_BY_ASYNCIO = "connection_made data_received connection_lost"
OTHERS_NAMES = {
    ("gateway/app.py", "FastAPI's"): "openapi",
    ("gateway/cli/demo.py", "the command's"): "demo",
    ("gateway/cli/doctor/command.py", "the command's"): "doctor",
    ("gateway/cli/gate.py", "the command's"): "gate",
    ("gateway/cli/serve.py", "the command's"): "worker",
    ("gateway/cli/storage.py", "the command's"): "storage",
    ("gateway/cli/up.py", "the command's"): "up",
    ("gateway/db/sqlite_connection.py", "the database API's"): "cursor executemany fetchall",
    ("gateway/engines/http.py", "asyncio's"): f"{_BY_ASYNCIO} eof_received",
    ("gateway/engines/vllm_plugin/braid_vllm_plugin.py", "vLLM's"): (
        "bgmv_expand bgmv_expand_slice bgmv_shrink sgmv_expand sgmv_expand_slice sgmv_shrink"
    ),
    ("gateway/jobs/failpoints.py", "the field's word, at home in every step of a job"): "failpoint",
    ("retrieval/log_lines.py", "the name is logging's"): "formatMessage",
    ("gateway/settings.py", "pydantic's"): "settings_customise_sources",
    ("gateway/web/api_browser.py", "Starlette's"): "file_response",
    ("gateway/web/bounded_protocol.py", "asyncio's, and uvicorn's"): f"{_BY_ASYNCIO} timeout_keep_alive_handler",
    ("gateway/web/cors.py", "Starlette's"): "preflight_response",
    ("gateway/web/uvicorn_protocol.py", "asyncio's"): _BY_ASYNCIO,
    ("prompts/_sandbox.py", "Jinja's"): "getattr getitem",
}

RULES = (
    Rule(
        "a file holds one idea",
        rules.long_files,
        Module.of("x = 1\n" * 401),
        {FIRST_SCHEMA: "generated"},
    ),
    Rule(
        "a function fits on a page",
        rules.long_functions,
        Module.of(f"def long():\n{BODY}"),
        {f"{FIRST_SCHEMA}:upgrade": "generated", f"{FIRST_SCHEMA}:downgrade": "generated"},
    ),
    Rule(
        "a handler parses, calls and returns",
        rules.long_handlers,
        Module.of(HANDLER, "gateway/files/routes.py"),
    ),
    Rule(
        "a short file that has no role is a page of another one",
        rules.crumbs,
        Module.of("x = 1\n"),
        {
            "gateway/evaluation/written_questions.py": "a job and a command ask for them, and neither knows the other",
            "gateway/evaluation/even_sample.py": "five rooms thin out what they ask, and none of them another's",
            "gateway/evaluation/report_template.py": "the pages of six rooms stand in it, which don't know each other",
            "gateway/diagnoses/diagnosis_page.py": "a report and its page are two modules in every room that has them",
            "gateway/jobs/failpoints.py": "the one place where production knows of tests (decision 10)",
            "gateway/cli/doctor/finding.py": "four modules of checks return it, and none of them another's",
            "gateway/web/whole_file.py": "two rooms answer with files, and neither knows the other",
            "gateway/counts.py": "messages of a dozen rooms count, and none of them knows another",
            "gateway/cli/first_moments.py": "it comes before all other imports, and again before those of a command",
            "gateway/composition/stored.py": "the gateway and the worker count alike what is stored",
        },
    ),
    Rule(
        "no import stands inside a function, but of optional heavy dependencies, each in one named loader",
        rules.inner_imports,
        Module.of("def load():\n    import torch\n"),
        {
            "retrieval/embedder.py:load_embedder": "sentence-transformers and torch",
            "retrieval/reranker.py:_load_cross_encoder": "sentence-transformers and torch",
            "training/base_checkpoint.py:_dequantize": "transformers and torch",
        },
    ),
    Rule("no state is global and nothing prints", rules.globals_and_prints, Module.of("def f():\n    print(1)\n")),
    Rule(
        "what is done at once ends with the first failure (gateway.task_group), or is waited for",
        rules.plain_gathers,
        Module.of("import asyncio\nasync def f(*x):\n    await asyncio.gather(*x)\n"),
        modules=without_tests,
    ),
    Rule(
        "a wait for another process forgives a standstill (retrieval.patience)",
        rules.plain_timeouts,
        Module.of("import asyncio\nasync def f(x):\n    async with asyncio.timeout(2.0):\n        await x\n"),
        {
            "gateway/adapters/ray_executor.py:end": "the end of a trainer, for which a cluster needn't be waited",
            "gateway/answers/counts.py:close": "the end of this process",
            "gateway/answers/log.py:flush": "for records that this process writes, and a client asks again",
            "gateway/cli/doctor/documents.py:_describe": "a command, which its person repeats",
            "gateway/engines/http.py:__aexit__": "the end of this process",
            "gateway/engines/pool.py:_watch": "a pause between two checks",
            "gateway/engines/reconcile.py:_follow": "a pause between two looks",
            "gateway/engines/reconcile.py:wait_until_resident": "as long as a client or a job wants to wait",
            "gateway/fine_tuning/train_job.py:stop": "the end of a trainer, which is killed behind it",
            "gateway/jobs/wait.py:wait_for": "as long as a client wants to wait",
            "retrieval/parsers/process.py:_reap": "the end of a child that was killed",
        },
        modules=without_tests,
    ),
    Rule(
        "a process of the gateway logs events",
        rules.stdlib_logging,
        Module.of("import logging.config\n"),
        {"gateway/terminal.py": "sets up the logs of libraries, which know nothing else"},
    ),
    Rule(
        "a process gets the environment that it needs (gateway.processes.inheritance)",
        rules.inherited_environments,
        Module.of("import os, subprocess\nsubprocess.run(['x'])\nsubprocess.run(['x'], env={**os.environ})\n"),
        {
            "gateway/demo/services.py:all": "starts `braid up` for the person who asked for the demo",
            "training/launch.py:all": "the trainer's other processes do what it does, and have what it has",
        },
    ),
    Rule("a module says what is public", rules.silent_modules, Module.of("def run(): ...\n")),
    Rule(
        "a name says what is inside",
        name_rules.vague_names,
        Module.of("class PathHelper: ...\n"),
        {
            f"gateway/chat/described_parts.py:{name}": "OpenAI's word"
            for name in (
                *("allowed_tools", "allowed_tools_choice", "named_tool_choice", "chat_completion_tool"),
                *("chat_completion_message_tool_call", "choice_delta_tool_call"),
            )
        }
        | {f"gateway/chat/request.py:{name}": "OpenAI's word" for name in ("_tool", "_tool_choice", "_tool_mode")},
    ),
    Rule(
        "a name is a noun and no participle",
        name_rules.participles,
        Module.of("def f(x):\n    for made in x: ...\n"),
        {
            f"gateway/{path}.py:done": "`asyncio.wait` returns what is done"
            for path in ("gates/closed_book", "jobs/worker")
        }
        | {
            "gateway/adapters/lifecycle.py:GONE": "the state of an adapter, beside PENDING and READY",
            "training/events.py:Started": "an event is named after what happened",
        },
        modules=without_tests,
    ),
    Rule(
        "a public function begins with a verb or a preposition",
        function_names.nouns_for_functions,
        Module.of("class Reconciler:\n    async def resident(self, name: str) -> None: ...\n"),
        {f"{path}:{name}": reason for (path, reason), names in OTHERS_NAMES.items() for name in names.split()},
    ),
    Rule(
        "leases and claims are released, and nothing else is: a release is an assistant's",
        name_rules.releases,
        Module.of("class Backend:\n    def release(self) -> None: ...\n"),
        {"gateway/jobs/claim.py:release": "a claim", "gateway/engines/replica.py:release": "a lease"},
    ),
    Rule(
        "an epoch is a pass over training data, and a store's is an index epoch",
        name_rules.bare_epochs,
        Module.of("def find(epoch): ...\n", "gateway/vector_stores/search.py"),
    ),
    Rule(
        "a plain value is a frozen dataclass with slots; one that isn't frozen changes",
        rules.loose_dataclasses,
        Module.of("@dataclass(slots=True)\nclass Pair:\n    left: int\n"),
    ),
    Rule(
        "pydantic is for HTTP schemas and settings",
        rules.stray_schemas,
        Module.of("class Answer(BaseModel): ...\n"),
        {
            "gateway/evals/data_sources.py": "the schemas of evals, by what they are about: there are forty",
            "gateway/optional_members.py": "a base class of schemas",
            "gateway/pages.py": "the schema of every list",
            "gateway/web/error_responses.py": "the schema of every error",
        },
    ),
    Rule("one backtick", rules.double_backticks, Module.of("x = 1  # see ``y``\n"), modules=everything),
    Rule("a docstring has a subject", rules.question_words, Module.of('"""What is done."""\n')),
    Rule(
        "a function's docstring begins with a verb, a module's and a property's with a noun",
        rules.moods,
        Module.of('class Turn:\n    @property\n    def is_target(self):\n        """Tell whether it is learnt."""\n'),
    ),
    Rule(
        "a docstring is a sentence",
        rules.fragments,
        Module.of('class Report:\n    """The whole."""\n'),
    ),
    Rule(
        "a string behind a constant, a setting or an attribute has a subject",
        rules.loose_subjects,
        Module.of('class Settings:\n    seconds: float = 1.0\n    """How long it may take."""\n'),
    ),
    Rule("a rate is per something", rules.rates, Module.of(f"x = 1  # rows {'a'} step\ny = 2\n"), modules=everything),
    Rule(
        "a function tells whether",
        rules.functions_that_tell,
        Module.of('def is_idle():\n    """Whether nothing is under way."""\n'),
    ),
    Rule(
        "a docstring's arguments are parameters",
        rules.foreign_arguments,
        Module.of('def f(x):\n    """Do it.\n\n    Args:\n        y: A number.\n    """\n'),
        modules=everything,
    ),
    Rule(
        "nothing stands behind what runs a module as a program",
        rules.behind_main,
        Module.of("if __name__ == '__main__':\n    run()\n\n\ndef run(): ...\n"),
        modules=everything,
    ),
    Rule("prose says can't", rules.spelled_out, Module.of("x = 'It cannot be.'\n")),
    Rule("tests' names spell out", rules.cut_short, Module.of("def test_it_cant(): ...\n"), modules=tests),
    Rule(
        "a test asserts to its end",
        vain_tests.early_returns,
        Module.of("def test_it_holds(x):\n    if x:\n        return\n    assert x is None\n", "tests/test_x.py"),
        modules=tests,
    ),
    Rule("tests' names are sentences", rules.mere_nouns, Module.of("def test_bad_requests(): ...\n"), modules=tests),
)
