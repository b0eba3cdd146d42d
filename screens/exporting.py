"""Exporting an audit: which format, where to, and never over an existing file without asking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from screens.dialogs import Ask, Choose

if TYPE_CHECKING:
    from screens.frame import Frame

FORMATS = (
    ("html", "Report (HTML): findings, plots, method, examples in one file"),
    ("md", "Report (Markdown): findings, comparisons, warnings"),
    ("json", "Findings, plan and machine (JSON)"),
    ("csv", "Every answer, for a spreadsheet (CSV)"),
    ("jsonl", "Every answer, complete (JSON lines)"),
    ("bundle", "All of it, votes too, to take to another machine (zip)"),
)


def export(screen: Frame, audit: str) -> None:
    """Ask for format and path, then write."""

    def chosen(kind: str | None) -> None:
        if kind is not None:
            ending = "zip" if kind == "bundle" else kind
            start = str(Path.home() / f"culture-workbench-{audit}.{ending}")
            screen.app.push_screen(Ask("Write to", start), lambda path: named(kind, path))

    def named(kind: str, path: str | None) -> None:
        if not path or not path.strip():
            return
        target = Path(path.strip()).expanduser()
        if target.exists():
            screen.confirmed(f"{target} exists. Replace it?", "Replace", lambda: _write(screen, audit, kind, target))
        else:
            _write(screen, audit, kind, target)

    screen.app.push_screen(Choose("Export this audit as", FORMATS), chosen)


def _write(screen: Frame, audit: str, kind: str, target: Path) -> None:
    from workbench.history.bundle import write_bundle
    from workbench.history.export import export_audit
    from workbench.history.rows import HistoryError

    def work() -> None:
        try:
            with screen.core.history() as history:
                if kind == "bundle":
                    write_bundle(history, audit, target)
                else:
                    export_audit(history, audit, kind, target)  # type: ignore[arg-type]
        except (HistoryError, OSError) as error:
            screen.app.call_from_thread(screen.tell, str(error), error=True)
            return
        screen.app.call_from_thread(screen.tell, f"Written to {target}")

    screen.run_worker(work, thread=True, exit_on_error=False)
