"""Which websites may stand in the content policy, and that nothing else gets into it."""

import pytest

from modules.core.errors import InvalidRequest
from modules.web.content_policy import MOST_SITES, OPENED, content_policy, read_sites

SITES = ["https://api.github.com", "https://*.example.org", "wss://a.b-c.example:8443"]


def rules(policy: str) -> dict[str, list[str]]:
    return {name: allowed for name, *allowed in (rule.split() for rule in policy.split("; "))}


def test_without_websites_only_what_is_ours_is_loaded() -> None:
    assert not [part for allowed in rules(content_policy()).values() for part in allowed if "/" in part or "*" in part]


def test_websites_may_give_everything_but_scripts() -> None:
    before, after = rules(content_policy()), rules(content_policy(SITES))
    assert before.keys() == after.keys()
    for name, allowed in after.items():
        assert allowed == before[name] + (SITES if name in OPENED else []), name
    assert not {"script-src", "default-src", "worker-src", "object-src", "frame-ancestors"} & OPENED


WRONG = [
    "", "*", "https:", "https://*", "http://example.org", "https://example", "https://example.org/path",
    "https://example.org; script-src *", "https://example.org 'unsafe-eval'", "https://exa mple.org", "data:",
    "https://example.org\nx-header: 1", "https://user@example.org", "https://-a.org", "https://a..org", "javascript:1",
    "https://example.org:123456", "https://*.*.org", "'self'",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_website_is_refused_and_never_stands_in_the_policy(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_sites(["https://good.example.org", text])
    assert [problem.field for problem in caught.value.problems] == ["sites"]
    assert content_policy([text]) == content_policy()


def test_websites_are_kept_once_and_in_small_letters() -> None:
    assert read_sites([" https://API.github.com/ ", "api.github.com", *SITES]) == SITES


def test_there_is_a_limit() -> None:
    sites = [f"https://a{number}.example.org" for number in range(MOST_SITES + 1)]
    assert read_sites(sites[:-1]) == sites[:-1]
    with pytest.raises(InvalidRequest, match="100"):
        read_sites(sites)
