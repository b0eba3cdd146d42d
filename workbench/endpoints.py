"""Models on servers: which ones the settings name, and how one is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engines.describe import CatalogModel
from engines.endpoint.address import Address, is_address, make_address, parse_address
from engines.endpoint.keys import KeySource
from workbench.settings import EndpointSetting, Settings

if TYPE_CHECKING:
    from engines.endpoint.engine import EndpointEngine


def address_of(name: str, settings: Settings) -> Address | None:
    """The servers that a name means: an address itself, or an endpoint of the settings; None for a file. Raises
    EngineError for an address that cannot be used."""
    if is_address(name):
        return parse_address(name)
    for known, endpoint in settings.endpoints.items():
        if known.casefold() == name.casefold():
            return make_address(endpoint.urls, endpoint.model)
    return None


def planned(name: str, path: str, settings: Settings) -> Address | None:
    """The servers of a model of a plan: those that its name means now, so that they may have moved; else those of the
    plan. None for a file."""
    if not is_address(path):
        return None
    then = parse_address(path)
    now = None if is_address(name) else address_of(name, settings)
    return then if now is None else make_address(now.urls, then.model)


def listed(settings: Settings) -> list[CatalogModel]:
    """The endpoints of the settings, as the catalogue shows models. Nobody is asked."""
    return [_model(name, address_of(name, settings)) for name in settings.endpoints]


def _model(name: str, address: Address | None) -> CatalogModel:
    assert address is not None
    return CatalogModel(name=name, path=address.text, engine="endpoint", format="server", origin="settings")


def described(name: str, address: Address, settings: Settings) -> CatalogModel:
    """A model on servers with what they say of it. Raises EngineError."""
    engine = connect(name, address, settings)
    try:
        card = engine.card
    finally:
        engine.close()
    return CatalogModel(
        name=card.name,
        path=card.path,
        engine="endpoint",
        format="server",
        parameters=card.parameters,
        size=card.size,
        context=card.trained_context or card.context,
        vocabulary=card.vocabulary,
        fingerprint=card.fingerprint,
        template="chat" in card.can,
        origin="settings" if name in settings.endpoints else "added",
    )


def connect(
    name: str,
    address: Address,
    settings: Settings,
    *,
    live: bool = False,
    log: Callable[[str], None] | None = None,
) -> EndpointEngine:
    """Open a model on servers. `live`: for somebody at the screen, who sees answers grow. Raises EngineError."""
    from engines.endpoint.engine import SLOTS, EndpointEngine

    keys: dict[str, KeySource] = {}
    slots = 0
    for endpoint in settings.endpoints.values():
        for url in make_address(endpoint.urls).urls:
            if url in address.urls:
                keys[url] = _source(endpoint)
                slots = max(slots, endpoint.concurrency)
    own = next((known for known in settings.endpoints if known.casefold() == name.casefold()), "")
    return EndpointEngine(address, name=own or unlisted(name), keys=keys, slots=slots or SLOTS, live=live, log=log)


def _source(endpoint: EndpointSetting) -> KeySource:
    return KeySource(env=endpoint.key_env, keyring=endpoint.key_keyring)


def unlisted(name: str) -> str:
    """The name of a model that the settings do not have (any more): none for an address, so that the engine gives it
    one."""
    return "" if is_address(name) else name
