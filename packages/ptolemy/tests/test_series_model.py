from __future__ import annotations

from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptolemy.series import open_series
from ptolemy.testing.series import KEY, bars, rows

Key = tuple[str, str]

codes = st.sampled_from(["A.X", "B.X", "C.X"])
days = st.sampled_from(["20240102", "20240103", "20240104", "20240105"])
values = st.none() | st.floats(allow_nan=False, allow_infinity=False)
writes = st.lists(st.dictionaries(st.tuples(codes, days), values, min_size=1), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=writes, asked=st.lists(codes, max_size=3), start=days, end=days)
def test_a_store_holds_what_a_dict_would_and_remembers_every_state(
    writes: list[dict[Key, float | None]], asked: list[str], start: str, end: str
):
    states: list[dict[Key, float | None]] = []
    with TemporaryDirectory() as folder:
        for write in writes:
            # Opened anew each time: nothing may live in the handle alone.
            with open_series(f"arrow://{folder}") as series:
                version = series.upsert("daily", bars(*((*key, value) for key, value in write.items())), key=KEY)
            after = {**(states[-1] if states else {}), **write}
            states += [after] if not states or after != states[-1] else []
            assert (version.id, version.rows) == (len(states), len(after))

        with open_series(f"arrow://{folder}") as series:
            for number, state in enumerate(states, 1):
                expected = sorted((*key, value) for key, value in state.items())
                assert rows(series.read("daily", as_of=number)) == expected
                chosen = [row for row in expected if row[0] in asked and start <= row[1] <= end]
                assert rows(series.read("daily", codes=asked, start=start, end=end, as_of=number)) == chosen
            assert series.verify("daily") == len(states[-1])
