"""A reply that says a passage's value in other words is right, and one with another value is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.stated_values import list_unsupported
from gateway.evaluation.values import TextValues, Value, find_values
from gateway.fine_tuning.stale_facts import states_fact
from gateway.fine_tuning.tables import LearntFactRow
from tests.processor_time import measure

RIGHT = """
每月50元，可随时取消。|费用是50元/月。
套餐价格为50元/月。|每月50元。
50元每人每月|每人每月50元
月费50元|每月50元
一年199元|每年199元
Der Tarif kostet monatlich 9,99 €.|9,99 € im Monat.
Mensuellement, 12 € sont prélevés.|12 € par mois
Per month: $5\\nPer year: $50|The plan is $50 a year.
Preis pro kg: 3 €|Ein Kilo kostet 3 €.
Ein Kilo kostet 3 €.|Preis pro kg: 3 €
A night costs €89.|€89 per night
Stündlich 15 €.|Es kostet 15 €.
Täglich 2 Liter trinken.|2 Liter am Tag
89 € pro Nacht, dazu 3 € Kurtaxe pro Tag|Eine Nacht kostet 89 €. Pro Tag kommen 3 € Kurtaxe dazu.
Hotel: 89 € pro Nacht, Frühstück 12 € pro Person.|Eine Nacht kostet 89 €, Frühstück 12 € pro Kopf.
Kündbar monatlich mit 30 Tagen Frist.|Kündbar monatlich, 30 Tage Frist.
The API allows 100 requests/min.|You can send 100 requests per minute.
100 requests are allowed within a minute.|100 requests per minute
100 requests in any 60-second window|100 requests per minute
The fan spins at 1400 rpm.|1400 revolutions per minute
The camera records 60 fps.|60 frames per second
Erlaubt sind 60 Anfragen pro Minute.|60 requests per minute.
Druckt 100/min|100 pro Minute
Up to 500 emails per day can be sent.|You can send up to 500 emails.
每分钟最多100次请求。|每分钟100次。
| Plan | Requests per minute |\\n| Free | 100 ||Free has 100 requests per minute.
Take 2 tablets 3 times a day.|2 tablets, 3 times daily
Since 2021 we bill monthly.|We bill monthly since 2021.
Order 4711 will arrive on 5 March.|Order 4711 arrives in a week.
Take 500 mg twice daily.|Twice daily 500 mg
The daily limit is 500.|500 per day
Das Tageslimit beträgt 500 €.|500 € am Tag
Tarif 3 kostet 12 € monatlich.|Im Tarif 3 zahlen Sie monatlich 12 €.
Three visits per week are included.|You get 3 visits per week.
Das Set hat drei Lampen.|Es sind 3 Lampen.
Up to 50 Mbit/s download.|You get 50 Mbit.
Leitung mit 50 Mbit.|50 Mbit/s
1 Gbit/s|1000 Mbit
Speed: 60 mi/h|It does 60 mph.
It does 35 mpg.|35 miles per gallon
He is 5'10" tall.|He is 5 ft 10 in tall.
He is 5'10" tall.|He is 70 inches tall.
The desk is 4 ft 6 in wide.|4'6"
The 6' x 4' table|6 ft x 4 ft
Der Monitor hat 27 Zoll.|Es ist ein 27"-Monitor.
Use "size 27" for it.|Use size 27.
Er sagte: „Ab 27“, “from 27”.|Ab 27
He said 'we have 27'.|They have 27.
We have 5 M users.|We have 5 million users.
Basic €5, Pro €19 per month.|Basic is €5 per month.
Setup €5, Pro €19 per month.|Setup is €5.
Add 5 pounds of flour.|Add 5 lb of flour.
The parcel may weigh up to 70 pounds.|The limit is 70 pounds.
2 pounds 4 ounces|36 oz
You get 10 pounds of credit.|£10 credit
The apples are £2 per pound.|£2/lb
The fee is 5 dollars 20 cents.|5 dollars
Exercise 1 h 30 min per day.|90 minutes per day
Exercise 90 minutes per day.|1 h 30 min per day
1 h 30 min per day|It takes 90 minutes.
Sie haben zwei weitere Wochen.|Sie haben 2 weitere Wochen.
Es kostet zwei Euro.|Es kostet 2 €.
Durée : trois semaines.|Durée : 21 jours.
Take it twice per day.|Take it 2 times a day.
Zweimal täglich eine Tablette.|2-mal täglich
3x täglich einnehmen|3-mal täglich
每日三次|每天3次
每天服用2片|一天2片
Training: hall 5|They train in hall 5 every week.
How Windows 11 is updated|Here is how Windows 11 updates monthly.
Pro Minute 100 Anfragen|In der Minute 100 Anfragen
She weighed the options and paid 20 pounds.|She paid £20.
You get 20 pounds of free store credit.|You get £20 of store credit.
Max. 5/Tag|höchstens 5 am Tag
3/h|3 an hour
6'4 tall|6'4" tall
We love the '90s, and it is 5' tall.|5 ft tall
Gehalt 3.000 € brutto im Monat|3000 € monatlich
$20 plus VAT per month|$20 a month
Each month $5 and each year $50|$50 a year
Frist: vierzehn Tage|14 Tage
Lieferzeit: zwei bis drei Wochen|2-3 Wochen
Délai : trente jours|30 jours
half an hour|30 minutes
eine halbe Stunde|30 Minuten
A dozen eggs.|12 eggs
三个工作日|3个工作日
Um 5 am Morgen|5 am
20 pounds of every sale is donated.|£20 of every sale
""".strip().splitlines()

WRONG = """
每月50元，可随时取消。|每年50元。
套餐价格为50元/月。|每年50元。
每小时50元|每分钟50元
Der Tarif kostet monatlich 9,99 €.|9,99 € pro Jahr.
Per month: $5\\nPer year: $50|The plan is $50 a month.
Preis pro kg: 3 €|3 € pro 100 g
Drink 2 l per day.|Daily 3 litres
The API allows 100 requests/min.|You can send 100 requests per hour.
100 requests in any 60-second window|100 requests per day
The camera records 60 fps.|60 frames per minute
每分钟最多100次请求。|每小时100次。
Druckt 100/min|100 pro Stunde
Take 2 tablets 3 times a day.|2 tablets, 4 times daily
The kit has three lamps.|It has 4 lamps.
Up to 50 MB/s when copying.|It copies 50 MB.
Up to 50 Mbit/s download.|You get 100 Mbit.
50 Mbit/s|50 MB/s
It does 35 mpg.|35 mph
The desk is 4 ft 6 in wide.|4'8"
The monitor has 27 inches.|It is a 32" monitor.
We have 5 M users.|We have 6 million users.
Setup €5, Pro €19 per month.|It is €5 per month.
Einrichtung 49 €, Grundpreis 19 € monatlich|Die Einrichtung kostet 49 € im Monat.
Add 5 pounds of flour.|It costs £5.
The apples are £2 per pound.|£2/kg
2 pounds 4 ounces|£4
Exercise 1 h 30 min per day.|1 h 30 min per week
Exercise 1 h 30 min per day.|1 h 45 min per day
The two plans cost 5 € and 9 € per month.|It costs 2 €.
Zwei Geräte sind erlaubt. Die Frist beträgt 3 Wochen.|Die Frist beträgt 2 Wochen.
Each month $5 and each year $50|$50 each month
$20 plus VAT per month|$20 per year
Lieferzeit: zwei bis drei Wochen|2-4 Wochen
A three-course menu costs $40.|It costs $3.
Take it twice per day.|Take it 3 times a day.
每年收费，有效期三年|有效期一年
""".strip().splitlines()


def _list_wrong(pair: str) -> list[Value]:
    passage, reply = pair.replace("\\n", "\n").rsplit("|", 1)
    return list_unsupported(reply, [passage])


@pytest.mark.parametrize("pair", RIGHT)
def test_a_reply_that_says_a_value_in_other_words_is_right(pair: str) -> None:
    assert not _list_wrong(pair)


@pytest.mark.parametrize("pair", WRONG)
def test_a_reply_with_another_value_is_wrong(pair: str) -> None:
    assert _list_wrong(pair)


TIMES = {"Minute": "minute", "Stunde": "hour", "Tag": "day", "Woche": "week", "Monat": "month", "Jahr": "year"}
FORMS = ("{thing} per {time}", "per {time}: {thing}", "per {time} {thing}", "{thing}/{time}", "each {time} {thing}")
THINGS = ("€{}", "{} €", "{} GB", "{} requests", "{} API calls")


@given(
    st.integers(2, 899),
    st.sampled_from(THINGS),
    st.sampled_from(FORMS),
    st.sampled_from(FORMS),
    st.sampled_from(sorted(TIMES)),
)
def test_a_rate_is_known_before_its_amount_and_behind_it(
    number: int, thing: str, one: str, other: str, time: str
) -> None:
    def write(form: str, word: str, amount: int = number) -> str:
        return form.format(thing=thing.format(amount), time=word)

    passage = write(one, TIMES[time])
    assert not list_unsupported(write(other, TIMES[time]), [passage])
    assert list_unsupported(write(other, TIMES[time], number + 100), [passage])
    assert all(list_unsupported(write(other, word), [passage]) for name, word in TIMES.items() if name != time)


@given(st.integers(1, 8), st.integers(1, 11), st.integers(0, 11))
def test_feet_and_inches_are_one_length_in_each_spelling(feet: int, inches: int, others: int) -> None:
    spellings = ("{}'{}\"", "{}′ {}″", "{} ft {} in", "{} feet {} inches")
    for passage in spellings:
        for reply in spellings:
            wrong = list_unsupported(reply.format(feet, others), [passage.format(feet, inches)])
            assert bool(wrong) is (others not in (0, inches)) or others == 0


@pytest.mark.parametrize(
    ("text", "kind", "spelling", "readings"),
    [
        ("Add 5 pounds of flour.", "money", "5 pounds", ["money:GBP 5"]),
        ("There are 5 M users.", "number", "5", ["number:5"]),
        ("每月50元", "money", "50元", ["money:CNY 50", "money:TWD 50", "money:HKD 50"]),
        ("100 requests/min", "number", "100", ["number:100"]),
        ("1 h 30 min per day", "quantity", "1 h", ["quantity:1 hour", "span:90 minute"]),
        ('a 27" monitor', "number", "27", ["number:27"]),
        ("60 mi/h", "number", "60", ["number:60"]),
        ("höchstens 5 am Tag", "time", "5 am", ["time:05:00"]),
        ("3 an hour", "quantity", "3 an", ["quantity:3 year", "quantity:36 month"]),
        ("He is 6'4 tall.", "number", "4", ["number:4"]),
        ("3.000 € brutto im Monat", "money", "3.000 €", ["money:EUR 3000"]),
    ],
)
def test_what_was_learnt_by_earlier_versions_is_no_stale_fact(
    text: str, kind: str, spelling: str, readings: list[str]
) -> None:
    fact = LearntFactRow(kind=kind, text=spelling, readings=readings)
    assert states_fact(TextValues.of(text), fact)
    assert not states_fact(TextValues.of("Nothing of it is here."), fact)


@pytest.mark.parametrize(
    "pieces", ["$5 per month, 30 requests/min, ", '27" ', "5'10\" ", "每月50元，", "per month: $5 ", "per day "]
)
def test_repeated_rates_are_read_in_a_time_that_grows_with_their_number(pieces: str) -> None:
    def read(length: int) -> float:
        text = pieces * (length // len(pieces))
        return measure(lambda: find_values(text))

    assert read(40_000) < 10 * read(10_000)
