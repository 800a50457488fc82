"""The gateway's function words, of which it has no engine, against those of keyword search."""

import pytest

from gateway.conversations.languages import find_language, load_function_words
from retrieval.languages import LATIN, choose_language, count_function_words

SENTENCES = {
    "english": "The kettle is on the way to you and was sent with care by all of us.",
    "german": "Der Kocher ist auf dem Weg zu Ihnen und wird nicht mehr lange brauchen, wenn er bei der Post ist.",
    "french": "La bouilloire est dans le colis que nous avons envoyé pour vous, et elle est sur la route.",
    "spanish": "La tetera no está en el paquete que le enviamos por correo, pero sí en la caja con los cables.",
    "italian": "Il bollitore non è nel pacco che abbiamo spedito con gli altri, ma è già in viaggio con la posta.",
    "portuguese": "A chaleira não está na caixa com os cabos, mas já foi enviada para você com as outras.",
    "dutch": "De ketel is niet in het pakket dat wij hebben verstuurd, maar komt met de post naar u toe.",
    "swedish": "Vattenkokaren är på väg till dig och det är inte för sent att byta den.",
}


def test_the_languages_are_the_same() -> None:
    assert set(load_function_words()) == set(LATIN)


@pytest.mark.parametrize("language", LATIN)
def test_each_word_is_one_of_the_engines(language: str) -> None:
    words = load_function_words()[language]
    assert {word for word in words if not count_function_words([word])[language]} == set()


@pytest.mark.parametrize("language", SENTENCES)
def test_both_tell_the_same_language(language: str) -> None:
    words = SENTENCES[language].lower().replace(",", "").replace(".", "").split()
    assert find_language(SENTENCES[language]) == language == choose_language(count_function_words(words))
