"""Replies that begin and end with any white space, under tokenizers of each family of published models."""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.training.chat_templates import PLAIN
from tests.training.model.tiny import SPECIALS, make_tokenizer
from training.dataset import Message, Row
from training.tokenization import RowTokenizer

# What stands at the border of a prompt and a reply is merged here more than anywhere else.
CORPUS = [
    "Ahoy there, how far is it?  A mile, or less.\n\nHello\tthere",
    "<|im_start|>assistant\nHello",
    "user\nWell?\n",
] * 3
SPECIAL_TOKENS = [AddedToken(token, special=True, normalized=False) for token in SPECIALS]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SETTINGS: dict[str, Any] = {"vocab_size": 420, "special_tokens": SPECIAL_TOKENS, "show_progress": False}


def finish(tokenizer: Tokenizer, trainer: Any) -> Any:
    tokenizer.train_from_iterator(CORPUS, trainer)
    fast = cast("Any", PreTrainedTokenizerFast)(tokenizer_object=tokenizer, eos_token=SPECIALS[0])
    fast.chat_template = PLAIN
    return fast


def make_byte_level() -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cast("Any", pre_tokenizers).ByteLevel(add_prefix_space=False)
    tokenizer.decoder = cast("Any", decoders).ByteLevel()
    return finish(
        tokenizer, cast("Any", trainers).BpeTrainer(**SETTINGS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    )


def make_metaspace(scheme: str) -> Any:
    tokenizer = Tokenizer(cast("Any", models).BPE(byte_fallback=True))
    tokenizer.pre_tokenizer = cast("Any", pre_tokenizers).Metaspace(prepend_scheme=scheme)
    decoder = cast("Any", decoders)
    tokenizer.decoder = decoder.Sequence([decoder.ByteFallback(), decoder.Metaspace(prepend_scheme=scheme)])
    return finish(
        tokenizer, cast("Any", trainers).BpeTrainer(**SETTINGS | {"special_tokens": [*SPECIAL_TOKENS, *BYTES]})
    )


def make_unigram() -> Any:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = cast("Any", pre_tokenizers).Metaspace()
    tokenizer.decoder = cast("Any", decoders).Metaspace()
    return finish(tokenizer, cast("Any", trainers).UnigramTrainer(**SETTINGS | {"vocab_size": 120}, unk_token="<unk>"))


def make_sentence_piece() -> Any:
    """Llama 2's: a normalizer instead of a pre-tokenizer, so that tokens run across words and lines."""
    tokenizer = Tokenizer(cast("Any", models).BPE(byte_fallback=True, fuse_unk=True))
    normalizer, decoder = cast("Any", normalizers), cast("Any", decoders)
    tokenizer.normalizer = normalizer.Sequence([normalizer.Prepend("▁"), normalizer.Replace(" ", "▁")])
    tokenizer.decoder = decoder.Sequence(
        [decoder.Replace("▁", " "), decoder.ByteFallback(), decoder.Fuse(), decoder.Strip(" ", 1, 0)]
    )
    return finish(
        tokenizer, cast("Any", trainers).BpeTrainer(**SETTINGS | {"special_tokens": [*SPECIAL_TOKENS, *BYTES]})
    )


FAMILIES: dict[str, Callable[[], Any]] = {
    "a token per byte": lambda: make_tokenizer(PLAIN),
    "byte-level BPE": make_byte_level,
    "metaspace, always": lambda: make_metaspace("always"),
    "metaspace, first": lambda: make_metaspace("first"),
    "metaspace, never": lambda: make_metaspace("never"),
    "unigram": make_unigram,
    "SentencePiece BPE": make_sentence_piece,
}


@cache
def make_family(family: str) -> Any:
    return FAMILIES[family]()


SPACES = st.text(" \n\t\r\u00a0\u3000", max_size=4)
WORDS = st.one_of(
    st.sampled_from(["Hello", "Ahoy there", "less.\n\nHello", "7"]),
    st.text(st.characters(codec="utf-8", exclude_characters="<▁"), min_size=1, max_size=8),
)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=50, deadline=None)
@given(st.builds("{}{}{}".format, SPACES, WORDS, SPACES))
@example("\nHello")
@example("Hello \n")
@example("Hello")
@example("\n")
def test_no_reply_is_left_out_whatever_white_space_is_around_it(family: str, reply: str) -> None:
    plain = make_family(family)
    end = plain.convert_tokens_to_ids("<|im_end|>")
    turns = [Message("user", "Well?"), Message("assistant", reply)]
    rows, dropped = RowTokenizer(plain, frozenset({end})).tokenize_rows([Row(1, turns, None)], 1000)
    assert dropped == []
    (row,) = rows
    question = [{"role": "user", "content": "Well?"}]
    text = plain.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
    prompt = plain.encode(text, add_special_tokens=False)
    last = len(row.loss_mask) - row.loss_mask[::-1].index(True)
    assert row.tokens[: len(prompt)] == prompt
    assert row.loss_mask.index(True) == len(prompt)
    assert row.tokens[last - 1] == end
    whole = plain.encode(f"{text}{reply}<|im_end|>", add_special_tokens=False)
    assert plain.decode(row.tokens[:last]) == plain.decode(whole)
