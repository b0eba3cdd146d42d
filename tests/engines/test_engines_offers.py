"""The list of models that can be fetched: sound as it is, and strict about what is written into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.base import EngineError
from engines.offers import GROUPS, PATH, offered, offers

ENTRY = """
[[model]]
name = "tiny"
repository = "org/tiny"
file = "safetensors"
group = "indic"
size = 2.0
parameters = 1.0
licence = "MIT"
languages = ["hi"]
why = "small"
verified = false
"""


def test_the_list_covers_what_it_is_for() -> None:
    found = offers()
    assert len(found) >= 30
    assert {offer.group for offer in found} == set(GROUPS)
    assert all(0.1 <= offer.parameters <= 9 for offer in found)
    assert len({(offer.repository, offer.file) for offer in found}) == len(found)
    # Nothing is called checked without saying where that can be read.
    assert all(offer.source.endswith(offer.repository) for offer in found if offer.verified)


def test_sizes_are_plausible() -> None:
    for offer in offers():
        each = offer.size / offer.parameters
        assert (1.7 <= each <= 4.3) if offer.file == "safetensors" else (0.4 <= each <= 1.3), offer.name


def test_an_offer_is_found_by_name_or_repository() -> None:
    first = offers()[0]
    assert offered(first.name.upper()) == offered(first.repository) == first
    assert offered("nothing") is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("licence =", "license =", r"model 1 \(tiny\): there is no key 'license': did you mean licence\?"),
        ('group = "indic"', 'group = "indick"', "group: must be one of"),
        ("size = 2.0", 'size = "2"', r"model 1 \(tiny\): .*size"),
        ("size = 2.0", "size = -2.0", "size: must be gigabytes above 0, not -2.0"),
        ('repository = "org/tiny"', 'repository = "tiny"', "repository: must be organisation/name"),
        ('repository = "org/tiny"', 'repository = "../x/y"', "repository: must be organisation/name"),
        ('file = "safetensors"', 'file = "pytorch_model.bin"', "file: must be a .gguf file or 'safetensors'"),
        ("verified = false", "verified = true", "source: must be an address where verified is true"),
        ("verified = false", 'verified = false\nrevision = "main"', "revision: must be a commit"),
        ('languages = ["hi"]', "languages = []", "languages: must name at least one"),
        ('name = "tiny"\n', "", "name"),
        ("[[model]]", "[[modell]]", "the file: there is no key 'modell': did you mean model"),
        ("[[model]]", "[model]", "model: must be a list of tables"),
        ("verified = false", "verified = false" + ENTRY, "name: 'tiny' is there twice"),
        ("verified = false", "verified =", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_entry_and_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "catalog.toml"
    assert old in ENTRY
    path.write_text(ENTRY.replace(old, new, 1))
    with pytest.raises(EngineError, match=says) as caught:
        offers(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_list_goes_with_the_application() -> None:
    assert PATH.is_file()
