"""The options that Braid keeps for itself, beside all that the installed vLLM takes."""

import warnings

import pytest

pytest.importorskip("vllm", reason="needs the model environment")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its imports of torch warn
    # In this process, which other tests of this environment need vLLM in too: to import it takes ten seconds.
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

from gateway.engine_options import _check_owner, _name  # pyright: ignore[reportPrivateUsage]

pytestmark = pytest.mark.model

OURS = {
    "--api-key", "--api-server-count", "--chat-template", "--chat-template-content-format", "--code-revision",
    "--config", "--config-format", "--convert", "--default-chat-template-kwargs", "--default-mm-loras",
    "--enable-lora", "--enable-prompt-tokens-details", "--enable-ssl-refresh", "--gpu-memory-utilization", "--grpc",
    "--headless", "--help", "--hf-config-path", "--hf-overrides", "--host", "--logprobs-mode", "--lora-modules",
    "--lora-target-modules", "--max-cpu-loras", "--max-logprobs", "--max-lora-rank", "--max-loras", "--model",
    "--model-class-overrides", "--port", "--response-role", "--return-tokens-as-token-ids", "--revision",
    "--root-path", "--runner", "--served-model-name", "--skip-tokenizer-init", "--ssl-ca-certs", "--ssl-cert-reqs",
    "--ssl-certfile", "--ssl-ciphers", "--ssl-keyfile", "--tokenizer", "--tokenizer-mode", "--tokenizer-revision",
    "--trust-request-chat-template", "--uds",
}  # fmt: skip


def test_of_the_options_of_the_installed_vllm_braid_refuses_its_own_and_no_other() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        actions = make_arg_parser(FlexibleArgumentParser())._actions
    refused: set[str] = set()
    for names in (action.option_strings for action in actions):
        long = [name for name in names if name.startswith("--") and not name.startswith("--no-")]
        for name in names:
            try:
                _check_owner(_name(name))
            except ValueError:
                refused |= set(long[:1])
    assert len(actions) > 200
    assert refused == OURS
