"""Advice on an ODS that does not respond properly: a finding and a remedy each."""

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus

import requests
import urllib3

from partners.ods import restricted_http
from partners.ods.restricted_http import Answer

ROSTER = "studentEducationOrganizationAssociations"

Problem = tuple[str, str, Answer]
"""Finding, remedy, and the response they are about."""


def root_problem(answer: Answer) -> Problem:
    """Advise on the ODS's root document."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return (
            "The server responds, but there is nothing at this path.",
            "Check the part after the server's name, such as /v7.2/api. Do not add /data/v3.",
            answer,
        )
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return (
            "The server blocks Runway before it can sign in.",
            "A firewall or gateway before the ODS may have to let Runway's addresses in. "
            "Ask whoever runs the ODS.",
            answer,
        )
    return _other_problem(answer, "the ODS's address")


def root_redirect(answer: Answer, asked: str) -> Problem:
    """Advise on a root document that redirects."""
    if restricted_http.origin(answer.location) == restricted_http.origin(asked):
        return (
            "The address redirects in a loop.",
            "Enter the ODS's own address.",
            answer,
        )
    return (
        "The server redirects to another server, which Runway does not follow.",
        "Enter the ODS's own address. It usually begins with https.",
        answer,
    )


def token_problem(answer: Answer) -> Problem:
    """Advise on the token endpoint."""
    if answer.is_redirect:
        return _redirected(answer)
    if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
        return (
            "The ODS does not accept this client ID (key) and secret.",
            "Check both for missing characters and spaces, and that they are of this ODS and this "
            "year. If they are right, ask for new ones.",
            answer,
        )
    if answer.status == HTTPStatus.FORBIDDEN:
        return (
            "The ODS refuses to sign in this client.",
            "The key may be turned off, or a firewall may block Runway. Ask whoever runs the ODS.",
            answer,
        )
    if answer.status == HTTPStatus.NOT_FOUND:
        return (
            "The address at which the ODS says that it gives tokens does not exist.",
            "Check the ODS URL. If it is right, its own settings are wrong: ask whoever runs it.",
            answer,
        )
    return _other_problem(answer, "its sign-in")


def roster_problem(answer: Answer) -> Problem:
    """Advise on the first page of the roster."""
    if answer.is_redirect:
        return _redirected(answer)
    if answer.status == HTTPStatus.FORBIDDEN:
        return (
            "Runway can sign in, but this key is not allowed to read students.",
            f"Ask whoever runs the ODS for a claim set that may read {ROSTER}, and for the "
            "district's education organization to be assigned to the key.",
            answer,
        )
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return (
            "Runway can sign in, but the ODS does not accept the token it issued.",
            "The address may lead to another ODS than the one that signs in, or to another "
            "year's. Check the ODS URL.",
            answer,
        )
    if answer.status == HTTPStatus.NOT_FOUND:
        return (
            f"Runway can sign in, but there are no students at data/v3/ed-fi/{ROSTER}.",
            "Check the ODS URL: it may lack a part, such as the district or the year.",
            answer,
        )
    return _other_problem(answer, "its list of students")


def _other_problem(answer: Answer, what: str) -> Problem:
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        finding = "The ODS has received too many requests recently."
        return finding, "Wait a few minutes, then test again.", answer
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return (
            f"The ODS has a fault of its own at {what}.",
            "Test again in a few minutes. If it stays so, ask whoever runs the ODS.",
            answer,
        )
    return (
        f"The ODS gives an answer at {what} that Runway does not know.",
        "Check the ODS URL; if it is right, show the answer to whoever runs the ODS.",
        answer,
    )


def _redirected(answer: Answer) -> Problem:
    return (
        "The server redirects to another address. Runway does not send credentials there.",
        "Enter the ODS's own address. It usually begins with https.",
        answer,
    )


def unreachable(error: BaseException, step: str) -> tuple[str, str]:
    """Return finding and remedy for a missing response. ``step`` says which step it was."""
    causes = list(_causes(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if has(socket.gaierror, urllib3.exceptions.NameResolutionError):
        return "There is no server with this name.", "Check the ODS URL for a typing mistake."
    if has(ConnectionRefusedError):
        return (
            "The server exists, but nothing responds on this port.",
            "Check the port in the ODS URL. If it is right, the ODS is not running now.",
        )
    if has(ssl.SSLCertVerificationError):
        untrusted = (each for each in causes if isinstance(each, ssl.SSLCertVerificationError))
        reason = next(untrusted).verify_message
        return (
            f"The server's certificate cannot be trusted: {reason or 'it does not check out'}.",
            "Whoever runs the ODS has to renew or fix it. Check, too, that the name in the ODS "
            "URL is the one that the certificate is for.",
        )
    if has(ssl.SSLError, requests.exceptions.SSLError):
        return (
            "Runway could not make a secure (TLS) connection.",
            "Does the ODS speak https at this port? Perhaps its URL begins with http, or lacks a "
            "port.",
        )
    if has(requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        return (
            f"The server took no connection within {restricted_http.CONNECT_SECONDS:.0f} seconds.",
            "Check the ODS URL. A firewall may have to let Runway's addresses in.",
        )
    if has(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        return (
            f"At {step} there was no answer within {restricted_http.READ_SECONDS:.0f} seconds.",
            "The ODS is slow or overloaded now. Test again in a few minutes.",
        )
    if has(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, ValueError):
        return f"Runway cannot use {step}.", "Check the ODS URL."
    return (
        f"At {step} the connection broke off before an answer came.",
        "Does the URL begin with http where the ODS wants https? If not, test again in a few "
        "minutes.",
    )


def _causes(error: object) -> Iterator[BaseException]:
    """Yield the error and its causes: requests has them in ``args``, urllib3 in ``reason``."""
    seen: set[int] = set()
    pending = [error]
    while pending:
        cause = pending.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            pending += [cause.__cause__, cause.__context__, getattr(cause, "reason", None)]
            pending += cause.args
