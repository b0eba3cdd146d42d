"""What the tasks share: finding the prompt, filling it in, asking, and the form of a verdict that says why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from engines.base import ChoiceRequest, ChoiceScores, GenerateRequest, Generation, Message, Prompt, Sampling
from suites.base import Answer, Condition, Item, Metric, PromptText, Suite, SuiteError, TaskKind, TaskSpec, Verdict

_CLOSING = {"“": "”", "「": "」", '"': '"'}
"""A model that only continues text often starts a new line after a colon; after an opened quotation mark it writes a
word."""
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


class RuleTask:
    """A task by its rule. Subclasses say what is filled into the prompt, what is offered, and what an answer is."""

    kind: ClassVar[TaskKind]
    item_kind: ClassVar[str] = ""
    placeholders: ClassVar[tuple[str, ...]] = ()
    """What a prompt of this rule must hold, once each, beside what the kind of item requires."""
    item_kinds: ClassVar[tuple[str, ...]] = ()
    """The kinds of item that the rule can ask about, where there are several."""
    optional: ClassVar[tuple[str, ...]] = ()
    """What a prompt may hold, once each, beside what the kind of item allows."""
    answers: ClassVar[tuple[int, int]] = (0, 0)
    """Fewest and most words for fixed answers (`PromptText.answers`), where the kind of item has none of its own."""

    def __init__(self, suite: Suite, spec: TaskSpec) -> None:
        self.suite = suite
        self.spec = spec

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The figures that it reports."""
        raise NotImplementedError

    def orders(self, item: Item, count: int) -> int:
        """One presentation, where nothing is listed in the prompt."""
        return min(count, 1)

    def options(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """Keys of the options; () for a free answer."""
        return ()

    def option_text(self, item: Item, condition: Condition, key: str) -> str:
        """An option as a person reads it."""
        return key

    def gold(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """Keys of the right answers; () where there is no right one."""
        return ()

    @property
    def parts(self) -> tuple[str, ...]:
        """One question, one answer."""
        return ()

    def asks(self, item: Item, language: str, context: str) -> bool:
        """Any item in any language, as the kinds of item with texts in fixed languages have it."""
        return True

    def scored(self, condition: Condition) -> bool:
        """As the form of the task says."""
        return self.kind == "choice"

    def group(self, item: Item, condition: Condition, verdicts: Mapping[str, Verdict]) -> Verdict:
        """Of a task without parts each verdict stands alone."""
        raise NotImplementedError

    def request(self, item: Item, condition: Condition) -> ChoiceRequest | GenerateRequest:
        """What the engine is asked."""
        raise NotImplementedError

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """What the answer is."""
        raise NotImplementedError

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """The metric's value for a verdict."""
        raise NotImplementedError

    def culture(self, item: Item, condition: Condition) -> tuple[str, str]:
        """The item's own."""
        return item.culture, item.group

    def details(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> Mapping[str, float]:
        """One figure, made of nothing else."""
        return {}

    def choices(self, item: Item) -> int:
        """Among how many canonical answers a random respondent would choose."""
        raise NotImplementedError

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """What stands for each placeholder."""
        raise NotImplementedError

    def prompt_text(self, condition: Condition) -> PromptText:
        """The wording for a condition. Raises SuiteError where the suite has none."""
        wanted = (condition.language, condition.version, condition.context)
        for prompt in self.spec.prompts:
            if (prompt.language, prompt.version, prompt.context) == wanted:
                return prompt
        raise SuiteError(
            f"suite {self.suite.id}, task {self.spec.id}: no prompt in {condition.language or 'no language'}, "
            f"version {condition.version}" + (f", context {condition.context}" if condition.context else "")
        )

    def question(self, item: Item, condition: Condition) -> str:
        """The prompt filled in, in one pass: what is filled in is never searched for placeholders itself."""
        values = self.fill(item, condition)
        text = self.prompt_text(condition).text
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)

    def scored_request(self, item: Item, condition: Condition, continuations: tuple[str, ...]) -> ChoiceRequest:
        """The request for the likelihood of each continuation; in front of each comes the prompt's lead."""
        wording = self.prompt_text(condition)
        text = self.question(item, condition)
        return ChoiceRequest(
            prompt=_prompt(text, condition),
            continuations=tuple(wording.lead + each + wording.tail for each in continuations),
            shared=_PLACEHOLDER.split(wording.text, maxsplit=1)[0],
        )

    def answered_by_score(self, item: Item, condition: Condition, continuations: tuple[str, ...]) -> ChoiceRequest:
        """The likelihood of each continuation as the answer to a question that could be answered in writing, too: plain
        text begins with the solved examples and ends in the cue, as in `written`."""
        wording = self.prompt_text(condition)
        text = self.question(item, condition)
        ahead = ""
        if condition.form == "plain":
            text, ahead = wording.examples + text + wording.cue, wording.examples
        return ChoiceRequest(
            prompt=_prompt(text, condition),
            continuations=tuple(wording.lead + each + wording.tail for each in continuations),
            shared=ahead + _PLACEHOLDER.split(wording.text, maxsplit=1)[0],
        )

    def written(self, item: Item, condition: Condition) -> GenerateRequest:
        """The request for a written answer. Plain text begins with the solved examples and ends in the cue; the answer
        ends with its line, or with the quotation mark that the cue has opened."""
        text = self.question(item, condition)
        stop: tuple[str, ...] = ()
        if condition.form == "plain":
            wording = self.prompt_text(condition)
            cue = wording.cue
            text = wording.examples + text + cue
            stop = ("\n", _CLOSING[cue[-1]]) if cue[-1:] in _CLOSING else ("\n",)
        return GenerateRequest(
            prompt=_prompt(text, condition), sampling=Sampling(max_tokens=self.spec.max_tokens, stop=stop)
        )


def _prompt(text: str, condition: Condition) -> Prompt:
    return (Message("user", text),) if condition.form == "chat" else text


def error(reason: str) -> Verdict:
    """There is no answer, because something failed."""
    return Verdict("error", reason=reason)


def scores_of(answer: Answer, count: int) -> list[float] | Verdict:
    """The options' summed log-probabilities in nats, or the verdict that says why they cannot be compared."""
    if not isinstance(answer, ChoiceScores):
        return error("The engine wrote an answer where scores were asked for.")
    if answer.error:
        return error(f"The options could not be scored: {answer.error}")
    if len(answer.options) != count:
        return error(f"The engine scored {len(answer.options)} options where {count} were asked for.")
    scores = [option.logprob for option in answer.options]
    if not all(-1e6 < score <= 1e-6 for score in scores):
        return error("A score is not a log-probability (not a number, infinite, or above 0).")
    return scores


def text_of(answer: Answer) -> str | Verdict:
    """What was written, or the verdict that says why there is nothing."""
    if not isinstance(answer, Generation):
        return error("The engine returned scores where a written answer was asked for.")
    if answer.finish == "error" or answer.error:
        return error(f"The answer could not be written: {answer.error or 'no reason given'}")
    if answer.finish == "cancelled":
        return error("The answer was cancelled before it was complete.")
    return answer.text


def quote(text: str, limit: int = 40) -> str:
    """A piece of an answer, cut short, for a reason."""
    flat = " ".join(text.split())
    return f"“{flat if len(flat) <= limit else flat[: limit - 1] + '…'}”"
