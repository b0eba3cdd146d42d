"""Chat templates are untrusted code."""

from __future__ import annotations

import pytest

from engines import chat
from engines.base import Message
from engines.chat import TemplateError, render

HELLO = (Message("system", "Be kind."), Message("user", "你好"))


def test_renders_a_template_with_the_answer_begun() -> None:
    template = (
        "{{ bos_token }}{% for message in messages %}<{{ message.role }}>{{ message['content'] | trim }}</>"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    assert render(template, HELLO, bos="<s>") == "<s><system>Be kind.</><user>你好</><assistant>"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ ''.__class__.__mro__ }}", "sandbox"),
        ("{{ messages.append(1) }}", "sandbox"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "takes longer"),
        ("{{ 'a' * 10 ** 10 }}", "memory"),
        ("{% for a in range(2000) %}{{ 'a' * 1000 }}{% endfor %}", "characters"),
        ("{{ raise_exception('roles must\nalternate') }}", "roles must alternate"),
        ("{% for %}", "does not render"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ nothing.there.at_all }}", "does not render"),
    ],
)
def test_what_a_hostile_template_wants_is_refused_in_one_line(
    template: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "SECONDS", 0.5)
    with pytest.raises(TemplateError, match=says) as caught:
        render(template, HELLO)
    assert "\n" not in str(caught.value)


def test_limits_are_lifted_afterwards() -> None:
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(TemplateError):
        render("{{ 1 / 0 }}", HELLO)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
