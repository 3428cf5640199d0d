"""Seeded bugs by name: the product's code is changed from outside for one run, and the run must see it.

Promises: the product carries no switches; a mutant is a function that patches classes and modules of the
product through `Patches`, and everything is as before when its run is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self


class Patches:
    """Attributes that are set for a while."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for owner, name, original in reversed(self._before):
            setattr(owner, name, original)

    def replace(self, owner: Any, name: str, made: Any) -> None:
        """Set an attribute of a class or module."""
        self._before.append((owner, name, vars(owner)[name]))
        setattr(owner, name, made)

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Set an attribute to `make(original)`."""
        self.replace(owner, name, make(vars(owner)[name]))


class Mutant(NamedTuple):
    """`apply(patches)` breaks the product; `hints`: faults that may show it; `missing`: why not yet."""

    name: str
    text: str
    apply: Callable[[Patches], None]
    hints: tuple[str, ...] = ()
    missing: str = ""


_MUTANTS: dict[str, Mutant] = {}


def mutant(
    text: str, *hints: str, missing: str = ""
) -> Callable[[Callable[[Patches], None]], Callable[[Patches], None]]:
    """Make a function a mutant under its own name."""

    def add(apply: Callable[[Patches], None]) -> Callable[[Patches], None]:
        name = apply.__name__
        _MUTANTS[name] = Mutant(name, text, apply, hints, missing)
        return apply

    return add


def mutants() -> dict[str, Mutant]:
    """Every mutant by name."""
    from scripts.sim.mutants import (  # noqa: F401 - they fill the list
        of_a_restore,
        of_baskets,
        of_the_cloud,
        of_the_device,
        of_the_wire,
    )

    return _MUTANTS


@contextmanager
def switched_on(name: str) -> Iterator[None]:
    """The product with that bug, or as it is for an empty name; KeyError when there is no such mutant."""
    with Patches() as patches:
        if name:
            mutants()[name].apply(patches)
        yield


class Overlay:
    """A module with some names changed, for one importer of it only."""

    def __init__(self, module: Any, **changed: Any) -> None:
        self._module = module
        self.__dict__.update(changed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
