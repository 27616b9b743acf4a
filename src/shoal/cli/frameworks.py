"""What `shoal init` knows of each framework: how a small model is trained, saved, loaded and asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Framework:
    """Pieces of code, put into the templates as they are.

    Attributes:
        artifact: the file that training writes.
        requirements: what `pip install` needs besides Shoal.
        code: whether loading the artifact can run code (so `trust: code` is needed).
        train_imports, train: the lines of `train.py`.
        load_imports, load, predict: the lines of a low-code `model.py`; `rows` is the stacked input.
    """

    artifact: str
    requirements: tuple[str, ...]
    code: bool
    train_imports: str
    train: str
    load_imports: str
    load: str
    predict: str


FRAMEWORKS: dict[str, Framework] = {
    "sklearn": Framework(
        artifact="model.joblib",
        requirements=("scikit-learn", "joblib"),
        code=True,
        train_imports="import joblib\nfrom sklearn.linear_model import LogisticRegression",
        train='joblib.dump(LogisticRegression(max_iter=500).fit(x, y), HERE / "model.joblib")',
        load_imports="import joblib",
        load='self.model = joblib.load(self.path / "model.joblib")',
        predict='return {"label": self.model.predict(rows)}',
    ),
    "xgboost": Framework(
        artifact="model.ubj",
        requirements=("xgboost", "scikit-learn"),
        code=False,
        train_imports="import xgboost",
        train=(
            'options = {"objective": "multi:softprob", "num_class": 3, "nthread": 1}\n'
            "booster = xgboost.train(options, xgboost.DMatrix(x, y), num_boost_round=20)\n"
            'booster.save_model(HERE / "model.ubj")'
        ),
        load_imports="import xgboost",
        load='self.model = xgboost.Booster(model_file=self.path / "model.ubj")',
        predict='return {"label": self.model.inplace_predict(rows).argmax(axis=1)}',
    ),
    "lightgbm": Framework(
        artifact="model.txt",
        requirements=("lightgbm", "scikit-learn"),
        code=False,
        train_imports="import lightgbm",
        train=(
            'options = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}\n'
            "booster = lightgbm.train(options, lightgbm.Dataset(x, y), num_boost_round=20)\n"
            'booster.save_model(HERE / "model.txt")'
        ),
        load_imports="import lightgbm",
        load='self.model = lightgbm.Booster(model_file=self.path / "model.txt")',
        predict='return {"label": self.model.predict(rows, num_threads=1).argmax(axis=1)}',
    ),
    "onnx": Framework(
        artifact="model.onnx",
        requirements=("onnxruntime", "skl2onnx", "scikit-learn"),
        code=False,
        train_imports="from skl2onnx import to_onnx\nfrom sklearn.linear_model import LogisticRegression",
        train=(
            "model = LogisticRegression(max_iter=500).fit(x, y)\n"
            'exported = to_onnx(model, x[:1].astype("float32"), options={"zipmap": False}, target_opset=17)\n'
            '(HERE / "model.onnx").write_bytes(exported.SerializeToString())'
        ),
        load_imports="import onnxruntime",
        load=(
            "options = onnxruntime.SessionOptions()\n"
            "options.intra_op_num_threads = 1\n"
            'self.model = onnxruntime.InferenceSession(self.path / "model.onnx", options)'
        ),
        predict='return {"label": self.model.run(["label"], {"X": rows.astype("float32")})[0]}',
    ),
    "torch": Framework(
        artifact="model.pt",
        requirements=("torch", "scikit-learn"),
        code=False,
        train_imports="import torch",
        train=(
            "torch.manual_seed(0)\n"
            "net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))\n"
            "rows, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)\n"
            "optimizer = torch.optim.Adam(net.parameters(), lr=0.02)\n"
            "for _ in range(200):\n"
            "    optimizer.zero_grad()\n"
            "    torch.nn.functional.cross_entropy(net(rows), labels).backward()\n"
            "    optimizer.step()\n"
            'torch.jit.trace(net.eval(), rows[:1]).save(str(HERE / "model.pt"))'
        ),
        load_imports="import torch",
        load='self.model = torch.jit.load(str(self.path / "model.pt"))',
        predict=(
            "with torch.no_grad():\n"
            '    scores = self.model(torch.from_numpy(np.ascontiguousarray(rows, dtype="float32")))\n'
            'return {"label": scores.argmax(dim=1).numpy()}'
        ),
    ),
}
