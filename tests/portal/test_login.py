from datetime import UTC, datetime

from pachon.identity.models import Principal
from pachon.portal.login import NOT_A_HOLDER
from pachon.rights.models import Access
from pachon.rights.policy import RightsPolicy


def test_the_login_refuses_in_the_words_of_the_policy() -> None:
    visitor = Principal("visitor")
    decision = RightsPolicy(frozenset({"rights-holders"})).decide(visitor, Access.PORTAL, at=datetime.now(UTC))
    assert decision.reason == NOT_A_HOLDER
