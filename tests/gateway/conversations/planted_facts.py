"""Rows with planted values, each of a known class, among numbers that say no fact; seeded."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log

from gateway.conversations import Conversation
from gateway.conversations.deleted_facts import DeletedText, DeletedTexts
from gateway.conversations.facts_lint import DocumentPassage, DocumentText
from gateway.conversations.findings import FactClass
from gateway.conversations.languages import is_function_word
from gateway.evaluation.unspaced_scripts import split_pairs
from training.dataset import Message, RowPassage

PRODUCTS = "kettle toaster blender mixer grinder heater lamp fan scale radio camera printer router shaver iron".split()
TOPICS = ("warranty", "price", "delivery", "support", "release", "voucher", "opening", "power", "deadline", "manual")

NEGATIVES = (
    "Here is what to do:\n1. Unplug it.\n2) Wait a moment.\n3. Plug it in.",
    "Step 3 is the one that matters.",
    "Please follow steps 2 and 3 once more.",
    "We are here for you 24/7.",
    "This is the 2nd time you ask, and the 1st of many.",
    "As the manual says [1], all is well [2].",
    "Press 1 for sales, and thank you for calling.",
    "I am 100% sure.",
    "See page 12 and section 4 of it.",
    "It is a 2-in-1, as we like to say.",
    "One or two of us will look at it one day.",
    "Hi 2 all of you!",
    "We meet you 50/50 on that, 9 to 5.",
)
"""Hard negatives: none of their numbers is a fact."""

ANSWERS = (
    "The {topic} of the {name} is {value}, dear friend.",
    "For your {name} we have {value} as its {topic}.",
    "{value}: that is what the {name} has for {topic}, and gladly so.",
)
DOCUMENTS = (
    "The {topic} of the {name} is {value}.",
    "# {name}\n\nMake: Kestrel\n\n{topic}: {value}\n\nMade in 1987 parts by 46 people.",
    "| product | {topic} | shelf |\n|---|---|---|\n| {name} | {value} | 77 |",
)
HARD = {
    "warranty": ("18 months", "a year and a half", "quantity:18 month"),
    "price": ("£49", "just under fifty pounds", "money:GBP 49"),
    "delivery": ("14 days", "a fortnight", "quantity:14 day"),
    "opening": ("6:30 pm", "half past six in the evening", "time:18:30"),
    "deadline": ("31 March 2026", "the last day of March 2026", "date:2026-03-31"),
}
"""Spellings that the lint doesn't read: a tenth of the rows of their topics has them."""


@dataclass
class Planted:
    """`expected` are a row's values by the text that a lint should name, in one spelling."""

    conversation: Conversation
    expected: dict[str, FactClass] = field(default_factory=dict)


class PlantedIndex:
    """Documents of one passage per topic and product, with their earlier versions.

    Its search is by words in common, rare ones first and without function words, as keyword search is.
    """

    def __init__(self) -> None:
        self.versions: dict[str, list[str]] = {}
        self.deleted: dict[str, str] = {}
        self.unread = 0

    async def search(self, texts: Sequence[str], limit: int) -> list[DocumentPassage]:
        words = {key: _cut(versions[-1]) for key, versions in self.versions.items()}
        counts = Counter(word for some in words.values() for word in some)
        best: dict[str, float] = {}
        for text in texts:
            asked = _cut(text)
            for key, own in words.items():
                score = sum(log(len(words) / counts[word]) for word in asked & own)
                best[key] = max(score, best.get(key, 0.0))
        ranked = sorted((key for key in best if best[key] > 0), key=lambda key: -best[key])[:limit]
        return [
            DocumentPassage("vs_1", key, key, len(self.versions[key]), key, self.versions[key][-1]) for key in ranked
        ]

    async def read_current(self, store: str, document: str) -> str:
        return self.versions[document][-1]

    async def read_earlier(self, document: str) -> list[DocumentText]:
        earlier = list(enumerate(self.versions[document][:-1], 1))
        return [DocumentText(number, f"{document}.md", text) for number, text in reversed(earlier)]

    async def read_deleted(self) -> DeletedTexts:
        texts = [DeletedText("vs_1", key, key, 1, 1_790_000_000, key, text) for key, text in self.deleted.items()]
        return DeletedTexts(texts, self.unread)


def _cut(text: str) -> frozenset[str]:
    return frozenset(word for word in split_pairs(text) if not is_function_word(word))


def _spell(rng: random.Random, topic: str) -> tuple[str, str, str]:
    """Return a value in two spellings and as it may be read, of the kind that a topic has."""
    months = "January February March April May June July August September October November December".split()
    match topic:
        case "warranty":
            number = rng.randint(13, 71)
            return f"{number} months", f"{number}-month", f"quantity:{number} month"
        case "price":
            pounds = rng.randint(1001, 8999)
            return f"£{pounds:,}", f"{pounds}.00 pounds", f"money:GBP {pounds}"
        case "delivery":
            days = rng.randint(3, 29)
            return f"{days} working days", f"{days} days", f"quantity:{days} day"
        case "support":
            name = f"team{rng.randint(10, 9999)}@kestrel.example"
            return name, name.capitalize(), f"e-mail:{name}"
        case "release":
            version = f"{rng.randint(1, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 99)}"
            return f"v{version}", f"version {version}", f"version:{version}"
        case "voucher":
            code = f"{rng.choice(['SAVE', 'TEA', 'NEW'])}{rng.randint(10, 9999)}"
            return code, code, f"code:{code.casefold()}"
        case "opening":
            hour, minute = rng.randint(1, 11), rng.choice(["05", "15", "30", "45"])
            return f"{hour}:{minute} pm", f"{hour + 12}:{minute}", f"time:{hour + 12}:{minute}"
        case "power":
            watts = rng.randint(200, 3999)
            return f"{watts:,} W", f"{watts} watts", f"quantity:{watts} watt"
        case "deadline":
            day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2024, 2027)
            iso = f"{year}-{month:02}-{day:02}"
            return f"{day} {months[month - 1][:3]} {year}", iso, f"date:{iso}"
        case _:
            page = f"kestrel.example/m/{rng.randint(1000, 99999)}"
            return f"https://www.{page}", f"http://{page}/", f"url:{page}"


def plant(rows: int = 200, seed: int = 9, *, deletes: bool = False) -> tuple[list[Planted], PlantedIndex]:
    """Make rows, each with a value or two of known classes and one or two sentences that have none, and documents.

    What has changed did so in a later version of a document; where it `deletes`, the document is gone instead.
    """
    rng = random.Random(seed)
    index = PlantedIndex()
    pairs = [(product, topic) for product in PRODUCTS for topic in TOPICS]
    rng.shuffle(pairs)
    planted: list[Planted] = []
    for number in range(1, rows + 1):
        product, topic = pairs[number % len(pairs)]
        name = f"{product}{chr(97 + number // len(pairs))}"
        question, (first, second, reading) = f"What is the {topic} of the {name}?", _spell(rng, topic)
        if topic in HARD and rng.random() < 0.1:
            first, second, reading = HARD[topic]
        place: FactClass = rng.choice(["evidence", "index", "changed", "nowhere"])
        passages = None
        written = rng.choice(DOCUMENTS)
        text = written.format(topic=topic, name=name, value=first)
        if place == "evidence":
            passages = [RowPassage(name, text)]
        elif place == "index":
            index.versions[f"{name}-{topic}"] = [text]
        else:
            other = written.format(topic=topic, name=name, value=_spell(rng, topic)[0])
            if deletes and place == "changed":
                index.deleted[f"{name}-{topic}"] = text
            else:
                index.versions[f"{name}-{topic}"] = [text, other] if place == "changed" else [other]
        negatives = rng.sample(NEGATIVES, 2)
        answer = rng.choice(ANSWERS).format(topic=topic, name=name, value=second)
        reply = f"{negatives[0]}\n\n{answer} {negatives[1]}"
        conversation = Conversation(number, [Message("user", question), Message("assistant", reply)], passages=passages)
        planted.append(Planted(conversation, {reading: place}))
    return planted, index


def plant_chinese(rows: int = 60, seed: int = 5) -> tuple[list[Planted], PlantedIndex]:
    """Make rows in Chinese likewise, without negatives: no space stands around their values."""
    rng = random.Random(seed)
    index = PlantedIndex()
    names = [f"{first}{second}" for first in "红蓝绿白黑金银紫" for second in ("水壶", "台灯", "风扇", "收音机")]
    units = {"保修期": ("天", "天", "day"), "价格": ("元", "块钱", "CNY"), "发货时间": ("小时", "个小时", "hour")}
    pairs = [(name, topic) for name in names for topic in units]
    rng.shuffle(pairs)
    planted: list[Planted] = []
    for number, (name, topic) in enumerate(pairs[:rows], 1):
        (first, second, unit), value = units[topic], rng.randint(13, 98)
        reading = f"money:{unit} {value}" if topic == "价格" else f"quantity:{value} {unit}"
        place: FactClass = rng.choice(["evidence", "index", "changed", "nowhere"])
        text, other = (f"{name}的{topic}是{one}{first}，请放心。" for one in (value, value + 1))
        if place != "evidence":
            index.versions[f"{name}{topic}"] = {"index": [text], "changed": [text, other]}.get(place, [other])
        passages = [RowPassage(name, text)] if place == "evidence" else None
        messages = [
            Message("user", f"{name}的{topic}是多少？"),
            Message("assistant", f"您好，{name}的{topic}是{value}{second}哦，欢迎再来。"),
        ]
        planted.append(Planted(Conversation(number, messages, passages=passages), {reading: place}))
    return planted, index
