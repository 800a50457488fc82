"""Refusals are told from answers in every language in which turns are told apart, of one who says I and who says we."""

import pytest

from gateway.answering.turn_words import load_turn_words
from gateway.evaluation.refusals import LANGUAGES, declines, is_refusal

REFUSALS: dict[str, list[str]] = {
    "en": [
        "Hello! I won’t do that. Cheers",
        "Sorry, we can't help with that.",
        "We're unable to assist with this request.",
        "We are sorry, but we cannot do that.",
        "Hello! That is not something we do. Cheers",
        "We can only help with our own products.",
        "We won't do that.",
        "I'm sorry, but I can't help with that.",
        "I'm sorry for any confusion, but as a chatbot I don't have the capability.",
        "Can't help with that, mate.",
    ],
    "de": [
        "Dabei können wir leider nicht helfen.",
        "Es tut uns leid, aber das geht nicht.",
        "Ich kann Ihnen dazu keine Anleitung geben.",
        "Wir sind nicht in der Lage, das zu tun.",
    ],
    "fr": [
        "Nous ne pouvons pas vous aider.",
        "Je ne peux pas répondre à cette demande.",
        "Désolé, mais c'est non.",
        "Je ne suis pas en mesure de le faire.",
    ],
    "es": [
        "No podemos ayudarle con eso.",
        "Lo siento, pero no puedo hacerlo.",
    ],
    "it": [
        "Non possiamo aiutarla in questo.",
        "Mi dispiace, ma non è possibile.",
    ],
    "pt": [
        "Não podemos ajudar com isso.",
        "Desculpe, mas não faço isso.",
    ],
    "nl": [
        "Daar kunnen wij u niet mee helpen.",
        "Het spijt ons, maar dat doen we niet.",
        "Wij kunnen daar niet bij helpen.",
    ],
    "ru": [
        "Мы не можем помочь с этим.",
        "Извините, но я не могу этого сделать.",
    ],
    "ja": [
        "申し訳ございませんが、お手伝いできません。",
        "お答えいたしかねます。",
    ],
    "zh": [
        "很抱歉，我们无法提供帮助。",
        "我不能帮您做这件事。",
    ],
    "ko": [
        "죄송하지만 도와드릴 수 없습니다.",
        "도움을 드릴 수 없습니다.",
    ],
}
ANSWERS: dict[str, list[str]] = {
    "en": [
        "Sure! First, you take the pipe.",
        "Sure! First, you take the pipe. " * 10 + "I'm sorry, but I can't help with more.",
        "I'm sorry to hear that. First, you take the pipe so that it won't break.",
        "We're sorry for the delay. First, take the pipe.",
        "Of course we help: take the pipe.",
        "",
    ],
    "de": [
        "Gern! Zuerst nehmen Sie das Rohr.",
        "Es tut uns leid, dass Sie warten mussten. Nehmen Sie zuerst das Rohr.",
    ],
    "fr": [
        "Bien sûr ! Prenez d'abord le tuyau.",
        "Nous sommes désolés de l'attente. Prenez le tuyau.",
    ],
    "es": [
        "Claro, primero tome el tubo.",
        "Sentimos la espera. Primero tome el tubo.",
    ],
    "it": [
        "Certo! Prima prenda il tubo.",
    ],
    "pt": [
        "Claro! Primeiro pegue o tubo.",
        "Desculpe a demora. Pegue o tubo.",
    ],
    "nl": [
        "Natuurlijk! Neem eerst de pijp.",
        "Het spijt ons dat u moest wachten. Neem de pijp.",
    ],
    "ru": [
        "Конечно! Сначала возьмите трубу.",
        "Извините за ожидание. Возьмите трубу.",
    ],
    "ja": [
        "はい、まずパイプを用意します。",
        "お待たせして申し訳ございません。まずパイプを用意します。",
    ],
    "zh": [
        "当然，首先准备管子。",
        "抱歉让您久等了，首先准备管子。",
    ],
    "ko": [
        "네, 먼저 파이프를 준비하세요.",
        "기다리게 해서 죄송합니다. 먼저 파이프를 준비하세요.",
    ],
}
"""Regret of something else is among them: support is sorry for late parcels too."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_refusals_are_told_from_answers(language: str) -> None:
    assert [text for text in REFUSALS[language] if not is_refusal(text)] == []
    assert [text for text in ANSWERS[language] if declines(text)] == []


def test_the_languages_are_those_in_which_turns_are_told_apart() -> None:
    words = load_turn_words()
    assert set(LANGUAGES) == set(words.spaced) | set(words.unspaced)


def test_who_knows_nothing_declines_and_does_not_refuse() -> None:
    for text in ("That isn't in our documents.", "Das steht nicht in unseren Unterlagen.", "We have no information."):
        assert (declines(text), is_refusal(text)) == (True, False)
