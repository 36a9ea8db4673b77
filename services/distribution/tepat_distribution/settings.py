"""The distribution service's settings."""

from pydantic import Field
from tepat_chassis.settings import DatabaseUrl, ServiceSettings


class DistributionSettings(ServiceSettings):
    """Settings of every service, and the database of this one (TEPAT_DISTRIBUTION_URL)."""

    service = "distribution"

    distribution_url: DatabaseUrl = Field(description="database of the distribution service")
