"""A stand-in for an Ed-Fi ODS, for the demo and for tests."""

from runway.sandbox.ods.faults import Faults
from runway.sandbox.ods.server import SandboxOds

__all__ = ["Faults", "SandboxOds"]
