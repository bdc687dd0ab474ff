"""EDU as a local stand-in: fakesnow's HTTP server with the staging tables that Runway reads.

fakesnow implements Snowflake's protocol in front of DuckDB. Runway reaches it with the real
connector and a key pair created for the purpose. It runs as a separate process,
``runway.sandbox.edu_server``, since fakesnow holds its databases in module globals.
"""

import argparse
import base64
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from runway.sandbox.population import UNKNOWN, Student, students

USER, ACCOUNT, ROLE, WAREHOUSE = "RUNWAY_SANDBOX", "sandbox", "RUNWAY", "RUNWAY_WH"
DATABASE, SCHEMA = "EDU_SANDBOX", "STAGING"
STATE, LOCAL = "State", "Local"

START_TIMEOUT = 60.0
"""In seconds. Importing fakesnow takes a few of them."""


class Association(NamedTuple):
    """A row of stg_ef3__student_education_organization_associations."""

    tenant_code: str
    api_year: int
    k_student: str
    k_student_xyear: str
    student_unique_id: str | None
    ed_org_id: int | None


class Code(NamedTuple):
    """A row of stg_ef3__stu_ed_org__identification_codes."""

    k_student: str
    id_system: str | None
    id_code: str | None


class Name(NamedTuple):
    """A row of stg_ef3__students."""

    tenant_code: str
    api_year: int
    k_student: str
    first_name: str | None
    middle_name: str | None
    last_name: str | None
    birth_date: str | None


def associations(population: Iterable[Student] | None = None) -> list[Association]:
    """Return a row for each student and school year, except for students on no roster."""
    return [
        Association(
            student.tenant,
            year,
            f"{student.tenant}-{student.unique_id}-{year}",
            f"{student.tenant}-{student.unique_id}",
            student.unique_id,
            student.ed_org_id,
        )
        for student in _known(population)
        for year in student.years
    ]


def codes(population: Iterable[Student] | None = None) -> list[Code]:
    """Return the State and Local IDs of each student and school year, if any."""
    return [
        Code(f"{student.tenant}-{student.unique_id}-{year}", system, code)
        for student in _known(population)
        for year in student.years
        for system, code in ((STATE, student.state_id), (LOCAL, student.local_id))
        if code
    ]


def names(population: Iterable[Student] | None = None) -> list[Name]:
    """Return the name and birth date of each student and school year."""
    return [
        Name(
            student.tenant,
            year,
            f"{student.tenant}-{student.unique_id}-{year}",
            student.first_name,
            None,
            student.last_name,
            student.birth_date.isoformat(),
        )
        for student in _known(population)
        for year in student.years
    ]


def _known(population: Iterable[Student] | None) -> Iterator[Student]:
    everybody = students() if population is None else population
    return (student for student in everybody if student.group != UNKNOWN)


def generate_key() -> rsa.RSAPrivateKey:
    """Generate a key pair as a partner would for Runway."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def encode_key(key: rsa.RSAPrivateKey) -> str:
    """Return the key as credentials store it: the base64 of its PEM."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return base64.b64encode(pem).decode()


Seed = (
    tuple[Sequence[Association], Sequence[Code]]
    | tuple[Sequence[Association], Sequence[Code], Sequence[Name]]
)


class SandboxEdu:
    """The stand-in as a child process and context manager.

    ``seed`` replaces the population's rows: associations, codes, and names. Without names, there is
    no table of them.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: Seed | None = None,
        log: Path | None = None,
    ) -> None:
        self.port = port
        self.key = generate_key()
        self._seed = seed
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="sandbox-edu-")

    def environment(self) -> dict[str, str]:
        """Return the variables that connect Runway to this EDU, with RUNWAY_ENV=development."""
        values = {**self.credentials(), "private_key": encode_key(self.key)}
        return {f"EDU_SNOWFLAKE_{name.upper()}": value for name, value in values.items()}

    def credentials(self) -> dict[str, str]:
        """Return the same without the key, by their names in ``settings.EDU_SNOWFLAKE``."""
        return {
            "username": USER,
            "account": ACCOUNT,
            "database": DATABASE,
            "schema": SCHEMA,
            "warehouse": WAREHOUSE,
            "role": ROLE,
            "host": "127.0.0.1",
            "port": str(self.port),
            "protocol": "http",
        }

    def start(self) -> "SandboxEdu":
        """Start the process and wait until it responds.

        Raises RuntimeError with the end of its output if it does not start.
        """
        directory = Path(self._directory.name)
        public_key = directory / "key.pub"
        public_key.write_bytes(
            self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        command = [sys.executable, "-m", "runway.sandbox.edu_server", "--port", str(self.port)]
        command += ["--public-key", str(public_key)]
        if self._seed is not None:
            seed = directory / "seed.json"
            seed.write_text(json.dumps(self._seed))
            command += ["--seed", str(seed)]
        log = self._log or directory / "edu.log"
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for the parent, which ends this one in order
            )
        giving_up = threading.Timer(START_TIMEOUT, self._process.kill)
        giving_up.start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        giving_up.cancel()
        if not line.startswith(b"ready "):
            self.stop()
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the EDU stand-in did not start:\n{tail}")
        self.port = int(line.split()[1])
        return self

    def stop(self) -> None:
        """End the process and wait for it. Does nothing if it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> "SandboxEdu":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._directory.cleanup()


def main() -> None:
    """Serve until Ctrl-C, and print the variables for .env."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    with SandboxEdu(port=parser.parse_args().port) as edu:
        print("RUNWAY_ENV=development")
        for name, value in edu.environment().items():
            print(f"{name}={value}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
