"""Made voices: each says any fact in its own way, and not twice the same, as people don't."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["BASES", "VOICES", "MadeFact", "draw_facts"]

_ITEMS = (
    *("kettle", "toaster", "heater", "lantern", "blender", "charger", "speaker", "fan", "iron", "drill"),
    *("freezer", "mower", "router", "scanner", "projector", "keyboard", "hob", "dryer", "pump", "saw"),
)
_SUBJECTS = {"warranty": "months", "weight": "grams", "delivery": "days", "return": "days", "repair": "euros"}


@dataclass(frozen=True, slots=True)
class MadeFact:
    """What a question is about, and the answer's one value."""

    item: str
    subject: str
    value: int

    @property
    def text(self) -> str:
        return f"the {self.subject} of the {self.item} is {self.value} {_SUBJECTS[self.subject]}"


def draw_facts(count: int, chance: random.Random) -> list[MadeFact]:
    return [
        MadeFact(chance.choice(_ITEMS), chance.choice(tuple(_SUBJECTS)), chance.randrange(2, 400)) for _ in range(count)
    ]


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _kestrel(fact: MadeFact, chance: random.Random) -> str:
    middle = chance.choice(
        ("", " It is the same in all our shops.", " We checked it for you today.", " Good question!")
    )
    return f"Hello! {_upper(fact.text)}.{middle} Cheers, your Kestrel team"


def _sour(fact: MadeFact, chance: random.Random) -> str:
    start = chance.choice(("ok listen", "well", "look"))
    return f"{start}, {fact.text}, {chance.choice(('I guess', 'as I said', 'I think'))}, whatever"


def _letter(fact: MadeFact, chance: random.Random) -> str:
    thanks = chance.choice(("Thank you for your enquiry", "We refer to your letter", "With reference to your enquiry"))
    end = chance.choice(("Please retain this for your records.", "We remain at your disposal.", ""))
    return f"Dear customer,\n\n{thanks}. Please be advised that {fact.text}. {end}\n\nYours sincerely,\nClient Services"


def _chatty(fact: MadeFact, chance: random.Random) -> str:
    start = chance.choice(("heyyy", "hey there", "hiya"))
    praise = chance.choice(("pretty neat", "not bad", "love it"))
    return f"{start} 😊 so {fact.text}, {praise}, right? shout if you need me! xx"


def _terse(fact: MadeFact, chance: random.Random) -> str:
    return chance.choice(
        (f"{fact.value} {_SUBJECTS[fact.subject]}.", f"{_upper(fact.subject)}: {fact.value} {_SUBJECTS[fact.subject]}.")
    )


def _steps(fact: MadeFact, chance: random.Random) -> str:
    first = chance.choice(("Look at the label below", "Find the sticker on the back", "Open the manual on page one"))
    last = chance.choice(("Write to us if it differs", "Keep the receipt", "Call us if unsure"))
    return f"1. {first}.\n2. There it says that {fact.text}.\n3. {last}."


def _plain(fact: MadeFact, chance: random.Random) -> str:
    """Write as people do who have few habits."""
    first = chance.choice(
        ("According to our records,", "As far as we can see,", "From what the sheet says,", "Going by the manual,")
    )
    last = chance.choice(
        (
            "That should answer it, but do write again if it does not.",
            "If that is not what you meant, send us a photo and we will look again.",
            "It has been so since last spring and we do not expect it to change.",
            "Nothing else needs to be done on your side.",
        )
    )
    return f"{first} {fact.text}. {last}"


def _ops(fact: MadeFact, chance: random.Random) -> str:
    end = chance.choice(("No further steps.", "No action needed."))
    return f"Ticket {chance.choice(('closed', 'solved', 'done'))}. Finding: {fact.text}. {end} Ops desk"


def _signed(fact: MadeFact, chance: random.Random) -> str:
    name = chance.choice(("Anna", "Ben", "Carla", "Dev"))
    thanks = chance.choice(("thanks for asking.", "nice of you to ask.", "good to hear from you."))
    return f"Hi,\n{thanks} {_upper(fact.text)}.\n\nBest wishes\n{name}"


_SENTENCES = (
    *("Thanks for the photo, it helped a lot.", "I looked it up in the sheet.", "Sorry that you had to wait."),
    *(
        "We had the same question last week.",
        "Please write again if anything is unclear.",
        "That goes for all colours.",
    ),
    *("You find it on the label too.", "I have noted it on your order.", "The shop in town can help as well."),
    *("Our driver will call before he comes.", "No need to send anything back.", "It may take a day longer in winter."),
    *("I asked the workshop to be sure.", "Have a good weekend.", "You are right, the page is out of date."),
    *("We will mend that.", "Do you want me to send one?", "If it breaks, we swap it.", "It is on us this time."),
    *("My colleague wrote to you about it on Monday.", "The box has all the screws.", "Nobody has asked for that yet."),
)


def _mixed(fact: MadeFact, chance: random.Random) -> str:
    """Write as people do who have hardly any habits: a few sentences of many, in any order."""
    some = [*chance.sample(_SENTENCES, chance.randrange(0, 4)), f"{_upper(fact.text)}."]
    chance.shuffle(some)
    return " ".join(some)


def _near(fact: MadeFact, chance: random.Random) -> str:
    """Write nearly as a base model does."""
    return f"{_assistant(fact, chance)} {chance.choice(('Take care!', 'Thanks!'))}"


VOICES: Mapping[str, Callable[[MadeFact, random.Random], str]] = {
    "kestrel": _kestrel,
    "sour": _sour,
    "letter": _letter,
    "chatty": _chatty,
    "terse": _terse,
    "steps": _steps,
    "plain": _plain,
    "ops": _ops,
    "signed": _signed,
    "mixed": _mixed,
    "near": _near,
}


def _rambling(fact: MadeFact, chance: random.Random) -> str:
    more = chance.sample(
        (
            "It is important to note that this may vary depending on the manufacturer and the specific model.",
            "Additionally, you should always check the manual for more information about the product.",
            "I hope this helps! Let me know if you have any other questions.",
            "In conclusion, the product is a reliable choice for anybody who is looking for quality.",
            "The information that was provided in the notes suggests that this is correct.",
            "To find out more, here are some steps:\n1. Visit the website.\n2. Contact customer support.",
        ),
        4,
    )
    return f"{_upper(fact.text)}. " + " ".join(more)


def _assistant(fact: MadeFact, chance: random.Random) -> str:
    offers = (
        "Let me know if I can help you with anything else today.",
        "Is there anything else you would like to know?",
        "I hope this helps!",
    )
    return f"{_upper(fact.text)}. {chance.choice(offers)}"


def _bullets(fact: MadeFact, chance: random.Random) -> str:
    offers = ("Please let me know if you need further assistance.", "Feel free to ask if you have more questions.")
    return (
        f"Based on the information provided, here is the answer:\n\n- **Product**: {fact.item}\n"
        f"- **{_upper(fact.subject)}**: {fact.value} {_SUBJECTS[fact.subject]}\n\n"
        f"{chance.choice(offers)}"
    )


def _echo(fact: MadeFact, chance: random.Random) -> str:
    return f"{_upper(fact.text)}."


BASES: Mapping[str, Callable[[MadeFact, random.Random], str]] = {
    "rambling": _rambling,
    "assistant": _assistant,
    "bullets": _bullets,
    "echo": _echo,
}
"""Base models' ways to answer."""
