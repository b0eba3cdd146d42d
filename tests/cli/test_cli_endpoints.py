"""Models on servers from the command line: named by their address, or in the settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from served import Handler, Served, served

from workbench.settings import SettingsError, load

Run = Callable[..., Result]
Refused = Callable[..., str]
KEY = "sk-not-a-real-key-0123456789"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def settings(home: Path, text: str) -> Path:
    path = home / "settings.toml"
    path.write_text(text)
    return path


def test_a_server_of_the_settings_is_listed_without_being_asked(run: Run, home: Path, server: Served) -> None:
    settings(home, f'[endpoints.ours]\nurls = ["{server.url}"]\nkey_env = "TEAM_KEY"\n')
    (model,) = json.loads(run("models", "list", "--json").stdout)["models"]
    assert (model["name"], model["engine"], model["path"]) == ("ours", "endpoint", server.url)
    assert "ours" in run("models", "list").stdout
    assert server.asked == []


def test_show_says_what_a_server_can_do_and_that_its_identity_is_not_of_weights(run: Run, server: Served) -> None:
    said = run("models", "show", server.url).stdout
    assert "not of its weights" in said
    assert "score, generate, chat" in said
    card = json.loads(run("models", "show", server.url, "--json").stdout)
    assert card["engine"] == "endpoint"
    assert card["fingerprint"].startswith("endpoint:")


def test_check_tries_a_server_out(run: Run, server: Served) -> None:
    said = run("models", "check", f"{server.url}#letters").stdout
    assert "fast and plain scores differ by 0.0000 nats" in said
    assert "The tea is served with" in said


def test_check_of_a_server_without_likelihoods_says_why(run: Run) -> None:
    def ignores(handler: Handler, body: dict[str, Any]) -> bool:
        body.pop("logprobs", None)
        return False

    with served(ignores) as server:
        assert "none: the server gives no log-probabilities" in run("models", "check", server.url).stdout


def test_an_audit_of_a_server_and_nothing_of_its_key_anywhere(
    run: Run, home: Path, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key reaches its server; it is in no file of the application, no output and no export."""
    monkeypatch.setenv("TEAM_KEY", KEY)
    settings(home, f'[endpoints.ours]\nurls = ["{server.url}"]\nkey_env = "TEAM_KEY"\nconcurrency = 2\n')
    done = run("audit", "ours", "-s", "sc-tc-terms", "--quick", "--limit", "2", "--languages", "zh-Hans", "--json")
    found = json.loads(done.stdout)
    assert found["status"] == "complete"
    assert found["models"][0]["name"] == "ours"
    assert found["models"][0]["fingerprint"].startswith("endpoint:")
    assert {finding["noise"] for finding in found["findings"]} == {None}
    assert "not applicable" in done.stderr
    assert any(headers.get("Authorization") == f"Bearer {KEY}" for _, _, headers in server.asked)
    report = home / "report.md"
    run("history", "export", found["audit"], "--output", str(report))
    assert "not of its weights" in report.read_text()
    assert KEY not in done.stdout + done.stderr
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_wrong_addresses_are_refused(refused: Refused) -> None:
    assert "secret" not in refused("models", "show", "http://me:secret@host/v1")
    assert "cannot be reached" in refused("models", "show", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("urls = []", "at least one URL"),
        ('urls = ["http://host/v1"]\nkey = "k"', "key"),
        (f'urls = ["http://host/v1"]\nkey_env = "{KEY}"', "no name of an environment variable"),
        ('urls = ["http://u:p@host/v1"]', "user and password"),
        ('urls = ["http://host/v1"]\nconcurrency = 0', "concurrency"),
        ('urls = ["http://host/v1"]\nkey_env = "A"\nkey_keyring = "b"', "not both"),
    ],
)
def test_wrong_settings_of_an_endpoint_are_one_line(home: Path, text: str, said: str) -> None:
    path = settings(home, f"[endpoints.ours]\n{text}\n")
    with pytest.raises(SettingsError, match=said) as caught:
        load(path, {})
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
