"""The README names every command, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import click

from workbench.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def commands(group: click.Group, context: click.Context) -> dict[str, click.Command]:
    """The commands of a group, by name."""
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def documented(group: str) -> set[str]:
    """What the README's list of commands says of a group."""
    (line,) = re.findall(rf"^culture-workbench {group} +(.*)$", README, re.MULTILINE)
    return set(line.split(", "))


def test_every_command_stands_in_the_readme() -> None:
    context = click.Context(main)
    for name, command in commands(main, context).items():
        assert f"culture-workbench {name}" in README
        if isinstance(command, click.Group):
            assert documented(name) == set(command.list_commands(context))


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_pictures_of_the_readme_are_there() -> None:
    for picture in re.findall(r"\]\((assets/[^)]+)\)", README):
        assert (Path(__file__).parents[2] / picture).exists(), picture
