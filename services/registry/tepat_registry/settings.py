"""The registry service's settings."""

from pydantic import Field
from tepat_chassis.settings import DatabaseUrl, ServiceSettings


class RegistrySettings(ServiceSettings):
    """Settings of every service, and the database of this one (TEPAT_REGISTRY_URL)."""

    service = "registry"

    registry_url: DatabaseUrl = Field(description="database of the registry service")
    batch_records: int = Field(4000, ge=1, le=100_000, description="most records taken in one transaction")
