"""Recognisers of personal data in free text: presidio's patterns, and our own where it has none.

No language model takes part: presidio's recogniser of names needs one of spaCy's, which can't be had without
a network. Names are found by a list instead, addresses and dates in words by their usual forms in English,
German, French and Spanish. Texts are searched as Unicode composes them (NFC).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from time import monotonic, process_time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tasks.errors import Refusal
from tasks.plan.deidentification import Kind, Privacy

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer, RecognizerResult

APOSTROPHES, HYPHENS = "'’‘ʼ´`′", "‐‑‒–−-"  # noqa: RUF001 - as typeset
AS_TYPED = str.maketrans(dict.fromkeys(APOSTROPHES, "'") | dict.fromkeys(HYPHENS, "-"))
TYPED = AS_TYPED | str.maketrans(dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000", " "))  # blanks
TYPED |= str.maketrans({chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)})
"""What patterns know, for what is typeset or of full width: one character each, so that places stay."""
JOINED = 4
"""Words that hyphens and apostrophes join to a listed name, at most."""
NATIONAL = [
    "UsSsn",
    "UsItin",
    "CaSin",
    "UkNino",
    "Nhs",
    "DeTaxId",
    "DeSocialSecurity",
    "EsNif",
    "EsNie",
    "ItFiscalCode",
    "PlPesel",
    "FiPersonalIdentityCode",
    "SePersonnummer",
    "InAadhaar",
    "InPan",
    "AuTfn",
    "AuMedicare",
    "SgFin",
    "KrRrn",
    "ThTnin",
    "TrNationalId",
    "ZaIdNumber",
    "NgNin",
]
# In English, German, French and Spanish, from their first letters on.
MONTH = (
    r"(?:jan|jän|ene|feb|fév|mar|mär|maer|apr|avr|abr|may|mai|jun|juin|jul|juil|aug|aoû|aou|ago|sep|oct|okt"
    r"|nov|dec|dez|déc|dic)\p{L}*"
)
DATES = (
    rf"\b\d{{1,2}}(?:st|nd|rd|th|er|\.|º)?(?:\s+of|\s+de)?\s+{MONTH}\.?,?(?:\s+del?)?\s+\d{{2,4}}\b",
    rf"\b{MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}\b",
    r"\b(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\b|(?=T\d))",
    r"\b\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?=T\d)",
    r"(?<![\d-])\d{1,2}-\d{1,2}-\d{2}(?![\d-])",
)
# What presidio leaves out: numbers without an area, and such as only the word before says what they are.
PHONES = r"(?<![\d-])[2-9]\d{2}-\d{4}(?![\d-])"
PAPER = r"passport|licen[cs]e|ssn|nino|social security|national insurance|tax id|(?:national )?id(?: card)?"
NUMBERED = (
    rf"(?<=\b(?:{PAPER})(?: (?:no|nr|number)\b)?[ .:#]{{1,3}}(?:is )?)"
    r"(?=[a-z]{0,3}\d)(?=(?:[a-z -]{0,3}\d){5})[a-z\d]+(?:[ -](?=[a-z]{0,2}\d)[a-z\d]+){0,5}\b"
)
# Where two parts may take the same characters the first keeps what it has (`*+`, `++`): a text that has all
# of an address but its end is else tried in every division.
NUMBER, WORDS = r"\b\d{1,5}[a-z]?(?:[-/]\d{1,5}[a-z]?)?", r"(?:\s+[\w.'’-]+){1,4}?"  # noqa: RUF001 - as typeset
PLACE = (
    r"(?:\.?\s+(?-i:[NS]?[EW]|[NS])\b)?(?:,?\s+(?:apt|apartment|suite|unit|flat|#)\.?\s*\w+)?"
    r"(?:,\s*+[\w .'-]{2,30},?\s++[A-Z]{2}\s++\d{5}(?:-\d{4})?)?"
)
# Words that also mean other things count where they are written as names.
LARGE = "Drive Dr Court Ct Place Pl Square Sq Way Close Grove Gardens Circle Cir Trail Row Walk Hill Rise"
LARGE = "|".join(form for word in LARGE.split() for form in (word, word.upper()))
# Streets that begin with what they are; their names' own words are written large.
STREET = r"\b(?:rue|avenue|boulevard|bd|quai|chemin|impasse|allée|place|route|calle|avenida|plaza|paseo)\b"
NAMED = (
    r"(?:[\s-]+(?:de|du|des|del|la|le|les|los|las|el|faubourg)\b|\s+[dl]['’])*[\s-]*(?-i:\p{Lu})[\w.'’-]*+"  # noqa: RUF001 - as typeset
)
HOUSE, HAUS = r"\d{1,4}(?:[a-z]|\s?(?:bis|ter))?\b", r"\d{1,4}(?:\s?[a-z])?\b"
ROAD = "street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|crescent|terrace|parkway|pkwy|highway|hwy|mews"
# Other pairs of capitals stand before amounts: US, UK, EU.
STATES = (
    "A[KLRZ]|C[AOT]|D[CE]|FL|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|"
    "V[AIT]|W[AIVY]"
)
ADDRESSES = (
    rf"{NUMBER}{WORDS}\s+(?:{ROAD})\b\.?{PLACE}",
    rf"{NUMBER}{WORDS}\s+(?-i:{LARGE})\b\.?{PLACE}",
    rf"\b(?-i:\p{{Lu}})\w*(?:(?:straße|strasse|gasse|allee|weg|platz|ufer|damm)|str\.)\s*{HAUS}",
    rf"\b(?-i:\p{{Lu}})\w+[\s-]+(?-i:(?:Straße|Strasse|Gasse|Allee|Weg)|Str\.)\s*{HAUS}",
    rf"{STREET}{NAMED}(?:{NAMED}){{0,3}},?\s+{HOUSE}",
    rf"\b{HOUSE},?\s+{STREET}{NAMED}(?:{NAMED}){{0,3}}",
    r"\bp\.?\s?o\.?\s+box\s+\d+\b",
    rf"\b(?-i:{STATES})\s+\d{{5}}(?:-\d{{4}})?\b",
)


class Span(NamedTuple):
    """A place in a text and what stands there."""

    start: int
    end: int
    kind: str
    score: float


def replace(text: str, spans: Sequence[Span], token: Callable[[str, str], str]) -> str:
    """The text with ``token(kind, value)`` in place of each span; spans that overlap are replaced as one."""
    made, at = "", 0
    for span in merged(spans):
        made += text[at : span.start] + token(span.kind, text[span.start : span.end])
        at = span.end
    return made + text[at:]


def merged(spans: Sequence[Span]) -> list[Span]:
    """Spans in their order, overlapping ones joined, so that no part of any of them stays.

    The joint span is of the longer one's kind (an address names more than the surname in it); of equally
    long ones, of that with the higher score.
    """
    joined: list[Span] = []
    for span in sorted(spans):
        before = joined[-1] if joined else None
        if before is None or span.start >= before.end:
            joined.append(span)
            continue
        best = max(before, span, key=lambda one: (one.end - one.start, one.score))
        joined[-1] = best._replace(start=before.start, end=max(before.end, span.end))
    return joined


def find(text: str, privacy: Privacy, names: frozenset[str]) -> list[Span]:
    """Every span of the kinds that the plan names, overlapping ones included.

    Args:
        text: to search.
        privacy: says what is recognised, and from which score on.
        names: each as :func:`folded` gives it.

    Raises:
        Refusal: a search took as long as presidio lets a pattern run before it skips it.
    """
    composed, places = _composed(text)
    typed = composed.translate(TYPED)
    spans = list(_names(composed, names)) if "name" in privacy.recognise else []
    digits = sum(map(str.isdigit, typed))
    for kind in privacy.recognise:
        if kind != "name" and _may_hold(kind, typed, digits):
            for recogniser in _recognisers(kind):
                found = _analysed(recogniser, typed)
                spans += [
                    Span(one.start, one.end, kind.upper(), one.score)
                    for one in found
                    if one.score >= privacy.minimum_score
                ]
    if places is None:
        return spans
    return [one._replace(start=places[one.start][0], end=places[one.end - 1][1]) for one in spans]


def _analysed(recogniser: EntityRecognizer, text: str) -> list[RecognizerResult]:
    """What presidio finds. Of a pattern that it skipped it tells a log alone, so the time says so here."""
    from presidio_analyzer import pattern_recognizer  # noqa: PLC0415 - as below

    limit = pattern_recognizer.REGEX_TIMEOUT_SECONDS
    began, used = monotonic(), process_time()  # `regex` has its limit from one of these
    found = recogniser.analyze(text, recogniser.supported_entities, None)  # type: ignore[arg-type]
    if max(monotonic() - began, process_time() - used) >= limit:
        kinds = ", ".join(recogniser.supported_entities)
        raise Refusal(
            f"a text of {len(text):,} characters was not searched whole for personal data: after {limit:g} s "
            f"presidio skips a pattern (of {kinds}), and what it would find stays. Leave the row out, or "
            "shorten the text"
        )
    return found or []


def _composed(text: str) -> tuple[str, list[tuple[int, int]] | None]:
    """The text in NFC; and where each of its characters stands in the text, None if they are the same."""
    if unicodedata.is_normalized("NFC", text):
        return text, None
    begins = [at for at, one in enumerate(text) if at == 0 or not unicodedata.category(one).startswith("M")]
    made, places = [], []
    for start, end in pairwise([*begins, len(text)]):  # a character and the marks on it
        piece = unicodedata.normalize("NFC", text[start:end])
        made.append(piece)
        places += [(start, end)] * len(piece)
    return "".join(made), places


def folded(name: str) -> str:
    """A name without what spellings of it differ in: case, width, composition, apostrophes and hyphens."""
    if name.isascii():
        return name.casefold().replace("`", "'")
    plain = unicodedata.normalize("NFKC", name.translate(AS_TYPED)).casefold()
    return unicodedata.normalize("NFKC", plain).translate(AS_TYPED)


def _names(text: str, names: frozenset[str]) -> Iterator[Span]:
    """Words of the list: those that hyphens and apostrophes join whole, and by their parts."""
    joined, letters, ending = _words()
    for word in joined.finditer(text):
        parts = [word] if word[0].isalpha() else list(letters.finditer(text, word.start(), word.end()))
        for first, part in enumerate(parts):
            for last in parts[first : first + JOINED]:
                if folded(text[part.start() : last.end()]) in names:
                    # What an apostrophe joins to a name is no word of its own: "Jane's".
                    after = ending.match(text, last.end(), word.end())
                    yield Span(part.start(), after.end() if after else last.end(), "NAME", 1.0)


@cache
def _words() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Words that apostrophes and hyphens join; one of their parts; what apostrophes join to one.

    ``re`` counts no mark as part of a word, so vowels of Indic scripts, say, would divide it.
    """
    every = map(chr, range(0x300, 0x10000))
    marks = "".join(one for one in every if unicodedata.category(one).startswith("M"))
    letters = f"(?:[^\\W\\d_ʼ][{marks}]*)+"  # noqa: RUF001 - an apostrophe that counts as a letter
    return (
        re.compile(f"{letters}(?:[{APOSTROPHES}{HYPHENS}]{letters})*"),
        re.compile(letters),
        re.compile(f"(?:[{APOSTROPHES}]{letters})+"),
    )


LEAST_DIGITS: Mapping[Kind, int] = MappingProxyType(
    {"phone": 6, "card": 12, "iban": 8, "national": 4, "date": 2, "address": 1}
)


def _may_hold(kind: Kind, text: str, digits: int) -> bool:
    """Whether a text has the characters that the kind takes: most have not, and recognisers are slow."""
    if kind == "email":
        return "@" in text
    if kind == "ip":
        return "." in text or ":" in text
    return digits >= LEAST_DIGITS[kind]


@cache
def _recognisers(kind: Kind) -> tuple[EntityRecognizer, ...]:
    """Presidio's recognisers of a kind."""
    # presidio imports spaCy: five seconds that only de-identification of texts pays.
    from presidio_analyzer import Pattern, PatternRecognizer, predefined_recognizers  # noqa: PLC0415

    def of(*patterns: str) -> PatternRecognizer:
        listed = [Pattern(f"{kind} {number}", pattern, 0.6) for number, pattern in enumerate(patterns)]
        return PatternRecognizer(supported_entity=kind.upper(), patterns=listed)

    there = predefined_recognizers
    if kind == "email":
        # Presidio's own class asks the network for the list of top-level domains to weigh an address by;
        # its pattern alone finds more, without.
        return (of(*(one.regex for one in there.EmailRecognizer.PATTERNS)),)
    classes = {"phone": ["Phone"], "card": ["CreditCard"], "iban": ["Iban"], "ip": ["Ip"], "date": ["Date"]}
    classes |= {"national": list(NATIONAL), "address": []}
    known = tuple(getattr(there, f"{name}Recognizer")() for name in classes[kind])
    # Presidio gives a postcode a score of .1, below any minimum that leaves other words alone.
    postcodes = (one.regex for one in there.UkPostcodeRecognizer.PATTERNS)
    own = {"date": DATES, "address": (*ADDRESSES, *postcodes), "phone": (PHONES,), "national": (NUMBERED,)}
    return (*known, of(*own[kind])) if kind in own else known
