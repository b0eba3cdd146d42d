"""Models on servers: what is found out of them, how their scores come about, and what a bad one cannot do."""

from __future__ import annotations

import contextlib
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from served import Handler, Served, Trouble, best, llama_server, nats, served
from tiny import write_tiny

from engines.base import (
    Cancelled,
    ChoiceRequest,
    EngineDied,
    EngineError,
    GenerateRequest,
    LoadOptions,
    Message,
    Sampling,
    Token,
)
from engines.endpoint import generating, scoring
from engines.endpoint.address import is_loopback, parse_address
from engines.endpoint.engine import EndpointEngine
from engines.endpoint.keys import Key, KeySource, read_key
from engines.endpoint.replicas import Patience
from engines.endpoint.transport import MALFORMED, Limits
from engines.process import open_engine

pytestmark = pytest.mark.timeout(120)
QUICK = Patience(attempts=4, base=0.001, cap=0.01, aside=0.05)
LIMITS = Limits(connect=5, silence=10, total=20, retry_after=0.2)
KEY = "sk-not-a-real-key-0123456789"


@contextmanager
def opened(*servers: Served | str, model: str = "", **options: Any) -> Iterator[EndpointEngine]:
    urls = [server if isinstance(server, str) else server.url for server in servers]
    options = {"patience": QUICK, "limits": LIMITS, **options}
    engine = EndpointEngine(parse_address(",".join(urls) + (f"#{model}" if model else "")), **options)
    try:
        yield engine
    finally:
        engine.close()


def after_probing(trouble: Trouble, times: int = 1_000_000) -> tuple[Trouble, threading.Event]:
    """Trouble that begins when the event is set, and is over after so many times."""
    begun = threading.Event()
    lock = threading.Lock()
    left = times

    def wait_for_it(handler: Handler, body: dict[str, Any]) -> bool:
        nonlocal left
        if not begun.is_set() or not body:
            return False
        with lock:
            if not left:
                return False
            left -= 1
        return trouble(handler, body)

    return wait_for_it, begun


def write(engine: EndpointEngine, *prompts: str, **sampling: Any) -> list[list[Token]]:
    requests = [GenerateRequest(prompt, sampling=Sampling(**{"max_tokens": 3, **sampling})) for prompt in prompts]
    found: list[list[Token]] = [[] for _ in requests]
    for index, token in engine.generate(requests):
        found[index].append(token)
    return found


def text(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)


def expected(prompt: str, count: int = 3) -> str:
    written = ""
    for _ in range(count):
        written += best(prompt + written)
    return written


# -- addresses and keys -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "urls", "model"),
    [
        ("http://127.0.0.1:8000/v1#m", ("http://127.0.0.1:8000/v1",), "m"),
        ("http://LOCALHOST:8000", ("http://localhost:8000/v1",), ""),
        ("https://a:443/v1/, https://b/v1#Org/Name:7b", ("https://a/v1", "https://b/v1"), "Org/Name:7b"),
        ("http://[::1]:80/api/v1", ("http://[::1]/api/v1",), ""),
        ("http://a/v1,http://a/v1/", ("http://a/v1",), ""),
    ],
)
def test_an_address_has_one_form(written: str, urls: tuple[str, ...], model: str) -> None:
    address = parse_address(written)
    assert (address.urls, address.model) == (urls, model)
    assert parse_address(address.text) == address


@pytest.mark.parametrize(
    "written",
    ["http://user:secret@host/v1", "https://secret@host", "http://host/v1?key=secret", "ftp://host/v1", "http://",
     "http://host:99999/v1", "http://ho st/v1", "http://a/v1,,http://b/v1", "http://a/v1#a\x1b[31m"],
)  # fmt: skip
def test_other_addresses_are_refused_in_one_line_without_secrets(written: str) -> None:
    with pytest.raises(EngineError) as caught:
        parse_address(written)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_loopback_is_this_machine_only() -> None:
    assert all(
        map(is_loopback, ["http://127.0.0.1:1/v1", "http://[::1]/v1", "https://localhost/v1", "http://127.9.9.9"])
    )
    assert not any(map(is_loopback, ["http://10.0.0.1/v1", "http://localhost.example.org", "http://127.0.0.1.nip.io"]))


def test_a_key_never_goes_over_plain_http_beyond_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_KEY", KEY)
    with pytest.raises(EngineError, match="never sent over plain http") as caught:
        EndpointEngine(parse_address("http://192.0.2.1/v1"), keys={"http://192.0.2.1/v1": KeySource(env="TEAM_KEY")})
    assert KEY not in str(caught.value)
    assert read_key(KeySource(env="TEAM_KEY"), "https://192.0.2.1/v1") is not None


@pytest.mark.parametrize("name", [KEY, "NOT_SET_ANYWHERE"])
def test_a_key_in_the_wrong_place_is_not_repeated(name: str) -> None:
    with pytest.raises(EngineError) as caught:
        read_key(KeySource(env=name), "https://host/v1")
    assert name not in str(caught.value) + repr(KeySource(env=name))


def test_a_key_shows_itself_to_its_server_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in no card, no line of the log, no error: also where the server repeats it."""
    import pickle

    monkeypatch.setenv("TEAM_KEY", KEY)

    def tell(handler: Handler, body: dict[str, Any]) -> bool:
        handler.reply({"error": {"message": f"wrong key {handler.headers['Authorization']}"}}, 401)
        return True

    trouble, begun = after_probing(tell)
    said: list[str] = []
    with served(trouble) as server:
        keys = {server.url: KeySource(env="TEAM_KEY")}
        with opened(server, keys=keys, log=said.append) as engine:
            assert all(headers["Authorization"] == f"Bearer {KEY}" for _, _, headers in server.asked)
            begun.set()
            with pytest.raises(EngineError, match="key_env") as caught:
                write(engine, "hello")
            assert KEY not in f"{caught.value} {engine.card} {said} {vars(engine)}"
    assert KEY not in repr(Key(KEY))
    with pytest.raises(TypeError):
        pickle.dumps(Key(KEY))


def test_without_a_key_none_is_sent_whatever_the_environment_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with served() as server, opened(server):
        assert KEY not in str(server.asked)


# -- what a server is found to do -------------------------------------------------------------------------------------


def test_a_server_is_found_to_score_write_and_chat() -> None:
    with served() as server, opened(server) as engine:
        card = engine.card
        assert card.engine == "endpoint"
        assert set(card.can) == {"score", "generate", "chat"}
        assert card.cannot == {}
        assert card.fingerprint.startswith("endpoint:")
        assert card.path == f"{server.url}#letters"
        (scores,) = engine.score([ChoiceRequest("hello", (" it", " is so"))])
        assert scores.error == ""
        assert scores.options[0].logprob == pytest.approx(
            nats("hello", " ") + nats("hello ", "i") + nats("hello i", "t")
        )
        assert [option.tokens for option in scores.options] == [3, 6]
        assert text(write(engine, "abc")[0]) == expected("abc")


def test_the_identity_does_not_depend_on_the_address() -> None:
    with (
        served() as one,
        served() as two,
        served(models=("other",)) as three,
        opened(one) as a,
        opened(two) as b,
        opened(three) as c,
    ):
        assert a.card.fingerprint == b.card.fingerprint != c.card.fingerprint


def test_several_models_are_listed_and_one_must_be_named() -> None:
    with served(models=("letters", "words")) as server:
        with pytest.raises(EngineError, match=r"letters, words"), opened(server):
            pass
        with pytest.raises(EngineError, match=r"no model wrods; it has letters, words"), opened(server, model="wrods"):
            pass
        with opened(server, model="words") as engine:
            assert engine.card.path.endswith("#words")


def spoilt(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Trouble:
    """A server that answers as it should, but for a change to each reply to a completion that asks for likelihoods."""

    def trouble(handler: Handler, body: dict[str, Any]) -> bool:
        if handler.path != "/v1/completions" or not body.get("echo"):
            return False
        plain = handler.reply

        def reply(value: Any, status: int = 200, **headers: str) -> None:
            change(value["choices"][0], value)
            plain(value, status, **headers)

        handler.reply = reply  # type: ignore[method-assign]
        return False

    return trouble


def ignored(choice: dict[str, Any], _: dict[str, Any]) -> None:
    choice["logprobs"] = None


def constant(choice: dict[str, Any], _: dict[str, Any]) -> None:
    choice["logprobs"]["token_logprobs"] = [None] + [-1.0] * (len(choice["logprobs"]["tokens"]) - 1)


def shifted(choice: dict[str, Any], _: dict[str, Any]) -> None:
    values = choice["logprobs"]["token_logprobs"]
    choice["logprobs"]["token_logprobs"] = [None, *[value - 3 for value in values[1:]]]


def shortened(choice: dict[str, Any], _: dict[str, Any]) -> None:
    for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        choice["logprobs"][name] = choice["logprobs"][name][:-4]


@pytest.mark.parametrize("change", [ignored, constant, shifted, shortened])
def test_a_server_whose_likelihoods_are_not_real_is_found_out(change: Any) -> None:
    with served(spoilt(change)) as server, opened(server) as engine:
        assert "score" not in engine.card.can
        assert engine.card.cannot["score"]
        with pytest.raises(EngineError, match="gives no likelihoods"):
            list(engine.score([ChoiceRequest("hello", (" it", " so"))]))
        assert text(write(engine, "abc")[0]) == expected("abc")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["tokens", "token_logprobs", "top_logprobs", "text_offset", "content", "token", "logprob", "rank", "1"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, JSON)
def test_whatever_a_server_answers_is_read_or_malformed(logprobs: Any, prompt: Any, usage: Any) -> None:
    reply = {"choices": [{"logprobs": logprobs, "prompt_logprobs": prompt}], "usage": usage}
    for read in (
        lambda: scoring._vllm(reply),
        lambda: scoring._echoed(reply, "text"),
        lambda: generating._read(reply["choices"][0]),
    ):
        with contextlib.suppress(*MALFORMED):
            read()


def test_a_name_that_cannot_be_shown_is_no_model() -> None:
    with served(models=("let\x1b[31mters",)) as server:
        with pytest.raises(EngineError, match="has 0 models") as caught, opened(server):
            pass
        assert "\x1b" not in str(caught.value)


def test_vllms_way_is_read_and_preferred() -> None:
    """`prompt_logprobs`: a list of tables by token id, the prompt's own token first; the start token is the first."""

    def trouble(handler: Handler, body: dict[str, Any]) -> bool:
        if "prompt_logprobs" not in body:
            return False
        prompt = body["prompt"]
        entries: list[Any] = [None]
        for place, letter in enumerate(prompt):
            own = nats(prompt[:place], letter)
            entry = {str(ord(letter)): {"logprob": own, "rank": 2, "decoded_token": letter}}
            entries.append(entry | {"9999": {"logprob": -0.1, "rank": 1, "decoded_token": "é"}})
        choice = {"text": best(prompt), "finish_reason": "length", "prompt_logprobs": entries}
        handler.reply({"choices": [choice], "usage": {"prompt_tokens": len(prompt) + 1, "completion_tokens": 1}})
        return True

    with served(trouble) as server, opened(server) as engine:
        request = ChoiceRequest("ab", ("cd", "ce"), unconditional=True)
        (fast,), (plain,) = engine.score([request]), engine.score([ChoiceRequest("ab", ("cd", "ce"))], "plain")
        assert fast.options[0].logprob == pytest.approx(nats("ab", "c") + nats("abc", "d"))
        assert fast.options[0].unconditional == pytest.approx(nats("", "c") + nats("c", "d"))
        assert [option.greedy for option in fast.options] == [False, False]
        assert [option.logprob for option in plain.options] == pytest.approx([o.logprob for o in fast.options])
        assert any("prompt_logprobs" in body for _, body, _ in server.asked)
        assert server.asked[-1][1].get("echo"), "the plain path is the server's other way"


def test_a_chat_is_not_scored_and_says_so() -> None:
    with served() as server, opened(server) as engine:
        (scores,) = engine.score([ChoiceRequest((Message("user", "hello"),), ("a", "b"))])
        assert "plain form" in scores.error


# -- a server that misbehaves -----------------------------------------------------------------------------------------


def busy(handler: Handler, body: dict[str, Any]) -> bool:
    handler.reply({"error": {"message": "later"}}, 429, Retry_After="0.05")
    return True


def broken(handler: Handler, body: dict[str, Any]) -> bool:
    handler.reply({"error": {"message": "oh no"}}, 500)
    return True


def no_json(handler: Handler, body: dict[str, Any]) -> bool:
    handler.raw(b"<html>\x1b[31mhello</html>")
    return True


def nested(handler: Handler, body: dict[str, Any]) -> bool:
    handler.raw(b"[" * 100_000)
    return True


def other_json(handler: Handler, body: dict[str, Any]) -> bool:
    handler.reply({"choices": [{"text": 7, "message": [], "finish_reason": "stop"}]})
    return True


def half(handler: Handler, body: dict[str, Any]) -> bool:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True
    return True


def hangs_up(handler: Handler, body: dict[str, Any]) -> bool:
    handler.close_connection = True
    return True


def unfinished(handler: Handler, body: dict[str, Any]) -> bool:
    handler.reply({"choices": [{"text": "ab", "finish_reason": None}]})
    return True


WRONG = [busy, broken, no_json, nested, other_json, half, hangs_up, unfinished]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_goes_wrong_is_asked_again(wrong: Trouble) -> None:
    trouble, begun = after_probing(wrong, times=2)
    with served(trouble) as server, opened(server, slots=1) as engine:
        begun.set()
        assert [text(tokens) for tokens in write(engine, "abc", "xyz")] == [expected("abc"), expected("xyz")]


@pytest.mark.parametrize("wrong", [one for one in WRONG if one is not busy])
def test_what_always_goes_wrong_ends_the_engine_with_one_line(wrong: Trouble) -> None:
    trouble, begun = after_probing(wrong)
    with served(trouble) as server, opened(server) as engine:
        begun.set()
        with pytest.raises(EngineDied) as caught:
            write(engine, "abc")
        assert "127.0.0.1" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "\x1b" not in str(caught.value)


def test_a_server_may_ask_for_time_and_is_left_alone_meanwhile() -> None:
    trouble, begun = after_probing(busy, times=1)
    moments: list[float] = []

    def clock(handler: Handler, body: dict[str, Any]) -> bool:
        if begun.is_set():
            moments.append(time.monotonic())
        return False

    with served(clock, trouble) as server, opened(server) as engine:
        begun.set()
        write(engine, "abc")
    assert len(moments) == 2
    assert moments[1] - moments[0] >= 0.05


def test_the_time_that_a_server_asks_for_is_capped() -> None:
    def greedy(handler: Handler, body: dict[str, Any]) -> bool:
        handler.reply({}, 503, Retry_After="86400")
        return True

    trouble, begun = after_probing(greedy, times=1)
    with served(trouble) as server, opened(server) as engine:
        begun.set()
        assert text(write(engine, "abc")[0]) == expected("abc")


def test_one_request_that_the_server_cannot_do_is_its_own_error() -> None:
    """The others are answered; this one says why."""

    def poisoned(handler: Handler, body: dict[str, Any]) -> bool:
        return "poison" in str(body.get("prompt", "")) and broken(handler, body)

    with served(poisoned) as server, opened(server, slots=2) as engine:
        found = write(engine, "poison", *(f"good {number}" for number in range(12)))
        assert found[0][-1].finish == "error"
        assert "status 500: oh no" in found[0][-1].error
        assert [text(tokens) for tokens in found[1:]] == [expected(f"good {number}") for number in range(12)]


def test_a_request_that_is_refused_is_not_asked_again() -> None:
    def refuses(handler: Handler, body: dict[str, Any]) -> bool:
        handler.reply({"error": {"message": "too long\x1b[0m for me"}}, 400)
        return True

    trouble, begun = after_probing(refuses)
    with served(trouble) as server, opened(server) as engine:
        begun.set()
        before = len(server.asked)
        (tokens,) = write(engine, "abc")
        assert tokens[-1].error.endswith("status 400: too long[0m for me")
        (scores,) = engine.score([ChoiceRequest("hello", (" it", " so"))])
        assert "too long" in scores.error
        assert len(server.asked) == before + 2


def test_a_reply_that_is_too_big_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    def huge(handler: Handler, body: dict[str, Any]) -> bool:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        try:
            for _ in range(1000):
                sent.append(handler.wfile.write(b" " * 1_000_000))
        except OSError:
            pass
        return True

    trouble, begun = after_probing(huge)
    limits = Limits(connect=5, silence=10, total=20, size=100_000)
    with served(trouble) as server, opened(server, limits=limits, patience=Patience(attempts=1)) as engine:
        begun.set()
        with pytest.raises(EngineDied, match="more than 100,000 bytes"):
            write(engine, "abc")
    assert sum(sent) < 100_000_000


def test_a_server_that_compresses_is_not_unpacked() -> None:
    def packed(handler: Handler, body: dict[str, Any]) -> bool:
        handler.raw(b"\x1f\x8b", 200, Content_Encoding="gzip")
        return True

    trouble, begun = after_probing(packed)
    with served(trouble) as server, opened(server, patience=Patience(attempts=1)) as engine:
        begun.set()
        with pytest.raises(EngineDied, match="compresses"):
            write(engine, "abc")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(connect=5, silence=0.2, total=20), "said nothing for 0.2 s"),
        (Limits(connect=5, silence=20, total=0.3), "not through after 0.3 s"),
    ],
)
def test_a_server_that_is_too_slow_is_given_up(limits: Limits, said: str) -> None:
    release = threading.Event()

    def slow(handler: Handler, body: dict[str, Any]) -> bool:
        release.wait(60)
        return False

    trouble, begun = after_probing(slow)
    with served(trouble) as server, opened(server, limits=limits, patience=Patience(attempts=1)) as engine:
        begun.set()
        try:
            with pytest.raises(EngineDied, match=said):
                write(engine, "abc")
        finally:
            release.set()


def test_redirects_are_not_followed() -> None:
    def elsewhere(handler: Handler, body: dict[str, Any]) -> bool:
        handler.raw(b"", 307, Location=f"{other.url}/completions")
        return True

    with served() as other, served(elsewhere) as server:
        with pytest.raises(EngineError, match="redirects are not followed"), opened(server):
            pass
        assert other.asked == []


def test_nobody_there_is_one_line_at_once() -> None:
    with served() as server:
        url = server.url
    with pytest.raises(EngineError, match=r"cannot be reached.*is the server running"), opened(url):
        pass


def test_a_cancel_ends_what_is_under_way_and_the_engine_can_be_asked_again() -> None:
    reached, release = threading.Event(), threading.Event()

    def slow(handler: Handler, body: dict[str, Any]) -> bool:
        reached.set()
        release.wait(60)
        return False

    trouble, begun = after_probing(slow, times=1)
    with served(trouble) as server, opened(server) as engine:
        begun.set()
        canceller = threading.Thread(target=lambda: (reached.wait(60), engine.cancel()))
        canceller.start()
        with pytest.raises(Cancelled):
            write(engine, "abc")
        canceller.join(10)
        release.set()
        assert text(write(engine, "abc")[0]) == expected("abc")


# -- streams ----------------------------------------------------------------------------------------------------------


def test_a_live_answer_streams_and_stops_at_its_stop_string() -> None:
    with served() as server, opened(server, live=True) as engine:
        (tokens,) = write(engine, "abc", max_tokens=8)
        assert len(tokens) == 9
        assert text(tokens) == expected("abc", 8)
        assert tokens[-1].finish == "length"
        (tokens,) = write(engine, "abc", max_tokens=8, stop=(expected("abc", 5)[3:],))
        assert text(tokens) == expected("abc", 3)
        assert tokens[-1].finish == "stop"
        assert server.asked[-1][1]["stop"] == [expected("abc", 5)[3:]]
        chat = GenerateRequest((Message("user", "abc"),), sampling=Sampling(max_tokens=4), seed=5)
        assert text([token for _, token in engine.generate([chat])]) == expected("abc", 4)
        assert server.asked[-1][1]["seed"] == 5


def test_a_cut_stream_ends_with_an_error_that_says_so() -> None:
    def cut(handler: Handler, body: dict[str, Any]) -> bool:
        handler.stream([{"choices": [{"text": "ab", "finish_reason": None}]}], end=False)
        return True

    trouble, begun = after_probing(cut)
    with served(trouble) as server, opened(server, live=True) as engine:
        begun.set()
        (tokens,) = write(engine, "abc")
        assert [token.text for token in tokens] == ["ab", ""]
        assert (tokens[-1].finish, "half way" in tokens[-1].error) == ("error", True)


def test_a_stream_that_fails_before_its_first_token_is_asked_again() -> None:
    trouble, begun = after_probing(broken, times=1)
    with served(trouble) as server, opened(server, live=True) as engine:
        begun.set()
        assert text(write(engine, "abc")[0]) == expected("abc")


# -- several servers --------------------------------------------------------------------------------------------------


def test_work_is_spread_bounded_and_answered_in_order() -> None:
    """No server has more than its slots at a time; both are used; the answers come in the order of the questions."""
    lock = threading.Lock()
    now: dict[int, int] = {}
    most: dict[int, int] = {}

    def watch(handler: Handler, body: dict[str, Any]) -> bool:
        if not body:
            return False
        key = id(handler.server)
        with lock:
            now[key] = now.get(key, 0) + 1
            most[key] = max(most.get(key, 0), now[key])
        plain = handler.reply

        def reply(value: Any, status: int = 200, **headers: str) -> None:
            with lock:
                now[key] -= 1
            plain(value, status, **headers)

        handler.reply = reply  # type: ignore[method-assign]
        return False

    with served(watch) as one, served(watch) as two, opened(one, two, slots=2) as engine:
        assert engine.parallel == 4
        before = [one.count("/v1/completions"), two.count("/v1/completions")]
        prompts = [f"question {number}" for number in range(40)]
        assert [text(tokens) for tokens in write(engine, *prompts)] == [expected(prompt) for prompt in prompts]
        counts = [one.count("/v1/completions") - before[0], two.count("/v1/completions") - before[1]]
    assert sum(counts) == 40
    assert min(counts) > 0
    assert max(most.values()) <= 2


def test_a_server_that_fails_is_put_aside_and_comes_back() -> None:
    trouble, begun = after_probing(broken)
    said: list[str] = []
    with served(trouble) as bad, served() as good, opened(bad, good, slots=1, log=said.append) as engine:
        begun.set()
        prompts = [f"question {number}" for number in range(12)]
        assert [text(tokens) for tokens in write(engine, *prompts)] == [expected(prompt) for prompt in prompts]
        assert any("put aside" in line and bad.url.removesuffix("/v1") in line for line in said)
        begun.clear()
        deadline = time.monotonic() + 60
        while not any("works again" in line for line in said):
            assert time.monotonic() < deadline
            write(engine, *prompts)


def test_when_all_servers_are_gone_the_engine_has_died() -> None:
    trouble, begun = after_probing(hangs_up)
    with served(trouble) as one, served(trouble) as two, opened(one, two) as engine:
        begun.set()
        with pytest.raises(EngineDied):
            write(engine, *(f"question {number}" for number in range(8)))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"models": ("other",)}, r"no model letters|no model other"),
        ({"salt": "other weights"}, r"so these are other weights"),
        ({"chats": False}, r"only some of them take chats"),
    ],
)
def test_a_server_with_another_model_is_not_taken_for_the_same(other: dict[str, Any], said: str) -> None:
    with (
        served() as one,
        served(**other) as two,
        pytest.raises(EngineError, match=said),
        opened(one, two, model="" if "models" not in other else "letters"),
    ):
        pass


def test_servers_of_which_only_some_score_are_no_engine() -> None:
    with (
        served() as one,
        served(spoilt(ignored)) as two,
        pytest.raises(EngineError, match="only some of them score"),
        opened(one, two),
    ):
        pass


# -- TLS --------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_does_not_verify_is_one_clear_line_and_one_that_does_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with served(tls=context) as server:
        with pytest.raises(EngineError, match="its certificate does not verify") as caught, opened(server):
            pass
        assert "\n" not in str(caught.value)
        assert "SSL_CERT_FILE" in str(caught.value)
        assert server.asked == []
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        with opened(server) as engine:
            assert text(write(engine, "abc")[0]) == expected("abc")
    with (
        served() as server,
        pytest.raises(EngineError, match="no TLS connection"),
        opened(server.url.replace("http:", "https:")),
    ):
        pass


# -- a real server ----------------------------------------------------------------------------------------------------

OPTIONS = ("hello", " he", "ll", "志強", "志强", "hell")


@pytest.mark.timeout(240)
def test_a_real_server_gives_the_scores_of_the_engine_for_files(tmp_path: Path) -> None:
    """Exactly, on a float32 model: with the common boundary, Chinese in pieces of characters, and token counts."""
    model = write_tiny(tmp_path / "tiny.gguf")
    requests = [ChoiceRequest(prompt, OPTIONS) for prompt in ("say hello", "我叫志", "h")]
    requests.append(ChoiceRequest("say he", ("llo", "ll", "x")))
    with llama_server(model) as (url, _), opened(url, slots=1) as served_engine:
        assert "score" in served_engine.card.can, served_engine.card.cannot
        theirs = list(served_engine.score(requests))
        written = write(served_engine, "say hello", max_tokens=4)
    engine = open_engine(str(model), LoadOptions(context=256, threads=1))
    try:
        ours = list(engine.score(requests))
        own = [token for _, token in engine.generate([GenerateRequest("say hello", sampling=Sampling(max_tokens=4))])]
    finally:
        engine.close()
    for a, b in zip(theirs, ours, strict=True):
        assert a.error == b.error == ""
        assert [(o.tokens, o.characters, o.bytes, o.greedy) for o in a.options] == [
            (o.tokens, o.characters, o.bytes, o.greedy) for o in b.options
        ]
        assert [o.logprob for o in a.options] == pytest.approx([o.logprob for o in b.options], abs=1e-3)
    assert text(written[0]) == text(own)


@pytest.mark.timeout(240)
def test_a_real_server_that_shifts_likelihoods_by_a_token_is_found_out(tmp_path: Path) -> None:
    """llama_cpp.server 0.3.36 does, for models without a start token."""
    with llama_server(write_tiny(tmp_path / "tiny.gguf", add_bos=False)) as (url, _), opened(url) as engine:
        assert "score" not in engine.card.can
        assert "not those that it writes with" in engine.card.cannot["score"]


@pytest.mark.model
@pytest.mark.timeout(300)
def test_the_starter_model_on_a_real_server_scores_as_from_its_file(starters: dict[str, Path], tmp_path: Path) -> None:
    """With the start token turned on in a copy: without, llama_cpp.server's likelihoods are of no use (see above)."""
    import shutil

    import gguf

    model = Path(shutil.copy(starters["smollm2-135m-instruct"], tmp_path / "smollm2.gguf"))
    field = gguf.GGUFReader(model, "r+").fields["tokenizer.ggml.add_bos_token"]
    field.parts[field.data[0]][0] = True
    request = ChoiceRequest("The capital of France is", (" Paris", " London"))
    with llama_server(model) as (url, _), opened(url, slots=1, limits=Limits()) as served_engine:
        (theirs,) = served_engine.score([request])
        chat = GenerateRequest((Message("user", "Hello"),), sampling=Sampling(max_tokens=4))
        answer = [token for _, token in served_engine.generate([chat])]
    engine = open_engine(str(model), LoadOptions(context=256, threads=1))
    try:
        (ours,) = engine.score([request])
    finally:
        engine.close()
    gaps = [abs(a.logprob - b.logprob) for a, b in zip(theirs.options, ours.options, strict=True)]
    assert math.fsum(gaps) / len(gaps) <= 0.05
    assert max(gaps) <= 0.5
    assert text(answer).strip()
