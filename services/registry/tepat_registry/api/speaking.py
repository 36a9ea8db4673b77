"""In whose name people say who is who: that of an agency with the right ``merge`` (decision 15)."""

from tepat_registry.handlers import InUse
from tepat_registry.refusals import refusal


def must_be_able_to_say(agency: str, policy: InUse) -> None:
    """Refuse (409) an agency without the right, naming those that have it."""
    able = sorted(id_ for id_, each in policy.index.agencies.items() if "merge" in each.rights)
    if not able:
        raise refusal(409, "nobody_may_say")
    if agency not in able:
        raise refusal(409, "may_not_say", agency=agency, able=", ".join(able))
