"""The script conversion of the published scoring: `chinese-converter` 1.1.1, an optional extra.

Another converter gives other characters for some terms, and then other counts: none is put in its place.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as version_of

from suites.base import SuiteError

PACKAGE = "chinese-converter"
VERSION = "1.1.1"


class Converter:
    """Both directions of the published conversion. Raises SuiteError where the package is missing or another version;
    the message says how to install it."""

    def __init__(self) -> None:
        try:
            library = import_module("chinese_converter")
        except ImportError:
            raise SuiteError(
                f"the published scoring converts terms with {PACKAGE} {VERSION}, which is not installed: "
                f"pip install 'culture-workbench[sctc]' (or pip install {PACKAGE}=={VERSION})"
            ) from None
        found = version_of(PACKAGE)
        if found != VERSION:
            raise SuiteError(
                f"the published scoring converts terms with {PACKAGE} {VERSION}, but {found} is installed: "
                f"pip install {PACKAGE}=={VERSION}"
            )
        self._simplified = library.to_simplified
        self._traditional = library.to_traditional

    def simplified(self, text: str) -> str:
        """`text` in Simplified characters."""
        return str(self._simplified(text))

    def traditional(self, text: str) -> str:
        """`text` in Traditional characters."""
        return str(self._traditional(text))
