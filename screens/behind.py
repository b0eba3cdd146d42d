"""Work behind a screen: in a thread, its result drawn in the screen's own time, its errors said in one line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from textual.worker import get_current_worker

from engines.base import EngineError
from workbench.audits.errors import AuditError

if TYPE_CHECKING:
    from screens.frame import Frame

T = TypeVar("T")


def behind(
    screen: Frame,
    call: Callable[[], T],
    then: Callable[[T], None],
    *,
    failed: Callable[[str], None] | None = None,
    latest: str = "",
) -> None:
    """Call in a thread; then `then` gets the result, or `failed` (else a toast) one line on what was wrong.

    Of the calls with the same `latest` only the newest is heard of; every other call is.
    """
    complain = failed or partial(screen.tell, error=True)

    def work() -> None:
        from workbench.history.rows import HistoryError

        worker = get_current_worker()
        try:
            heard = partial(then, call())
        except (HistoryError, AuditError, EngineError, OSError) as error:
            heard = partial(complain, str(error))
        except Exception as error:
            # A bug must be seen, not swallowed: the log has its traceback, the screen its line.
            logging.getLogger("culture-workbench").exception("%s", type(screen).__name__)
            heard = partial(complain, f"{type(error).__name__}: {error} (the log has more: F12)")
        # Not `call_from_thread`, which waits: the screen may be gone, and then nobody wants to know.
        if not (latest and worker.is_cancelled):
            screen.call_later(heard)

    screen.run_worker(work, thread=True, exclusive=bool(latest), group=latest or "behind", exit_on_error=False)
