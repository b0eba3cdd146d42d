"""API keys: read from the environment or the system keyring when a server is opened, kept nowhere, shown nowhere."""

from __future__ import annotations

import os
import re
from typing import NoReturn

import msgspec

from engines.base import EngineError
from engines.endpoint.address import host_of, is_loopback

SERVICE = "culture-workbench"
"""Under this name the system keyring is asked: `keyring set culture-workbench ENTRY`."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")


class KeySource(msgspec.Struct, frozen=True):
    """Where the key of a server is to be had: an environment variable, or an entry of the system keyring. It holds
    names only, but whoever mistook the setting may have put the key itself there: so it is never shown either."""

    env: str = ""
    keyring: str = ""

    def __repr__(self) -> str:
        return "KeySource(…)"


class Key:
    """A key that does not show itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Key(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is never stored")

    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self._text}"

    def removed_from(self, text: str) -> str:
        """A text from the server, without the key if it repeats it."""
        return text.replace(self._text, "[key]")


def read_key(source: KeySource, url: str) -> Key | None:
    """The key for a server; None when none is wanted. Raises EngineError when it is not there, or when it would go over
    the network in the clear."""
    if not source.env and not source.keyring:
        return None
    if url.startswith("http:") and not is_loopback(url):
        raise EngineError(
            f"{host_of(url)}: a key is never sent over plain http beyond this machine: use https, or a tunnel to "
            "127.0.0.1, or leave the key out of the settings of this endpoint"
        )
    text = _from_environment(source.env) if source.env else _from_keyring(source.keyring)
    if not _KEY.fullmatch(text):
        raise EngineError(f"{host_of(url)}: what is given as its key is none (spaces, line breaks or other letters)")
    return Key(text)


def _from_environment(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise EngineError("key_env in settings.toml is no name of an environment variable: never write a key there")
    text = os.environ.get(name, "").strip()
    if not text:
        raise EngineError("the environment variable that key_env names in settings.toml is not set: put the key there")
    return text


def _from_keyring(entry: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise EngineError(
            "key_keyring in settings.toml needs the keyring package: `pip install keyring`, or use key_env"
        ) from error
    try:
        text = keyring.get_password(SERVICE, entry)
    except KeyringError as error:
        raise EngineError(f"the system keyring does not open ({type(error).__name__}): use key_env instead") from None
    if not text:
        raise EngineError(
            f"the system keyring has no such entry for {SERVICE}: `keyring set {SERVICE} ENTRY`, with the ENTRY that "
            "key_keyring names"
        )
    return str(text).strip()
