"""Questions whether a page helped, as help centers ask them behind each article, and what they are answered with."""

import re

__all__ = ["HELPED", "is_answer", "is_lone_answer", "is_vote"]

HELPED = frozenset(
    "helpful useful help helped answer answered solve solved resolve resolved "
    "hilfreich nützlich geholfen weitergeholfen beantwortet gelöst "
    "utile utiles aidé répondu résolu útil útiles ayudó ayudado resuelto úteis ajudou utili aiutato "
    "nuttig nuttige behulpzaam geholpen pomocny pomocna pomocne pomógł pomogła pomogło przydatny przydatna przydatne "
    "полезна полезен полезно полезны полезной полезным полезными помогла помог помогло "
    "도움이 유용한가요 유용했나요".split()
)
"""The words of which such a question has one."""
_WORDS = HELPED | frozenset(
    "was were is are did do does has have this that these it the a an you your we our find found to for of "
    "page article guide post doc docs document documentation content information info section topic tutorial center "
    "centre question questions problem issue very "
    "war waren ist hat haben finden fanden sie ihnen dir dies diese dieser dieses das der die es ihre deine "
    "frage seite artikel beitrag antwort anleitung informationen inhalt thema für "
    "cet cette ce ces cela ça réponse contenu informations rubrique est été était a ont t il elle elles vous avez "
    "trouvé l la le les votre problème pour aide ayuda ajuda aiuto "
    "te os ha han sido fue resultado resulta es esta este esto estas el lo página artículo respuesta contenido guía "
    "información su tu pregunta problema de "
    "isto isso essa esse foi é artigo resposta conteúdo guia informação informações o as para você lhe sua "
    "questo questa queste è stato stata state ti vi articolo pagina risposta contenuto guida informazioni hai trovato "
    "heeft deze dit het antwoord inhoud informatie u je jou vond "
    "czy ten ta to te był była było były jest artykuł strona odpowiedź treść informacje dla ciebie ci "
    "была был было были эта этот это эти статья страница ответ материал информация вам вы ли для вас "
    "이 글이 문서가 페이지가 내용이 정보가 답변이 도움말이 기사가 되었나요 되셨나요 됐나요 되었습니까".split()
)
"""All that such questions consist of. A page's own question asks for something by its name (`this coupon`), or has a
word that asks for more than yes or no (`who`, `quel`)."""
_JOINED_HELPED = "役に立|役立|参考にな|解決|有用|帮助|幫助|解决"
_JOINED_WORDS = re.compile(
    rf"(?=.*(?:{_JOINED_HELPED}))(?:{_JOINED_HELPED}|この|こちらの|その|ご|お|記事|ページ|情報|回答|内容|コンテンツ|"
    "ドキュメント|ヘルプ|トピック|説明|質問|問題|でき|まし|ます|でし|の|は|が|を|に|で|ち|つ|り|っ|し|た|"
    "这|這|此|本|该|該|篇|个|個|页面|頁面|页|頁|文章|內容|信息|資訊|文档|文檔|答案|对|對|您|你|是否|有|没|沒|所|了|"
    "觉得|覺得|认为|問题|问题|的)++"
)
"""The same of Japanese and Chinese, which have no blanks between words."""
_HOW = frozenset(("how", "wie"))  # helpful was it
_ANSWER = (
    r"yes|no|ja|nein|nee|oui|non|s[ií]|sim|não|tak|nie|да|нет|はい|いいえ|是|否|out of|of|found this helpful|[\W\d]"
)
_ANSWERS = re.compile(rf"(?:{_ANSWER})+", re.I)
_QUESTION = re.compile(rf"([^.!?？]*)(?:[?？]|か。?|吗|嗎)((?:{_ANSWER})*)", re.I)
_LETTERS = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"\w+")


def is_answer(text: str) -> bool:
    """Tell whether a text has nothing in it but answers, numbers of those who gave them, and signs."""
    return _ANSWERS.fullmatch(text) is not None


def is_lone_answer(text: str) -> bool:
    """Tell whether a text is one word, which may answer a question of the page's own."""
    return len(_WORD.findall(text)) == 1


def is_vote(text: str) -> bool:
    """Tell whether a text asks if a page helped; one answer behind the question is a page's own."""
    question = _QUESTION.fullmatch(text)
    if question is None or is_lone_answer(question[2]):
        return False
    words = _LETTERS.findall(question[1].casefold())
    if len(words) > 1 and words[0] in _HOW and words[1] in HELPED:
        del words[0]
    rest = [word for word in words if word not in _WORDS]
    if any(not _JOINED_WORDS.fullmatch(word.rstrip("か吗嗎")) for word in rest):
        return False
    return bool(rest) or not HELPED.isdisjoint(words)
