"""How many messages a commit waits for: a flow gathers, and a client that waits for its answer is not slowed."""

from ingest.group_commit import Expectation

PACE_MS = 5.0


def late_commits(answers_awaited: int, commits: int, expects: Expectation | None = None) -> int:
    """How many of so many commits were waited for in vain, where clients send so many and then wait."""
    expects, late = expects or Expectation(), 0
    for _ in range(commits):
        in_vain = answers_awaited < expects.count
        late += in_vain
        expects.judge(answers_awaited, late=in_vain)
    return late


def test_a_client_that_waits_for_each_answer_is_waited_for_now_and_then_only() -> None:
    assert late_commits(1, 1000) < 25
    assert late_commits(20, 1000) < 30


def test_expecting_always_more_would_be_found() -> None:
    class Greedy(Expectation):
        def judge(self, came: int, *, late: bool) -> None:
            self.count = came + 1 + (late and came)

    assert late_commits(1, 1000, Greedy()) > 900


def test_a_flow_is_gathered_up_to_the_pace() -> None:
    expects, per_ms = Expectation(), 5.0
    for _ in range(100):
        waited_ms = min(PACE_MS, expects.count / per_ms)
        came = max(1, int(waited_ms * per_ms))
        expects.judge(came, late=waited_ms >= PACE_MS)
    assert 20 <= came <= 25


def test_a_flow_that_ends_is_forgotten_with_the_first_wait_in_vain() -> None:
    expects = Expectation()
    for _ in range(20):
        expects.judge(max(expects.count, 40), late=False)
    expects.judge(2, late=True)
    assert expects.count == 2


def test_naps_grow_to_what_a_flow_takes_and_shrink_where_one_is_too_long() -> None:
    expects = Expectation()
    shortest_s = expects.nap_s
    for _ in range(4):
        expects.nap()
    expects.judge(5, late=False)
    assert expects.nap_s == 4 * shortest_s
    for _ in range(100):
        expects.nap()
        expects.judge(5, late=False)
    assert expects.nap_s == shortest_s
