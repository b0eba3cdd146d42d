"""Download a model from a hub, with the user's word: looked up first, then fetched, resumed, checked, recorded.

huggingface_hub does the talking (an optional dependency, imported only here and only when something is fetched). Files
are written below the models folder; what was interrupted stays there half-done and goes on where it ended. Only weights
that can hold no code are fetched: a .gguf file, or safetensors with config and tokenizer.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from engines.base import EngineError
from engines.describe import known_licence
from engines.fetched import Fetched, add_record, read_record, state_of
from engines.files import printable, sync_folder, write_error
from engines.folder import INDEX
from engines.header import read_header
from engines.offers import SAFETENSORS, Offer

Progress = Callable[[str, int, int], None]
"""Called with the model's name, the bytes done and the bytes in all; what it raises ends the fetch."""

INSTALL = f"{sys.executable} -m pip install 'huggingface_hub>=1.31'"
CONNECT_SECONDS = 5.0
_CHUNK = 1 << 20
_SPARE = 200 << 20
"""Bytes that a fetch leaves free on the disk."""
_STALE_SECONDS = 14 * 86_400
_PUBLIC = "https://huggingface.co"
_LOCAL = ("127.0.0.1", "::1", "localhost")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PART = re.compile(r"(.*)-\d{5}-of-(\d{5})\.gguf", re.IGNORECASE)
# What a safetensors model needs beside its weights: never pickles, never code.
_BESIDE = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model", "*.tiktoken", "chat_template.jinja", "preprocessor_config.json", "README.md", "LICENSE*",
)  # fmt: skip


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file to fetch. `sha256` is what the hub announces for large files, `blob` (git's SHA-1) for small ones."""

    name: str
    size: int
    sha256: str = ""
    blob: str = ""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a hub says of a model before anything is fetched. Texts are safe to draw."""

    name: str
    repository: str
    revision: str
    endpoint: str
    files: tuple[Wanted, ...]
    model: str
    """The .gguf file to load; "" for safetensors, where the folder is the model."""
    licence: str
    licence_note: str
    languages: tuple[str, ...]
    gated: bool

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)

    @property
    def folder(self) -> str:
        """Where it goes, below the models folder: a folder of its own."""
        inner = f"/{_stem(self.model)}" if self.model else ""
        return f"hub/{self.repository.replace('/', '--')}@{self.revision[:12]}{inner}"


def look_up(name: str, offer: Offer | None = None, *, file: str = "", revision: str = "") -> Looked:
    """Ask the hub for a repository (`organisation/name`), or for that of an offer.

    `file` chooses a .gguf file, `revision` a branch, tag or commit. Raises `EngineError` (one line) without network,
    for what is not there, is gated, or has no weights that are safe to load.
    """
    repository = offer.repository if offer else name
    if not _REPOSITORY.fullmatch(repository):
        raise EngineError(
            f"{printable(name)} is neither on the list (`models list --available`) nor an organisation/name"
        )
    file = file or (offer.file if offer and offer.file != SAFETENSORS else "")
    hub = _hub()
    endpoint = _endpoint()
    api = hub.HfApi(endpoint=endpoint, token=_token(endpoint))
    with _Told(repository, endpoint):
        facts = api.model_info(
            repository, revision=revision or (offer.revision if offer else "") or None, files_metadata=True,
            timeout=CONNECT_SECONDS,
        )  # fmt: skip
    commit = facts.sha if isinstance(facts.sha, str) else ""
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise EngineError(f"{repository}: {endpoint} does not say which commit it would give: nothing was fetched")
    there = {one.rfilename: one for one in facts.siblings or [] if _plain(one.rfilename)}
    names = _chosen(repository, list(there), file)
    card = facts.card_data.to_dict() if facts.card_data else {}
    languages = card.get("language") or ()
    licence = card.get("license")
    notes = (card.get("license_name"), card.get("license_link"))
    gguf = names[0].endswith(".gguf")
    return Looked(
        name=offer.name if offer else repository.split("/")[1] if not gguf else _stem(names[0]),
        repository=repository,
        revision=commit,
        endpoint=endpoint,
        files=tuple(_wanted(repository, there[name]) for name in names),
        model=names[0] if gguf else "",
        licence=known_licence(licence if isinstance(licence, str) else "") or (offer.licence if offer else ""),
        licence_note=printable(" · ".join(note for note in notes if isinstance(note, str) and note), 200),
        languages=tuple(
            printable(one, 40)
            for one in ([languages] if isinstance(languages, str) else languages)[:100]
            if isinstance(one, str)
        )
        or (offer.languages if offer else ()),
        gated=bool(facts.gated),
    )


def check_space(looked: Looked, models_folder: Path) -> None:
    """Raises `EngineError` when the disk has no room for what is still to come."""
    models_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = sum(file.stat().st_size for file in _staging(looked, models_folder).glob("*") if file.is_file())
    needed, free = looked.size - there + _SPARE, shutil.disk_usage(models_folder).free
    if needed > free:
        raise EngineError(
            f"{looked.name}: {_size(looked.size)} to fetch, but the disk with {printable(str(models_folder), 300)} has "
            f"{_size(free)} free: free some space, or set CULTURE_WORKBENCH_HOME elsewhere"
        )


def fetch(looked: Looked, models_folder: Path, progress: Progress | None = None, *, agreed: str = "") -> Fetched:
    """Download, check and record; goes on where an earlier attempt ended. `agreed`: when the licence was agreed to.

    Raises `EngineError` (one line) when the network, the hub or the disk fails, or a file's bytes are not those that
    the hub announced; what came so far is kept, a wrong file is not.
    """
    for known in read_record(models_folder):
        if known.folder == looked.folder and known.path(models_folder).exists():
            return known
    check_space(looked, models_folder)
    staging = _staging(looked, models_folder)
    target = models_folder / looked.folder
    digests: dict[str, str] = {}
    try:
        _sweep(staging.parent, staging)
        staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = 0
        for file in looked.files:
            _one(looked, file, staging, before, progress)
            digests[file.name] = _verified(looked, file, staging, before, progress)
            before += file.size
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in looked.files:
            os.replace(staging / file.name, target / file.name)
        shutil.rmtree(staging, ignore_errors=True)
        sync_folder(target)
        fetched = Fetched(
            folder=looked.folder,
            name=looked.name,
            repository=looked.repository,
            revision=looked.revision,
            endpoint=looked.endpoint,
            licence=looked.licence,
            languages=looked.languages,
            agreed=agreed,
            files=tuple(state_of(target, name, digest) for name, digest in digests.items()),
            model=looked.model,
        )
    except OSError as error:
        raise write_error(target, error) from error
    add_record(models_folder, fetched)
    return fetched


# -- choosing ---------------------------------------------------------------------------------------------------------


def _chosen(repository: str, names: list[str], file: str) -> list[str]:
    """The files to fetch, the one to load first. Raises `EngineError` where there is no choice, or too much."""
    ggufs = sorted(name for name in names if name.lower().endswith(".gguf") and "mmproj" not in name.lower())
    if file:
        if file not in names:
            near = f"; it has {', '.join(ggufs[:8])}" if ggufs else ""
            raise EngineError(f"{repository} has no file {printable(file)}{near}")
        if not file.lower().endswith(".gguf"):
            raise EngineError(f"{printable(file)} is no .gguf file: without --file the safetensors are fetched")
        return _all_parts(file, ggufs)
    weights = sorted(name for name in names if fnmatch(name, "model*.safetensors"))
    if weights and "config.json" in names:
        index = [INDEX] if INDEX in names else []
        beside = sorted(name for name in names if any(fnmatch(name, pattern) for pattern in _BESIDE))
        return [*beside, *index, *weights]
    firsts = [name for name in ggufs if not (part := _PART.fullmatch(name)) or "-00001-of-" in part.string]
    if len(firsts) == 1:
        return _all_parts(firsts[0], ggufs)
    if firsts:
        shown = ", ".join(firsts[:12]) + (" …" if len(firsts) > 12 else "")
        raise EngineError(f"{repository} has {len(firsts)} .gguf files: choose one with --file: {shown}")
    raise EngineError(
        f"{repository} has neither a .gguf file nor safetensors with a config.json: other weights (pickles) can run "
        "code and are not fetched"
    )


def _all_parts(first: str, ggufs: list[str]) -> list[str]:
    part = _PART.fullmatch(first)
    if part is None:
        return [first]
    return [name for name in ggufs if (other := _PART.fullmatch(name)) and other.groups() == part.groups()]


def _plain(name: str) -> bool:
    """Only files at the top of a repository, with harmless names: nothing leads out of the folder."""
    return bool(re.fullmatch(r"[\w][\w.+ -]*", name)) and len(name) < 200


def _wanted(repository: str, sibling: Any) -> Wanted:
    lfs = sibling.lfs
    size = lfs.size if lfs else sibling.size
    if not isinstance(size, int) or size < 0:
        raise EngineError(f"{repository}: the hub does not say how large {printable(sibling.rfilename)} is")
    return Wanted(
        name=sibling.rfilename, size=size, sha256=lfs.sha256 if lfs else "", blob="" if lfs else sibling.blob_id or ""
    )


def _stem(name: str) -> str:
    part = _PART.fullmatch(name)
    return part[1] if part else name.removesuffix(".gguf")


# -- the network ------------------------------------------------------------------------------------------------------


def _hub() -> Any:
    """huggingface_hub, quiet. Raises `EngineError` where it may not be used or is not there."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise EngineError(
                f"{variable} is set, so nothing is fetched: unset it, or scan a folder that has the model"
            )
    try:
        import huggingface_hub
        from huggingface_hub import constants
    except ImportError as error:
        raise EngineError(f"fetching needs the package huggingface_hub: {INSTALL}") from error
    logger = logging.getLogger("huggingface_hub")
    logger.handlers = [logging.NullHandler()]  # Its own writes over the screen.
    # Cancel is heard between two chunks, and what a cut connection leaves is a whole number of them.
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    return huggingface_hub


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or _PUBLIC).rstrip("/")


def _token(endpoint: str) -> bool | None:
    """None: the user's token where there is one. Never over plain http beyond this machine."""
    parts = urlsplit(endpoint)
    return None if parts.scheme == "https" or parts.hostname in _LOCAL else False


class _Told:
    """Turns what the hub's client raises into one line."""

    def __init__(self, repository: str, endpoint: str) -> None:
        self._repository, self._endpoint = repository, endpoint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, EngineError):
            return
        import httpx2
        from huggingface_hub import errors

        if isinstance(error, errors.GatedRepoError):
            raise EngineError(
                f"{self._repository} is gated: accept its licence at {self._endpoint}/{self._repository}, then set "
                "HF_TOKEN or run `hf auth login`"
            ) from error
        if isinstance(error, errors.RepositoryNotFoundError):
            raise EngineError(
                f"{self._repository} is not on {self._endpoint}, or is private or gated: check the name, or log in "
                "with `hf auth login`"
            ) from error
        if isinstance(error, errors.RevisionNotFoundError | errors.EntryNotFoundError):
            raise EngineError(f"{self._repository} has no such revision or file on {self._endpoint}") from error
        if isinstance(error, errors.HfHubHTTPError):
            status = error.response.status_code
            said = {401: "it needs a login", 403: "it needs another login", 404: "is that a hub? see HF_ENDPOINT"}.get(
                status, "try again later"
            )
            raise EngineError(f"{self._repository}: {self._endpoint} answered {status}: {said}") from error
        if isinstance(error, httpx2.HTTPError | ConnectionError):
            raise EngineError(
                f"{self._endpoint} cannot be reached ({printable(str(error) or type(error).__name__, 80)}): fetching "
                "needs the network; models that are here already work without it"
            ) from error
        if isinstance(error, OSError) and error.errno is None:
            # The client's own word for a file that ended too early.
            raise EngineError(
                f"{self._repository}: {printable(str(error), 160)} Run the same command to go on"
            ) from error
        if isinstance(error, ValueError):
            raise EngineError(f"{self._repository}: {printable(str(error), 160)}") from error


def _one(looked: Looked, file: Wanted, staging: Path, before: int, progress: Progress | None) -> None:
    """Download one file into the staging folder, from where an earlier attempt ended."""
    path, part = staging / file.name, staging / f"{file.name}.part"
    if path.exists() and path.stat().st_size == file.size:
        return
    hub = _hub()
    from huggingface_hub.file_download import http_get

    there = part.stat().st_size if part.exists() else 0
    if there > file.size:
        part.unlink()
        there = 0

    class Bar:
        """As much of a progress bar as the client needs."""

        def __init__(self, *, initial: int = 0, **_: object) -> None:
            self.done = initial

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: float | None = 1) -> None:
            self.done += int(count or 0)
            if progress is not None:
                progress(looked.name, before + self.done, looked.size)

    if progress is not None:
        progress(looked.name, before + there, looked.size)
    token = _token(looked.endpoint)
    url = hub.hf_hub_url(looked.repository, file.name, revision=looked.revision, endpoint=looked.endpoint)
    with _Told(looked.repository, looked.endpoint):
        facts = hub.get_hf_file_metadata(url, token=token, timeout=CONNECT_SECONDS)
        if facts.commit_hash != looked.revision:
            raise EngineError(f"{looked.repository}: the hub gave another commit than was asked for: try again")
        if file.sha256 and facts.etag != file.sha256:
            raise EngineError(f"{looked.repository}: {file.name} has changed on the hub: try again")
        headers = hub.utils.build_hf_headers(token=token)
        if urlsplit(facts.location).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)  # A store elsewhere has its own signed addresses.
        with part.open("ab") as out:
            http_get(
                facts.location, out, resume_size=there, headers=headers, expected_size=file.size,
                displayed_filename=file.name, tqdm_class=Bar,
            )  # fmt: skip
            out.flush()
            os.fsync(out.fileno())
    os.replace(part, path)


def _verified(looked: Looked, file: Wanted, staging: Path, before: int, progress: Progress | None) -> str:
    """The SHA-256 of a file that holds what the hub announced; a file that does not is deleted."""
    path = staging / file.name
    digest, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    with path.open("rb", buffering=0) as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            if not file.sha256:
                git.update(chunk)
            elif progress is not None:
                progress(f"{looked.name}, checking", before + source.tell(), looked.size)
    wanted, found = (file.sha256, digest.hexdigest()) if file.sha256 else (file.blob, git.hexdigest())
    if path.stat().st_size != file.size or (wanted and found != wanted):
        path.unlink()
        raise EngineError(
            f"{looked.repository}: {file.name} holds other bytes than the hub announced ({found[:12]}…, expected "
            f"{wanted[:12]}…): it was deleted; try again"
        )
    if file.name.endswith(".gguf") and not _PART.fullmatch(file.name):
        try:
            read_header(path)
        except EngineError:
            path.unlink()
            raise
    return digest.hexdigest()


def _staging(looked: Looked, models_folder: Path) -> Path:
    return models_folder / ".fetching" / looked.folder.removeprefix("hub/")


def _sweep(folder: Path, keep: Path) -> None:
    """Delete what was given up two weeks ago."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path != keep and path.stat().st_mtime < time.time() - _STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
