"""Endpoints of your own beside the model, below /models/words/app/: a page for people, and a route for machines."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

app = FastAPI(title="words")

PAGE = """\
<!doctype html>
<title>words</title>
<textarea id="text">How many words are these?</textarea>
<button onclick="count()">count</button> <output id="answer"></output>
<script>
async function count() {
  const inputs = [document.getElementById("text").value];
  const answer = await fetch("/v2/models/words/predict_all",
    {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({inputs})});
  document.getElementById("answer").textContent = (await answer.json()).outputs[0];
}
</script>
"""


class Text(BaseModel):
    text: str


@app.get("/", response_class=HTMLResponse)
def page() -> str:
    """A page that asks the model."""
    return PAGE


@app.post("/clean")
def clean(body: Text) -> dict[str, str]:
    """Whatever belongs beside the model, such as preparing its input."""
    return {"text": " ".join(body.text.split())}
