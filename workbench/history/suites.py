"""Suites and their items in the history: content-addressed, so that what several audits share is there once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from suites.base import Suite
from workbench.history.chain import canonical, clean, digest, manifest, suite_digest


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A suite as the history keeps it. `items` are (id, hash, stratum, data as canonical JSON), in order."""

    hash: str
    suite: str
    version: str
    title: str
    manifest: str
    items: Sequence[tuple[str, str, str, str]]


def store_suite(connection: sqlite3.Connection, suite: Suite) -> tuple[int, str]:
    """Row id and digest of a suite, stored if it is not there yet."""
    items = [(clean(item.id), item.hash, clean(item.stratum), canonical(item.data).decode()) for item in suite.items]
    return store(
        connection,
        Stored(
            hash=suite.hash,
            suite=clean(suite.id),
            version=clean(suite.version),
            title=clean(suite.title),
            manifest=manifest(suite),
            items=items,
        ),
    )


def store(connection: sqlite3.Connection, given: Stored) -> tuple[int, str]:
    """Row id and digest of a suite that is given as it is kept, stored if it is not there yet."""
    mark = suite_digest(given.manifest, given.items)
    known = connection.execute("SELECT id FROM suites WHERE digest = ?", (mark,)).fetchone()
    if known is not None:
        return int(known[0]), mark
    row = connection.execute(
        "INSERT INTO suites (digest, hash, suite, version, title, manifest) VALUES (?, ?, ?, ?, ?, ?)",
        (mark, given.hash, given.suite, given.version, given.title, given.manifest),
    ).lastrowid
    assert row is not None
    for position, (name, item_hash, stratum, data) in enumerate(given.items):
        item_mark = digest(data.encode())
        connection.execute("INSERT OR IGNORE INTO items (digest, data) VALUES (?, ?)", (item_mark, data))
        connection.execute(
            "INSERT INTO suite_items (suite, position, item, hash, name, stratum) "
            "VALUES (?, ?, (SELECT id FROM items WHERE digest = ?), ?, ?, ?)",
            (row, position, item_mark, item_hash, name, stratum),
        )
    return row, mark
