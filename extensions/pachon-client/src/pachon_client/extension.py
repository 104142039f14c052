"""What a shell of IPython is given: the magic `%%adql`, and completion in its cells.

Registering is cheap: what asks the platform is imported when it is first needed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from pachon_client.adql_cell import cell_at
from pachon_client.completion import explain, suggest
from pachon_client.vocabulary import VocabularyShelf, fetch_vocabulary

if TYPE_CHECKING:
    from pachon_client.magic import AdqlMagic

_PATIENCE_S = 0.05
_OPTIONS = ("--name", "--to", "--release", "--maxrec", "--async", "--help")


class AdqlCells:
    """Runs cells of ADQL, completes and explains the words in them.

    Parameters
    ----------
    shell
        IPython's shell.
    """

    def __init__(self, shell: Any) -> None:  # noqa: ANN401 -- IPython is untyped here
        self._shell = shell
        self._vocabulary = VocabularyShelf(fetch_vocabulary)

    @cached_property
    def _magic(self) -> AdqlMagic:
        from pachon_client.magic import AdqlMagic  # noqa: PLC0415 -- takes long, and most kernels never need it

        return AdqlMagic(self._shell)

    def adql(self, line: str, cell: str) -> None:
        """Run the ADQL query of a cell; `%%adql --help` lists the options."""
        self._magic.adql(line, cell)

    @context_matcher(identifier="pachon_adql", priority=1_000)  # type: ignore[untyped-decorator]
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Words for the cursor in a cell of ADQL, and no others: to IPython the cell would be Python."""
        offset = context.cursor_position + sum(
            len(line) + 1 for line in context.full_text.split("\n")[: context.cursor_line]
        )
        cell = cell_at(context.full_text, offset)
        if cell is None:
            return SimpleMatcherResult(completions=[])
        found = suggest(cell, self._vocabulary.get(patience_s=_PATIENCE_S), _OPTIONS)
        # The word as it stands when there is no other: with none at all IPython would go on to look in Python.
        offered = [SimpleCompletion(each.text, type=each.kind) for each in found] or [SimpleCompletion(cell.typed)]
        return SimpleMatcherResult(completions=offered, matched_fragment=cell.typed, suppress=True, ordered=True)

    def explain(self, text: str, offset: int) -> str | None:
        """What the word there means; None if the cell is not ADQL."""
        cell = cell_at(text, offset)
        return None if cell is None else explain(cell, self._vocabulary.get(patience_s=_PATIENCE_S))


def register(shell: Any) -> None:  # noqa: ANN401 -- IPython is untyped here
    """Give a shell the magic `%%adql` and the completion of its cells, once."""
    if "adql" in shell.magics_manager.magics["cell"]:
        return
    cells = AdqlCells(shell)
    shell.register_magic_function(cells.adql, "cell", "adql")
    shell.Completer.custom_matchers.append(cells.match)
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        kernel.do_inspect = _inspector(cells, kernel.do_inspect)


def _inspector(cells: AdqlCells, of_python: Any) -> Any:  # noqa: ANN401 -- ipykernel's method
    """Explains words of ADQL where a front end asks about them; all else is asked of the kernel as before."""

    def do_inspect(code: str, cursor_pos: int, *given: Any, **named: Any) -> Any:  # noqa: ANN401 -- passed on
        told = cells.explain(code, cursor_pos)
        if told is None:
            return of_python(code, cursor_pos, *given, **named)
        return {"status": "ok", "found": bool(told), "data": {"text/plain": told} if told else {}, "metadata": {}}

    return do_inspect
