"""Inside the machine: the world around Runway, then the steps of docs/deploy.md, in order.

Started by test_deployment.py as a program. It says each step that it has taken, and ends with exit
status 0 if all of them came out as the document says.
"""

import argparse
import fcntl
import json
import os
import secrets
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import requests
from cryptography.fernet import Fernet
from moto.server import ThreadedMotoServer

from runway import aws
from runway.sandbox.bundle_repository import create_bundle_repository
from runway.sandbox.edu import ACCOUNT as EDU_ACCOUNT
from runway.sandbox.edu import SandboxEdu, encode_key
from runway.sandbox.input_files import write_interim_file
from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import students
from tests import images
from tests.aws import ACCOUNT, make_cluster, make_network
from tests.deployment import document

ADDRESS = "10.20.0.1"
REGION = "us-east-1"
BUCKET = "runway-files"
RUNWAY, ODS, EDU = "runway.example.org", "ods.example.org", f"{EDU_ACCOUNT}.snowflakecomputing.com"
AWS = [
    f"{service}.{REGION}.amazonaws.com"
    for service in ("ec2", "ecs", "events", "secretsmanager", "ssm", "sts")
] + ["s3.amazonaws.com", f"{BUCKET}.s3.amazonaws.com"]
NAMES = [RUNWAY, ODS, EDU, *AWS]
"""All lead to this machine's one address, where nginx tells them apart."""

IN_AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""In place of the role of a machine or task."""

PARTNER = """
from earthbeam.models import Bundle
from partners.models import OdsConnection, Partner, SchoolYear, SchoolYearConfig, Tenant
partner = Partner.objects.create(id="ea", name="Agency", cross_year_match_enabled=True)
tenant = Tenant.objects.create(partner=partner, code="grand_bend", name="Grand Bend ISD")
year = SchoolYear.objects.create(id="2526", start_year=2025, end_year=2026)
SchoolYearConfig.objects.create(partner=partner, school_year=year)
connection = OdsConnection(tenant=tenant, school_year=year, url="https://{ods}",
    client_id="{client_id}", client_secret="{client_secret}")
connection.full_clean()
connection.save()
partner.bundles.set(Bundle.objects.all())
"""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def take_address() -> None:
    """Give the loopback device a private address: production connects to no ODS at 127.0.0.1."""
    siocsifaddr = 0x8916
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        address = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(ADDRESS))
        fcntl.ioctl(any_socket, siocsifaddr, struct.pack("16s16s", b"lo:1", address))


@contextmanager
def nginx(logs: Path, **upstreams: int) -> Iterator[None]:
    """ops/nginx.conf, word for word, and beside it the stand-ins, each by its name."""
    others = {ODS: upstreams["ods"], EDU: upstreams["edu"], " ".join(AWS): upstreams["aws"]}
    blocks = [
        f"server {{ listen 443 ssl; server_name {names}; client_max_body_size 0; "
        "ssl_certificate /etc/nginx/runway.pem; ssl_certificate_key /etc/nginx/runway.key; "
        f"location / {{ proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1; "
        'proxy_set_header Host $host; proxy_set_header Connection ""; }}'
        for names, port in others.items()
    ]
    Path("/etc/nginx/conf.d/world.conf").write_text(
        "server_names_hash_bucket_size 128;\n" + "\n".join(blocks)
    )
    Path("/etc/nginx/nginx.conf").write_text(
        "user root root;\ndaemon off;\nmaster_process off;\npid /run/nginx.pid;\nevents {}\n"
        "http { include /etc/nginx/conf.d/*.conf; }\n"
    )
    Path("/var/log/nginx").mkdir()
    with running("nginx", ("nginx", "-e", str(logs / "nginx-errors.log")), logs, {}):
        yield


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    logs: Path,
    variables: dict[str, str],
    cwd: Path = Path("/"),
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that stays until the end, with its log."""
    with (logs / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin", **variables},
            cwd=cwd,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
        assert process.poll() is None, f"{name} has ended"
    finally:
        process.terminate()
        process.wait(60)


class Fargate:
    """Runs the executor's image for each task that ECS was asked for, until it has ended."""

    def __init__(self, image: Path, variables: dict[str, str], logs: Path) -> None:
        self._image, self._variables, self._logs = image, variables, logs
        self._over = threading.Event()
        self.started: list[dict[str, str]] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Fargate":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        from moto.ecs.models import ecs_backends

        done = set()
        while not self._over.wait(0.1):
            tasks = ecs_backends[ACCOUNT][REGION].tasks.get("prod", {})
            for arn, task in list(tasks.items()):
                if arn not in done:
                    done.add(arn)
                    self._execute(task)

    def _execute(self, task: object) -> None:
        (container,) = task.overrides["containerOverrides"]  # type: ignore[attr-defined]
        overrides = {entry["name"]: entry["value"] for entry in container["environment"]}
        self.started.append(overrides)
        with (self._logs / "executor.log").open("ab") as log:
            ended = subprocess.run(
                (sys.executable, str(self._image / "manage.py"), "executor"),
                env={"PATH": os.environ["PATH"], **self._variables, **overrides},
                cwd="/",
                stdout=log,
                stderr=log,
                check=False,
            )
        task.last_status = task.desired_status = "STOPPED"  # type: ignore[attr-defined]
        task.stop_code = "EssentialContainerExited"  # type: ignore[attr-defined]
        task.containers[0].exit_code = ended.returncode  # type: ignore[attr-defined]


class Operator:
    """Types the document's lines, with what stands for ``…`` filled in."""

    def __init__(self, image: Path, folder: Path, variables: dict[str, str]) -> None:
        self._image, self._folder, self.variables = image, folder, variables

    def command(self, line: str) -> tuple[list[str], dict[str, str]]:
        words, variables = shlex.split(line), {}
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        program = {
            "manage.py": [sys.executable, str(self._image / "manage.py")],
            "gunicorn": [sys.executable, "-m", "gunicorn"],
        }[words.pop(0)]
        return [*program, *words], self.variables | variables

    def type(self, line: str, **variables: str) -> str:
        """Run a command to its end, which must be a good one; what it printed."""
        command, environment = self.command(line)
        ended = subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], **environment, **variables},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
        say(f"did: {line}")
        return ended.stdout


def make_database(server: str) -> None:
    """As the section on roles says."""
    (statements,) = document.blocks("Roles in PostgreSQL")
    before, after = statements.replace("…", "x").split("\\c runway")
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        for statement in before.split(";")[:-1]:
            connection.execute(statement)
    with psycopg.connect(server, dbname="runway", autocommit=True) as inside:
        inside.execute(after)


def make_aws(edu: SandboxEdu) -> None:
    """The bucket, ECS, and the partner's secret, by AWS's own names."""
    aws.client("s3").create_bucket(Bucket=BUCKET)
    make_cluster("prod", f"arn:aws:iam::{ACCOUNT}:role/executor", make_network())
    known = edu.credentials() | {"privateKey": encode_key(edu.key)}
    secret = {name: known[name] for name in known if name not in ("host", "port", "protocol")}
    aws.client("secretsmanager").create_secret(
        Name="prod-edu-connection-info-ea", SecretString=json.dumps(secret)
    )


def wait_for(url: str) -> None:
    """``curl --fail``, until what was just started is up."""
    end = time.monotonic() + 300
    while True:
        with suppress(requests.ConnectionError):  # it is being started
            answer = requests.get(url, timeout=60)
            if answer.ok or time.monotonic() > end:
                answer.raise_for_status()
                say(f"did: curl --fail {url}")
                return
        assert time.monotonic() < end, url
        time.sleep(0.5)


def look_from_outside() -> None:
    """What a browser gets: TLS, and nothing without it."""
    plain = requests.get(f"http://{RUNWAY}/admin/", allow_redirects=False, timeout=60)
    assert plain.headers["Location"] == f"https://{RUNWAY}/admin/"
    page = requests.get(f"https://{RUNWAY}/admin/login/", timeout=60)
    assert page.ok
    assert "includeSubDomains" in page.headers["Strict-Transport-Security"]
    assert all(cookie.secure for cookie in page.cookies)
    assert list(page.cookies)


def stored() -> set[str]:
    listed = aws.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    return {entry["Key"].partition("/output/")[2] for entry in listed}


def follow_the_document(server: str, suffix: str, folder: Path) -> None:
    logs, work = folder / "logs", folder / "work"
    logs.mkdir()
    work.mkdir()
    web_image = images.build("Dockerfile", folder / "web")
    executor_image = images.build("Dockerfile.executor", folder / "executor")
    bundles = create_bundle_repository(folder / "bundles")
    sample = write_interim_file(work)
    sample.path.rename(work / "scores.csv")

    first, migrate, set_up, start, ask, check, load = document.blocks("The first installation")
    (authorities,) = document.blocks("Your own certificate authority")
    trust = document.variables(authorities)
    os.environ.update(trust | IN_AWS | {"AWS_REGION": REGION})
    variables = document.variables(first) | trust | IN_AWS
    made = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "EXECUTOR_JWT_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }
    variables |= made | {"BUNDLE_REPO": str(bundles)}

    def at_the_database(line: str) -> str:
        return line.replace("…", "x").replace("@db.example.org/runway", f"@/runway{suffix}")

    variables["DATABASE_URL"] = at_the_database(variables["DATABASE_URL"])
    assert "…" not in "".join(variables.values())
    operator = Operator(web_image, work, variables)

    with ExitStack() as stack:
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        edu = stack.enter_context(SandboxEdu())
        ods = stack.enter_context(SandboxOds(students()))
        ports = {"aws": moto.get_host_and_port()[1], "edu": edu.port}
        ports["ods"] = int(ods.url.rpartition(":")[2])
        stack.enter_context(nginx(logs, **ports))
        wait_for(f"https://secretsmanager.{REGION}.amazonaws.com/moto-api/")
        make_aws(edu)
        make_database(server)

        operator.type(at_the_database(migrate))
        password = secrets.token_urlsafe(20)
        for line in set_up.splitlines():
            operator.type(
                line + (" --noinput" if "createsuperuser" in line else ""),
                DJANGO_SUPERUSER_USERNAME="ops",
                DJANGO_SUPERUSER_EMAIL="ops@example.org",
                DJANGO_SUPERUSER_PASSWORD=password,
            )
        for name, line in zip(("web", "worker"), start.splitlines(), strict=True):
            command, environment = operator.command(line)
            stack.enter_context(running(name, command, logs, environment, web_image))
        fargate = stack.enter_context(Fargate(executor_image, trust, logs))
        curl, status = ask.splitlines()
        wait_for(curl.split()[-1])
        say(operator.type(status))
        look_from_outside()

        partner = PARTNER.format(ods=ODS, client_id=ods.client_id, client_secret=ods.client_secret)
        operator.type(f"manage.py shell --no-imports -c {shlex.quote(partner)}")
        say(operator.type(check))
        say(operator.type(load))

        expected = sample.expected
        assert len(ods.received("studentAssessments")) == expected.ods
        assert {"ods/studentAssessments.jsonl", "non-ods/studentAssessments.jsonl"} <= stored()
        (task,) = fargate.started
        assert task["INIT_JOB_URL"].startswith(f"https://{RUNWAY}/")
        say(operator.type(status))

    said = "".join(path.read_text(errors="replace") for path in logs.iterdir())
    kept = (*made.values(), password, encode_key(edu.key), ods.client_secret)
    assert not [secret for secret in kept if secret in said]
    for line in (logs / "worker.log").read_text().splitlines():
        json.loads(line)
    say("all is well")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", required=True, help="of the PostgreSQL server")
    parser.add_argument("--socket", required=True, help="folder of its socket")
    options = parser.parse_args()
    take_address()
    folder = Path(tempfile.mkdtemp())
    suffix = f"?host={quote(options.socket, safe='')}"
    try:
        follow_the_document(f"user={options.user} host={options.socket}", suffix, folder)
    except BaseException:
        for log in sorted((folder / "logs").glob("*")):
            say(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}")
        raise


if __name__ == "__main__":
    main()
