"""The tasks: for each rule that a suite can name, the code that asks and judges."""

from __future__ import annotations

import difflib

from suites.base import Suite, SuiteError, Task
from suites.tasks.agreement import AgreementAnswer, AgreementRating
from suites.tasks.common import RuleTask
from suites.tasks.culture_choice import CultureDefault, CultureNamed
from suites.tasks.name_choice import NameChoice
from suites.tasks.name_likelihood import NameLikelihood
from suites.tasks.number_answer import NumberAnswer
from suites.tasks.option_answer import OptionAnswer
from suites.tasks.option_choice import OptionChoice
from suites.tasks.option_judgements import OptionJudgements
from suites.tasks.term_answer import TermAnswer
from suites.tasks.term_likelihood import TermLikelihood
from suites.tasks.twin_association import TwinAssociation

Rule = type[RuleTask]

RULES: dict[str, Rule] = {
    "regional-term-likelihood": TermLikelihood,
    "regional-term-answer": TermAnswer,
    "name-choice": NameChoice,
    "name-likelihood": NameLikelihood,
    "option-choice": OptionChoice,
    "culture-default": CultureDefault,
    "culture-named": CultureNamed,
    "option-judgements": OptionJudgements,
    "option-answer": OptionAnswer,
    "agreement-rating": AgreementRating,
    "agreement-answer": AgreementAnswer,
    "twin-association": TwinAssociation,
    "number-answer": NumberAnswer,
}


def task_for(suite: Suite, task_id: str) -> Task:
    """The task of that id. Raises SuiteError for an unknown task or rule, with the nearest names."""
    try:
        spec = suite.task(task_id)
    except KeyError:
        known = [spec.id for spec in suite.tasks]
        raise SuiteError(f"suite {suite.id} has no task {task_id[:64]!r}{_nearest(task_id, known)}") from None
    rule = RULES.get(spec.rule)
    if rule is None:
        raise SuiteError(
            f"suite {suite.id}, task {spec.id}: unknown rule {spec.rule[:64]!r}{_nearest(spec.rule, RULES)}"
        )
    return rule(suite, spec)


def _nearest(name: str, known: list[str] | dict[str, Rule]) -> str:
    close = difflib.get_close_matches(name[:64], list(known), n=2, cutoff=0.4)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there is {', '.join(known)}"
