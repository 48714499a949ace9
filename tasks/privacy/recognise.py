"""Recognisers of personal data in free text: presidio's patterns, and our own where it has none.

No language model takes part: presidio's recogniser of names needs one of spaCy's, which can't be had without
a network. Names are found by a list instead, addresses by their usual forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tasks.plan.deidentification import Kind, Privacy

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # noqa: RUF001 - as typeset
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
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
DATES = (
    rf"\b\d{{1,2}}(?:st|nd|rd|th)?(?:\s+of)?\s+{MONTH}\.?,?\s+\d{{2,4}}\b",
    rf"\b{MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}\b",
    r"\b(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b",
)
NUMBER, WORDS = r"\b\d{1,5}[a-z]?", r"(?:\s+[\w.'’-]+){1,4}?"  # noqa: RUF001 - as typeset
PLACE = (
    r"(?:,?\s+(?:apt|apartment|suite|unit|flat|#)\.?\s*\w+)?"
    r"(?:,\s*[\w .'-]{2,30},?\s+[A-Z]{2}\s+\d{5}(?:-\d{4})?)?"
)
ADDRESSES = (
    rf"{NUMBER}{WORDS}\s+(?:street|avenue|road|boulevard|lane|crescent|terrace)\b{PLACE}",
    # Words and short forms that also mean other things count where they are written as names.
    rf"{NUMBER}{WORDS}\s+(?-i:St|Ave|Rd|Blvd|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Way|Pkwy|Hwy)\b\.?{PLACE}",
    r"\b(?-i:\p{Lu})\w*(?:straße|strasse|gasse|allee)\s+\d{1,4}(?:\s?[a-z])?\b",
    r"\bp\.?\s?o\.?\s+box\s+\d+\b",
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
        names: in lower case.
    """
    spans = list(_names(text, names)) if "name" in privacy.recognise else []
    digits = sum(map(str.isdigit, text))
    for kind in privacy.recognise:
        if kind != "name" and _may_hold(kind, text, digits):
            for recogniser in _recognisers(kind):
                found = recogniser.analyze(text, recogniser.supported_entities, None)  # type: ignore[arg-type]
                spans += [
                    Span(one.start, one.end, kind.upper(), one.score)
                    for one in found or ()
                    if one.score >= privacy.minimum_score
                ]
    return spans


def _names(text: str, names: frozenset[str]) -> Iterator[Span]:
    for word in WORD.finditer(text):
        plain = word[0].casefold()
        if plain in names or plain.partition("'")[0].partition("’")[0] in names:  # noqa: RUF001 - as typeset
            yield Span(word.start(), word.end(), "NAME", 1.0)


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
        patterns = there.EmailRecognizer.PATTERNS
        return (PatternRecognizer(supported_entity="EMAIL", patterns=patterns),)
    classes = {"phone": ["Phone"], "card": ["CreditCard"], "iban": ["Iban"], "ip": ["Ip"], "date": ["Date"]}
    classes |= {"national": list(NATIONAL), "address": ["UkPostcode"]}
    known = tuple(getattr(there, f"{name}Recognizer")() for name in classes[kind])
    own = {"date": DATES, "address": ADDRESSES}.get(kind)
    return (*known, of(*own)) if own else known
