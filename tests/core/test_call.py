from hypothesis import given
from hypothesis import strategies as st

from shoal.core.call import Call, Format
from shoal.core.errors import Cancelled, ShoalError


class Recorded(Call):
    __slots__ = ("outcomes",)

    def __init__(self) -> None:
        super().__init__(Format.V2_JSON, b"", arrived=0, deadline=1)
        self.outcomes: list[object] = []

    def on_answer(self, body: bytes, json_length: int) -> None:
        self.outcomes.append(body)

    def on_error(self, error: ShoalError) -> None:
        self.outcomes.append(error)


@given(st.lists(st.sampled_from(["answer", "fail", "cancel"]), min_size=1))
def test_a_call_has_exactly_one_outcome(steps: list[str]) -> None:
    call = Recorded()
    act = {"answer": lambda: call.answer(b"", -1), "fail": lambda: call.fail(Cancelled("x")), "cancel": call.cancel}
    accepted = [act[step]() for step in steps]
    assert accepted == [True] + [False] * (len(steps) - 1)
    assert len(call.outcomes) == (0 if steps[0] == "cancel" else 1)
