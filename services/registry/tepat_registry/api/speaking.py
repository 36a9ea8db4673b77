"""In whose name people say who is who: that of an agency with the right ``merge`` (decision 15)."""

from fastapi import HTTPException

from tepat_registry.handlers import InUse


def must_be_able_to_say(agency: str, policy: InUse) -> None:
    """Refuse (409) an agency without the right, naming those that have it."""
    able = sorted(id_ for id_, each in policy.index.agencies.items() if "merge" in each.rights)
    if agency not in able:
        raise HTTPException(409, f"that agency may not say so; these may: {', '.join(able) or 'none'}")
