"""The eligibility service's settings."""

from pydantic import Field
from tepat_chassis.settings import DatabaseUrl, ServiceSettings


class EligibilitySettings(ServiceSettings):
    """Settings of every service, and the database of this one (TEPAT_ELIGIBILITY_URL)."""

    service = "eligibility"

    eligibility_url: DatabaseUrl = Field(description="database of the eligibility service")
