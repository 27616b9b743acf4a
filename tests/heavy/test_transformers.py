"""Hugging Face folders: tiny models with random weights and a made-up vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

transformers = pytest.importorskip("transformers")

from shoal.control.folder import scan  # noqa: E402
from shoal.core.errors import ConfigError, InvalidInput  # noqa: E402
from shoal.core.model import ModelSpec  # noqa: E402
from shoal.serving.adapters.catalog import create_adapter  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "day", "night", "the"]
SIZES = {
    "vocab_size": len(WORDS),
    "dim": 16,
    "n_layers": 1,
    "n_heads": 2,
    "hidden_dim": 16,
    "max_position_embeddings": 16,
}


def save(folder: Path, kind: str) -> Path:
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    getattr(transformers, kind)(transformers.DistilBertConfig(**SIZES)).save_pretrained(folder)
    return folder


def texts(*given: str) -> np.ndarray[Any, Any]:
    return np.array([each.encode() for each in given], dtype=object)


def load(path: Path, **fields: Any) -> Any:
    adapter = create_adapter(ModelSpec(name="m", path=str(path), runtime="transformers", **fields))
    adapter.load()
    return adapter


def test_folder_needs_no_settings(tmp_path: Path) -> None:
    folder = save(tmp_path / "mood", "DistilBertForSequenceClassification")
    (spec,) = scan([tmp_path]).specs
    assert spec.runtime == "transformers"
    adapter: Any = create_adapter(spec)
    adapter.load()
    answers = [json.loads(each) for each in adapter.predict({"any": texts("good day", "bad")})["predict"]]
    direct = transformers.pipeline("text-classification", model=str(folder))(["good day", "bad"])
    assert [each["label"] for each in answers] == [each["label"] for each in direct]
    assert [each["score"] for each in answers] == pytest.approx([each["score"] for each in direct], rel=1e-4)


def test_batch_gives_what_one_by_one_gives(tmp_path: Path) -> None:
    adapter = load(save(tmp_path / "mood", "DistilBertForSequenceClassification"))
    given = ["good", "bad night the day", "the"]
    together = list(adapter.predict({"x": texts(*given)})["predict"])
    single = [adapter.predict({"x": texts(each)})["predict"][0] for each in given]
    for one, other in zip(together, single, strict=True):
        assert json.loads(one)["score"] == pytest.approx(json.loads(other)["score"], rel=1e-4)


def test_task_and_options_are_parameters(tmp_path: Path) -> None:
    folder = save(tmp_path / "mask", "DistilBertForMaskedLM")
    adapter = load(folder, parameters={"task": "fill-mask", "top_k": 2})
    (answer,) = adapter.predict({"x": texts("good [MASK]")})["predict"]
    assert len(json.loads(answer)) == 2
    adapter = load(folder, parameters={"output": "text", "top_k": 1})
    (answer,) = adapter.predict({"x": texts("good [MASK]")})["predict"]
    assert answer.startswith(b"good")


def test_no_code_settings_of_another_server_work(tmp_path: Path) -> None:
    folder = tmp_path / "mood"
    folder.mkdir()
    save(folder / "weights", "DistilBertForSequenceClassification")
    settings = {
        "name": "transformer",
        "implementation": "mlserver_huggingface.HuggingFaceRuntime",
        "parallel_workers": 0,
        "parameters": {"extra": {"task": "text-classification", "pretrained_model": "weights"}},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    (spec,) = scan([tmp_path]).specs
    adapter: Any = create_adapter(spec)
    adapter.load()
    assert json.loads(adapter.predict({"x": texts("good")})["predict"][0])["label"].startswith("LABEL_")


def test_tasks_of_several_things_take_json(tmp_path: Path) -> None:
    folder = save(tmp_path / "zero", "DistilBertForSequenceClassification")
    adapter = load(folder, parameters={"task": "zero-shot-classification"})
    asked = json.dumps({"sequences": "good day", "candidate_labels": ["day", "night"]})
    (answer,) = adapter.predict({"x": texts(asked)})["predict"]
    assert sorted(json.loads(answer)["labels"]) == ["day", "night"]
    for wrong in ("not json", "[1]"):
        with pytest.raises(InvalidInput, match="JSON object"):
            adapter.predict({"x": texts(wrong)})


def test_text_is_generated(tmp_path: Path) -> None:
    folder = save(tmp_path / "gpt", "DistilBertForMaskedLM")
    config = transformers.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, n_positions=32)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    adapter = load(folder, parameters={"max_new_tokens": 3, "do_sample": False, "output": "text"})
    answers = adapter.predict({"x": texts("good day", "bad")})["predict"]
    assert adapter.task == "text-generation"
    assert answers[0].startswith(b"good day")
    assert len(answers) == 2


def test_task_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    folder = save(tmp_path / "x", "DistilBertForSequenceClassification")
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["Strange"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="cannot be told"):
        load(folder)


def test_code_of_a_model_is_not_run(tmp_path: Path) -> None:
    folder = save(tmp_path / "x", "DistilBertForSequenceClassification")
    canary = tmp_path / "canary"
    (folder / "modeling_evil.py").write_text(f"open({str(canary)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForSequenceClassification": "modeling_evil.Evil", "AutoConfig": "modeling_evil.C"}
    config["model_type"] = "evil"
    (folder / "config.json").write_text(json.dumps(config))
    for parameters in ({}, {"trust_remote_code": True}):
        with pytest.raises(ConfigError, match="no pipeline"):
            load(folder, parameters=parameters)
    assert not canary.exists()
