"""Signing: the public keys by whose signatures a plan's dossiers are trusted."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from tasks.evidence.keys import PublicKey
from tasks.plan.base import Member


class TrustedKey(Member):
    """A public key whose signatures count, and whose it is."""

    name: Annotated[str, Field(min_length=1)] = Field(description="whose key it is")
    key: str = Field(description="Ed25519: PEM, or its 32 bytes as hex or base64")

    @field_validator("key")
    @classmethod
    def _is_a_key(cls, key: str) -> str:
        PublicKey.parse(key)
        return key


class Signing(Member):
    """By whose signatures `assay verify` trusts a dossier of this plan."""

    trusted: list[TrustedKey] = Field(default_factory=list)

    @field_validator("trusted")
    @classmethod
    def _each_once(cls, trusted: list[TrustedKey]) -> list[TrustedKey]:
        ids = [PublicKey.parse(one.key).key_id for one in trusted]
        if twice := sorted({key_id for key_id in ids if ids.count(key_id) > 1}):
            raise ValueError(f"each key once is expected, found several times: {', '.join(twice)}")
        return trusted

    @property
    def trusted_keys(self) -> list[PublicKey]:
        """The keys."""
        return [PublicKey.parse(one.key) for one in self.trusted]
