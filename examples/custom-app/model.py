"""The model: how many words a text has."""

from shoal import Model


class Words(Model):
    def predict_all(self, inputs: list[str]) -> list[str]:
        return [str(len(text.split())) for text in inputs]
