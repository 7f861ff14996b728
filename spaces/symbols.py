"""The symbols `problem` and `target`: any attribute is a name that `Space.on()` binds."""

from .expressions import Symbol


class _Scope:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Symbol:
        if attribute.startswith("_"):  # so that copy, pickle and inspect meet no endless symbol
            raise AttributeError(attribute)
        return Symbol(f"{self._name}.{attribute}")

    def __repr__(self) -> str:
        return f"<the symbols {self._name}.*>"


problem = _Scope("problem")
target = _Scope("target")
