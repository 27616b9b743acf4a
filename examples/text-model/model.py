"""Dates as people write them become ISO dates: a list of strings in, a list of the same length and order out."""

from datetime import datetime

from shoal import ItemError, Model


class Dates(Model):
    def load(self) -> None:
        self.formats = list(self.parameters["formats"])

    def predict_all(self, inputs: list[str]) -> list[str | ItemError]:
        return [self.iso(text) for text in inputs]

    def iso(self, text: str) -> str | ItemError:
        for form in self.formats:
            try:
                return datetime.strptime(text.strip(), form).date().isoformat()
            except ValueError:
                continue
        return ItemError(f"{text[:40]!r} is no date that is understood", hint=f"write it as one of {self.formats}")
