import jiyuan


def test_the_first_level_is_listed_sorted_and_pinned():
    assert jiyuan.__all__ == ["JiyuanError", "api", "flow", "pack", "pool", "pull", "push", "run"]
    assert all(getattr(jiyuan, name).__doc__ for name in jiyuan.__all__)
