"""Rates in prose: the house says "tokens per second", and not "a second"."""

import re

__all__ = ["find_rates"]

_NUMBER = (
    r"(?:\d[\d.,]*k?|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty|sixty|hundred|thousand|"
    r"million|dozen|several|some|many|few|fewer|more|most|least)"
)
# Words in -s that are no plural: "two takes a second", "as many as a page"; "several times a day" is what anybody says.
_NO_PLURALS = r"(?:as|has|is|was|does|its|this|thus|takes|times|needs|makes|gets|costs|begins|sends|asks|becomes)\b"
# Plurals that are no verbs need no number before them, and others do: "answers a request".
_PLURALS = (
    r"(?:tokens|rows|seconds|minutes|hours|milliseconds|microseconds|bytes|words|characters|sentences|queries|passages|"
    r"chunks|events|messages|threads|vectors|requests)"
)
_SYMBOLS = r"(?:ms|µs|s|KiB|MiB|GiB|TiB|kB|MB|GB|TB|percent|%)"
_SINGULARS = r"(?:token|row|request|line|product|task|timer|call|question|word|byte|thread|process|passage|loss|dollar)"
_UNITS = (
    r"(?:second|minute|hour|day|week|month|year|step|request|token|row|page|tenant|question|answer|process|worker|"
    r"replica|core|job|run|epoch|batch|call|document|store|adapter|machine|node|chunk|passage|reply|message|file|"
    r"line|turn|search|event|case|variant|product|slot|connection|user|character|word|sentence|layer|card|GPU|engine|"
    r"prompt|round|point|item|sample|seed|conversation|key|sync|source|edit|cell|check|wait|arm|comparison|pair)"
)
# Behind a rate stands no verb, which makes a relative clause of it ("the seconds a step takes"), and no noun ("a second
# time").
_END = (
    r"(?=\s*$|[^\w\s'’-]|\s+(?:[^\w\s]|(?:on|in|and|or|at|for|from|to|than|by|as|when|while|where|each|more|less|are|is|"
    r"instead|under|over|against|without|then|but|if|between|behind|beside|through|was|were|there|here|until|"
    r"because|since|before|after|plus|not|only|later|now|alone|both|so)\b))"
)
_RATE = re.compile(
    rf"(?:\b{_NUMBER} (?:[a-z]+ )?(?!{_NO_PLURALS})[a-z]+s|\b{_PLURALS}|\d ?{_SYMBOLS}"
    rf"|\b(?:a|one|mean) {_SINGULARS}) an? (?:reply |optimizer )?{_UNITS}{_END}"
)
_BREAK = re.compile(r"\s*\n\s*(?:# )?")  # comments of several lines are one text


def find_rates(text: str) -> set[str]:
    """Return the rates of a text that are said with "a" instead of "per"."""
    return {match[0] for match in _RATE.finditer(_BREAK.sub(" ", text))}
