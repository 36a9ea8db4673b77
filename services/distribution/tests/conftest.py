"""A distribution service in this process, on a real broker and a real database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tepat_chassis import kafka as chassis_kafka
from tepat_contracts import topics
from tepat_contracts.policy import from_document
from tepat_demo import oracle
from tepat_distribution.app import build
from tepat_distribution.settings import DistributionSettings

POLICY = {
    "version": "t-1",
    "agencies": [
        {"id": "dinsos", "name": "Dinsos", "trust_rank": 2, "programmes": ["PKH", "SB"], "rights": ["merge"]},
        {"id": "himbara", "name": "Himbara", "trust_rank": 3, "programmes": ["BPNT"]},
        {"id": "dpmd", "name": "DPMD", "programmes": ["BLT-DD"]},
    ],
    "programmes": [
        {"code": code, "name": {"id": code, "en": code}, "unit": "household", "repeatable": code == "SB"}
        for code in ("PKH", "BPNT", "BLT-DD", "SB")
    ],
    "overlap_rules": [
        {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "review"},
        {"id": "pkh-blt", "programmes": ["BLT-DD", "PKH"], "scope": "household", "verdict": "exclusive"},
        {"id": "sb-any", "programmes": ["SB", "PKH"], "scope": "household", "verdict": "complementary"},
    ],
}
