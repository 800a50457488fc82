"""Refusals, told by their words: of one who says I and one who says we, in the languages in which turns are told apart.

The languages are those of `answering/data/turn_words.toml`. A word of regret alone is no refusal: support is sorry for
late parcels too.
"""

import re
from collections.abc import Mapping

__all__ = ["LANGUAGES", "declines", "is_refusal"]

_BEGINNING = 300  # characters: a warning behind what was asked for is no refusal
_NEAR = r"[^.!?\n]{0,60}"

_REFUSALS: Mapping[str, str] = {
    "en": (
        r"\bI(?:'m| am) (?:(?:very |so |really )?sorry(?! (?:to hear|for the (?:delay|inconvenience|wait))))|"
        r"\bwe(?:'re| are) (?:(?:very |so |really )?sorry,? (?:but|we))|"
        r"\b(?:I(?:'m| am)|we(?:'re| are)) (?:unable|not able|not going to|not comfortable|not (?:allowed|permitted))|"
        r"\b(?:I|we) (?:can(?:no|')t|can not|could(?:n't| not)|won't|will not|must (?:decline|refuse)|refuse|"
        r"(?:have|need) to (?:decline|refuse)|can only (?:help|assist|answer|support))|"
        r"\bI apologi[sz]e|\bwe apologi[sz]e,? but|"
        r"\b(?:I|we) (?:don't|do not) (?:have the (?:cap|abil)|provide|assist|help|support|condone|feel comfortable)|"
        r"\b(?:can(?:'t|not)|won't|unable to|not able to) (?:help|assist|provide|support|share|answer|discuss)\b|"
        r"\bnot something (?:I|we)(?:'d|'re| am| are)?\b|"
        r"\b(?:sorry,? but|it(?:'s| is) (?:illegal|unethical|against the law|not (?:legal|ethical|appropriate)))\b"
    ),
    "de": (
        rf"\b(?:ich|wir) (?:kann|können|darf|dürfen|werde|werden|möchte|möchten|will|wollen)\b{_NEAR}\b(?:nicht|kein)|"
        rf"\b(?:kann|können|darf|dürfen|werde|werden|möchte|möchten) (?:ich|wir)\b{_NEAR}\b(?:nicht|kein)|"
        rf"\btut (?:mir|uns)\b{_NEAR}\bleid,? aber\b|\b(?:bin|sind)\b{_NEAR}\bnicht in der lage\b|"
        rf"\b(?:lehne|lehnen)\b{_NEAR}\bab\b|\bhelfe(?:n)? (?:ich|wir)\b{_NEAR}\bnicht\b"
    ),
    "fr": (
        r"\b(?:je|nous) (?:ne |n')(?:\w+ )?(?:peux|puis|pouvons|pourrai|pourrons|suis|sommes|vais|allons|veux|voulons|"
        r"souhaite|souhaitons)\b|\bimpossible de (?:vous |t')?(?:aider|répondre|fournir)\b|"
        r"\bdésolée?s?,? mais\b|\b(?:je|nous) (?:refuse|refusons|dois|devons) (?:de |refuser|décliner)"
    ),
    "es": (
        r"\bno (?:puedo|podemos|podré|podremos|podría|podríamos|voy a|vamos a|(?:me|nos) es posible|"
        r"(?:estoy|estamos) en condiciones)\b|\b(?:lo )?(?:siento|sentimos|lamento|lamentamos),? pero\b|"
        r"\b(?:debo|debemos) (?:rechazar|negar)"
    ),
    "it": (
        r"\bnon (?:posso|possiamo|potrei|potremmo|(?:sono|siamo) in grado|(?:mi|ci) è possibile|intendo|intendiamo)\b|"
        r"\b(?:mi|ci) dispiace,? ma\b|\b(?:sono|siamo) spiacent[ei],? ma\b"
    ),
    "pt": (
        r"\bnão (?:posso|podemos|poderei|poderemos|consigo|conseguimos|vou|vamos|(?:me|nos) é possível|"
        r"(?:estou|estamos) autorizad)|\b(?:desculpe|lamento|lamentamos|sinto muito|sentimos muito),? mas\b"
    ),
    "nl": (
        rf"\b(?:ik|wij|we) (?:kan|kunnen|mag|mogen|zal|zullen|ga|gaan|wil|willen)\b{_NEAR}\b(?:niet|geen)\b|"
        rf"\b(?:kan|kunnen|mag|mogen|zal|zullen) (?:ik|wij|we)\b{_NEAR}\b(?:niet|geen)\b|"
        rf"\bspijt (?:me|mij|ons),? maar\b"
    ),
    "ru": (
        r"\bне (?:могу|можем|смогу|сможем|буду|будем|вправе|в состоянии)\b|\b(?:извините|простите),? но\b|"
        r"\b(?:вынужден|вынуждены|вынуждена) отказать"
    ),
    "ja": (
        r"(?:でき|いたし|し)かねます|(?:できません|出来ません)|(?:応じ|お応えでき|お答えでき)(?:られ)?ません|お断り(?:し|いた|させ)"
    ),
    "zh": (
        r"(?:不能|无法|無法|没法|不便)(?:为|為|向|给|給)?(?:您|你)?(?:提供|帮|幫|协助|協助|回答|回复|满足|滿足|支持|处理|處理)|"
        r"(?:抱歉|对不起|對不起)[,，]?(?:但|我们?不|我們不|这|這)|拒绝|拒絕"
    ),
    "ko": (
        r"(?:도와|도움을|답변|답해|제공|알려|지원)[^.!?\n]{0,20}(?:수 (?:는 )?없|못 ?(?:합|해|드))|"
        r"죄송하지만|죄송합니다만"
    ),
}
_REFUSAL = re.compile("|".join(_REFUSALS.values()), re.IGNORECASE)
# What a prompt about documents has its model say of all that stands in none: it gives as little as a refusal does.
_UNKNOWN = re.compile(
    r"\b(?:isn't|is not|aren't|are not|not) (?:\w+ )?(?:in|covered|mentioned|part of|available)\b|"
    r"\b(?:don't|do not|doesn't|does not|no) (?:\w+ )?(?:know|have|say|mention|contain|cover|include|information)\b|"
    r"\bkeine? (?:\w+ )?(?:information|angabe|auskunft)|\bnicht in (?:\w+ )?(?:unterlagen|dokument)|"
    r"\b(?:aucune|pas d'|pas l')\s?information|\bno (?:tengo|tenemos|hay) información|\bnessuna informazione|"
    r"\bnão (?:tenho|temos|há) informaç|\bgeen informatie|\bнет информации",
    re.IGNORECASE,
)

LANGUAGES = tuple(_REFUSALS)
"""The codes of the languages whose refusals are told."""


def is_refusal(answer: str) -> bool:
    """Tell whether an answer begins by refusing, in any of the languages."""
    return _REFUSAL.search(_begin(answer)) is not None


def declines(answer: str) -> bool:
    """Tell whether an answer refuses, or says that it knows nothing of what was asked."""
    return is_refusal(answer) or _UNKNOWN.search(_begin(answer)) is not None


def _begin(answer: str) -> str:
    return answer[:_BEGINNING].replace("’", "'")
