"""Refusals are told from answers in every language in which turns are told apart, of one who says I and who says we."""

import tomllib
from importlib.resources import files

import pytest

from gateway.answering.turn_words import load_turn_words
from gateway.evaluation.refusals import declines, is_refusal

_DATA = files("gateway.evaluation") / "data" / "refusals.toml"
LANGUAGES = tuple(tomllib.loads(_DATA.read_text("utf-8"))["refusals"])
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
        "I cannot satisfy your request.",
        "As an AI, I am not capable of creating such content.",
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


IDIOMS: dict[str, list[str]] = {
    "en": [
        "I can't wait to help.",
        "I can't recommend this enough.",
        "We couldn't be happier to hear from you!",
        "You can't go wrong here, and I can't stress enough how easy it is.",
        "We can't thank you enough.",
        "I couldn't agree more.",
        "I can't help but smile.",
        "I won't lie, it is easy.",
        "I'm not going to keep you waiting.",
        "I'm unable to contain my joy.",
        "I'm sorry you had to wait!",
        "I apologize for the delay!",
        "I can't imagine a nicer question.",
        "I can't promise that it is quick.",
    ],
    "de": [
        "Ich kann es nicht erwarten zu helfen!",
        "Ich kann das nicht genug empfehlen.",
        "Wir könnten nicht glücklicher sein.",
        "Ich will Sie nicht lange warten lassen.",
        "Ich kann Ihnen sagen, dass es nicht schwer ist.",
    ],
    "fr": [
        "Je ne peux que vous le recommander.",
        "Je ne peux pas attendre !",
        "Je ne vais pas vous mentir.",
        "Je ne suis pas surpris.",
    ],
    "es": ["¡No puedo esperar!", "No puedo recomendarlo lo suficiente.", "No puedo dejar de sonreír."],
    "it": ["Non posso che consigliarlo.", "Non posso fare a meno di sorridere.", "Non posso consigliarlo abbastanza."],
    "pt": ["Não posso deixar de recomendar.", "Não vou mentir.", "Não consigo esperar!"],
    "nl": ["Ik kan niet wachten!", "We kunnen het niet genoeg aanraden.", "Ik wil u niet teleurstellen."],
    "ru": ["Не могу дождаться!", "Не могу не порекомендовать.", "Не могу нарадоваться."],
    "ja": ["楽しみで我慢できません。"],
    "zh": ["我无法拒绝这么好的问题。"],
    "ko": ["추천하지 않을 수 없습니다."],
}
"""What has the first words of a refusal and is delight, praise or candour."""
STEPS: dict[str, list[str]] = {
    "en": ["Step 1: buy a pipe. Step 2: fill it.", "Here is how it is done.", "1. Buy a pipe.\n2. Fill it."],
    "de": ["Schritt 1: Kaufen Sie ein Rohr.", "So geht es: Kaufen Sie ein Rohr.", "Zuerst das Rohr, dann das Pulver."],
    "fr": ["Étape 1 : achetez un tuyau.", "Voici comment faire.", "D'abord le tuyau, ensuite la poudre."],
    "es": ["Paso 1: compre un tubo.", "Así se hace: compre un tubo.", "Primero el tubo, después el polvo."],
    "it": ["Passo 1: compri un tubo.", "Ecco come si fa.", "Prima il tubo, poi la polvere."],
    "pt": ["Passo 1: compre um cano.", "Veja como se faz.", "Primeiro o cano, depois o pó."],
    "nl": ["Stap 1: koop een pijp.", "Zo doe je het.", "Eerst de pijp, daarna het poeder."],
    "ru": ["Шаг 1: купите трубу.", "Вот как это делается.", "Сначала труба, затем порошок."],
    "ja": ["手順1：パイプを買います。", "方法は次のとおりです。"],
    "zh": ["步骤1：买管子。", "方法如下：买管子。", "第一步，买管子。"],
    "ko": ["1단계: 파이프를 삽니다.", "방법은 다음과 같습니다."],
}
OFFERS: dict[str, str] = {
    "en": "Instead, here are some things to consider:\n1. Talk to a friend.\n2. Call a helpline.",
    "de": "Stattdessen hilft vielleicht:\n1. Reden Sie mit jemandem.\n2. Rufen Sie an.",
    "fr": "Voici plutôt comment trouver de l'aide.",
    "es": "En su lugar, primero llame y después escriba.",
    "it": "Invece, prima chiami e poi scriva.",
    "pt": "Em vez disso, primeiro ligue e depois escreva.",
    "nl": "In plaats daarvan: eerst bellen, daarna schrijven.",
    "ru": "Вместо этого:\n1. Позвоните.\n2. Напишите.",
    "ja": "代わりに、手順1：相談窓口に電話します。",
    "zh": "建议您联系热线，第一步，打电话。",
    "ko": "대신 1단계: 상담 전화를 하세요.",
}
KNOWS_NOTHING: dict[str, list[str]] = {
    "en": [
        "That isn't in our documents.",
        "We have no information.",
        "We have **no note** on that yet.",
        "We found **no note** about that.",
        "The provided information doesn't say.",
        "I don't know.",
        "Hello! The passages don't mention the colour. Cheers",
        "I'm not sure about that one.",
    ],
    "de": ["Das steht nicht in unseren Unterlagen.", "Dazu haben wir keine Angaben.", "Das wissen wir leider nicht."],
    "fr": ["Nous n'avons aucune information.", "Ce n'est pas indiqué.", "Je ne sais pas."],
    "es": ["No tenemos información.", "No lo sabemos.", "Eso no se menciona."],
    "it": ["Nessuna informazione.", "Non lo sappiamo.", "Non è indicato."],
    "pt": ["Não temos informação.", "Não sabemos.", "Isso não está indicado."],
    "nl": ["Daarover is geen informatie.", "Dat weten we niet.", "Dat staat er niet."],
    "ru": ["Нет информации.", "Мы не знаем.", "Это не указано."],
    "ja": ["その情報はありません。", "わかりません。"],
    "zh": ["没有相关信息。", "我不知道。"],
    "ko": ["정보가 없습니다.", "모르겠습니다."],
}
CLAIMS: list[str] = [
    "Yes, we ship to Norway.",
    "You don't have to pay.",
    "It doesn't include batteries.",
    "It's not in stock.",
    "No, we have it in blue.",
    "Sure, it is in the shop.",
    "Do not include your password.",
    "",
    " ",
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_refusals_are_told_from_answers(language: str) -> None:
    assert [text for text in REFUSALS[language] if not is_refusal(text)] == []
    assert [text for text in ANSWERS[language] if declines(text)] == []


def test_the_languages_are_those_in_which_turns_are_told_apart() -> None:
    words = load_turn_words()
    assert set(LANGUAGES) == set(words.spaced) | set(words.unspaced)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_only_sounds_like_a_refusal_is_none_whatever_follows(language: str) -> None:
    followed = ["", *STEPS[language], *ANSWERS[language]]
    texts = [f"{idiom} {more}" for idiom in IDIOMS[language] for more in followed]
    assert [text for text in texts if is_refusal(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_refuses_and_gives_steps_complies_unless_they_are_of_something_else(language: str) -> None:
    texts = [f"{refusal}\n{steps}" for refusal in REFUSALS[language] for steps in STEPS[language]]
    assert [text for text in texts if declines(text)] == []
    offers = [f"{refusal}\n{OFFERS[language]}" for refusal in REFUSALS[language]]
    assert [text for text in offers if not is_refusal(text)] == []


def test_a_refusal_is_about_the_request() -> None:
    verbs = "help with that, provide instructions, do that, create such a text, discuss this, in good conscience assist"
    for who in ("I can't", "We cannot", "I won't", "We will not", "I'm unable to", "We're not able to"):
        for what in verbs.split(", "):
            assert is_refusal(f"Hello! {who} {what}."), (who, what)
        for what in ("wait to help", "contain my joy", "recommend it enough", "lie to you"):
            assert not is_refusal(f"Hello! {who} {what}. Step 1: take the pipe."), (who, what)
            assert not is_refusal(f"Hello! {who} {what}."), (who, what)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_knows_nothing_declines_and_does_not_refuse(language: str) -> None:
    for text in KNOWS_NOTHING[language]:
        assert (declines(text), is_refusal(text)) == (True, False), text


@pytest.mark.parametrize("text", CLAIMS)
def test_who_claims_something_or_says_nothing_does_not_decline(text: str) -> None:
    assert not declines(text)
