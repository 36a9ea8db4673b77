"""Who may ask the registry."""

from typing import Annotated

from fastapi import Depends
from tepat_chassis.auth import Person, Right, needs

Reader = Annotated[Person, Depends(needs(Right.read))]
