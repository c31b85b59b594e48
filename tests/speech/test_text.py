"""Words of transcripts."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.speech.text import noise_marks, normalise, plain_words, spell, unknown_characters


@pytest.mark.parametrize(
    ("transcript", "words"),
    [
        ("MISTER QUILTER IS", ["mister", "quilter", "is"]),
        ("“Don’t,” he said — twice-told!", ["don't", "he", "said", "twice", "told"]),
        ("the dogs' 'bones'", ["the", "dogs", "bones"]),
        ("'Tis 'em, 'TWAS", ["'tis", "'em", "'twas"]),
        ("café naïve Æsop Ångström", ["cafe", "naive", "aesop", "angstrom"]),
        ("e\u0301te\u0301", ["ete"]),
        ("a\tb\n c\u00a0d", ["a", "b", "c", "d"]),
        ("ﬁne ｗｉｄｅ", ["fine", "wide"]),
        ("", []),
        (" . ' -- …", []),
    ],
)
def test_normalises_english(transcript: str, words: list[str]) -> None:
    assert normalise(transcript, "en") == words
    assert unknown_characters(transcript, "en") == ""


@pytest.mark.parametrize(
    ("transcript", "language", "unknown"),
    [
        ("7 of 10", "en", "017"),
        ("50% & more", "en", "%&05"),
        ("Привет", "en", "веипрт"),
        ("<unk> £ < 5", "en", "5<£"),
        ("Straße", "de", ""),
        ("Привет", "ru", ""),
        ("№ ① °", "el", "1°№"),
    ],
)
def test_reports_what_it_cannot_handle(transcript: str, language: str, unknown: str) -> None:
    assert unknown_characters(transcript, language) == unknown


def test_keeps_the_letters_of_other_languages() -> None:
    assert normalise("Über die Straße, l'été", "de-DE") == ["über", "die", "straße", "l'été"]
    assert normalise("नमस्ते दुनिया", "hi") == ["नमस्ते", "दुनिया"]


@pytest.mark.parametrize(
    ("transcript", "words"),
    [
        ("IT 'S WHAT SHE DOES N'T SEE", ["it's", "what", "she", "doesn't", "see"]),
        ("I 'M SURE THEY 'RE LATE AND WE 'LL WAIT", ["i'm", "sure", "they're", "late", "and", "we'll", "wait"]),
        ("YOU ’VE SAID HE ’D GO, DON 'T YOU", ["you've", "said", "he'd", "go", "don't", "you"]),
        ("two o 'clock , y 'all", ["two", "o'clock", "y'all"]),
        ("the dogs ' bones said 'hello' 'tis 'em", ["the", "dogs", "bones", "said", "hello", "'tis", "'em"]),
        ("rock 'n' roll and 's'", ["rock", "'n'", "roll", "and", "s"]),
    ],
)
def test_clitics_written_apart_are_joined(transcript: str, words: list[str]) -> None:
    assert normalise(transcript, "en") == words
    assert normalise(" ".join(words), "en") == words


def test_elisions_written_apart_are_joined_in_other_languages() -> None:
    assert normalise("l' homme qu' il aime dell' arte", "fr") == ["l'homme", "qu'il", "aime", "dell'arte"]
    assert normalise("'Bonjour' dit-il, 's' und 'so'", "de") == ["bonjour", "dit", "il", "s", "und", "so"]


@pytest.mark.parametrize(
    ("transcript", "language", "words"),
    [
        ("El col·legi co\u0140legi excel‧lent", "ca", ["el", "col·legi", "col·legi", "excel·lent"]),
        ("约翰·史密斯说:好", "zh", ["约翰", "史密斯说", "好"]),
        ("क्\u200dया स्\u200dथान", "hi", ["क्या", "स्थान"]),
        ("می\u200cخواهم \u202bکتاب\u202c", "fa", ["میخواهم", "کتاب"]),
        ("Ինչո՞ւ՜ ո՛չ", "hy-AM", ["ինչու", "ոչ"]),
        ('צה"ל צה״ל ג׳ירפה אמר "שלום"', "he", ["צה״ל", "צה״ל", "ג׳ירפה", "אמר", "שלום"]),
        ("人々は 色々 いすゞ こゝろ", "ja", ["人々は", "色々", "いすゞ", "こゝろ"]),
        ("ʻO Hawaiʻi", "haw", ["ʻo", "hawaiʻi"]),
        ("Hawaiʻi oʻclock", "en", ["hawai'i", "o'clock"]),
        ("tłʼóoʼ", "nv", ["tł'óoʼ"]),
        ("Silben\u00adtrennung \ufeffZeichen", "de", ["silbentrennung", "zeichen"]),
        ("soft\u00adware", "en", ["software"]),
        ("បាន\u200bទៅ", "km", ["បាន", "ទៅ"]),
        ("IRMAK Isparta'da İzmir I\u0307zmir", "tr-TR", ["ırmak", "ısparta'da", "izmir", "izmir"]),
        ("IŞIQ", "az_AZ", ["ışıq"]),
        ("IRMAK İzmir", "de", ["irmak", "izmir"]),
        ("น้ำ ນ້ຳ և ʷa", "th", ["น้ำ", "ນ້ຳ", "և", "ʷa"]),
        ("അവന്\u200d", "ml", ["അവൻ"]),
        ("\u0301a ़क 7़", "hi", ["a", "क"]),
    ],
)
def test_what_stands_inside_a_word_stays(transcript: str, language: str, words: list[str]) -> None:
    assert normalise(transcript, language) == words


@pytest.mark.parametrize("language", ["en", "de", "hi"])
def test_what_stands_in_brackets_is_no_word(language: str) -> None:
    text = "[laughter] ja (noise), {breath}<unk> [Background  Noise 2] ok ((mumble)) （笑） <<cough>>"
    assert normalise(text, language) == ["ja", "ok"]
    assert unknown_characters(text, language) == ""
    marks = ["[laughter]", "(noise)", "{breath}", "<unk>", "[background noise 2]", "(mumble)", "(笑)", "<<cough>>"]
    assert noise_marks(text) == marks


def test_brackets_inside_a_word_and_signs_are_no_noise() -> None:
    assert normalise("brown[noise] fox") == ["brown", "fox"]  # glued to a word it's no part of it
    assert normalise("book(s) [open 5 < 7 and 8 > 6") == ["book", "s", "open", "and"]
    assert noise_marks("book(s) [open 5 < 7 and 8 > 6") == []
    assert normalise("你好(笑)吗", "zh") == ["你好", "吗"]


def test_words_of_lexicons_are_spelled_like_those_of_transcripts() -> None:
    assert spell("Cafe\u0301-क्\u200dया’s") == "café-क्या's"


@pytest.mark.parametrize("language", ["en", "en-GB", "en_US", "EN"])
def test_regions_are_one_language(language: str) -> None:
    assert normalise("Café", language) == ["cafe"]


@given(st.text(max_size=60))
def test_english_words_hold_nothing_but_letters_and_apostrophes(transcript: str) -> None:
    words = normalise(transcript, "en")
    assert all(word.strip("'") and set(word) <= set(string.ascii_lowercase + "'") for word in words)
    assert normalise(" ".join(words), "en") == words


@given(st.text(max_size=60), st.sampled_from(["en", "de", "ru", "zh"]))
def test_unknown_characters_never_reach_words(transcript: str, language: str) -> None:
    assert not set(unknown_characters(transcript, language)) & set("".join(normalise(transcript, language)))


def test_plain_words_are_the_same_however_they_are_spelled() -> None:
    assert plain_words("Hi-Fi hi_fi “don’t” Café, dogs' ONE’S") == ["hi", "fi", "hi", "fi", "don't", "cafe", "dogs", "one's"]
    assert plain_words("Привет, हिन्दी 한국어") == ["привет", "हिन्दी", "한국어"]
    assert plain_words(" — %") == []
