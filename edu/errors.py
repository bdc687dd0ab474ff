"""EDU's errors, each with a code for machines and a sentence for people.

``message`` is safe to show to anybody: no secret, no host, no student. ``status`` is the HTTP
status of the roster endpoint if the error happens before the first byte: 503 if a retry may help,
500 if a person has to change something first.
"""

import errno


class EduError(Exception):
    """Base of all errors of EDU. ``str()`` of it is the message for people."""

    code = "edu_error"
    status = 500
    message = "EDU failed."

    def __init__(self, message: str = "") -> None:
        self.message = message or self.message
        super().__init__(self.message)


class NotConfigured(EduError):
    """The app lacks a setting that EDU needs. No retry helps until it is set."""

    code = "edu_not_configured"
    message = "EDU is not configured: ENVLABEL is not set."


class CredentialLookupFailed(EduError):
    """AWS did not report whether there are credentials. A retry may help."""

    code = "edu_credential_lookup_failed"
    status = 503
    message = "EDU's credentials could not be looked up."


class CredentialsDenied(CredentialLookupFailed):
    """AWS refused. No retry helps until a permission or the request is fixed."""

    code = "edu_credentials_denied"
    status = 500
    message = "AWS does not allow Runway to read EDU's credentials."


class CredentialsMalformed(CredentialLookupFailed):
    """The AWS secret is not a JSON object. No retry helps until the secret is stored again."""

    code = "edu_credentials_malformed"
    status = 500
    message = "EDU's credentials are not stored as a JSON object."


class KeyUnreadable(EduError):
    """The stored private key is unusable. No retry helps until the secret is fixed."""

    code = "edu_key_unreadable"
    message = "EDU's private key is not the base64 of an unencrypted PEM private key."


class NoCredentials(EduError):
    """The partner has no EDU credentials. No retry helps until they are stored."""

    code = "edu_no_credentials"
    message = "No EDU credentials are stored for this partner."


class ConnectFailed(EduError):
    """EDU could not be reached or did not respond to the login in time. A retry may help."""

    code = "edu_connect_failed"
    status = 503
    message = "EDU could not be reached."


class LoginRejected(ConnectFailed):
    """EDU refused the login. No retry helps until key, user, or account is fixed."""

    code = "edu_login_rejected"
    status = 500
    message = "EDU refused the login: check the user, its public key, the account and the role."


class PoolExhausted(EduError):
    """Every connection stayed in use for the whole waiting time. A later retry helps."""

    code = "edu_pool_exhausted"
    status = 503
    message = "All EDU connections of this partner are in use."


class PoolClosed(EduError):
    """The pool is closed because the process is ending. A retry reaches another process."""

    code = "edu_shutting_down"
    status = 503
    message = "The EDU connections are closing because the server is shutting down."


class QueryFailed(EduError):
    """EDU refused or stopped the query. No retry helps unless the warehouse was only busy."""

    code = "edu_query_failed"
    message = "EDU could not run the roster query: check the tables, the role and the warehouse."


class NamesUnavailable(QueryFailed):
    """EDU refused the query for the roster with names. The roster without them may be had."""

    code = "edu_names_unavailable"
    status = 409
    message = "EDU does not give students' names: check stg_ef3__students and the role's grants."


class ConnectionLost(EduError):
    """The connection or its session ended during the query. A retry opens a new one."""

    code = "edu_connection_lost"
    status = 503
    message = "The connection to EDU was lost."


class RosterIncomplete(EduError):
    """EDU delivered a different number of rows than announced. A retry usually helps."""

    code = "edu_roster_incomplete"
    status = 503
    message = "EDU delivered an incomplete roster."


class RosterInvalid(EduError):
    """EDU delivered something other than complete lines. No retry helps: the query is wrong."""

    code = "edu_roster_invalid"
    message = "EDU delivered a roster that is not made of lines of text."


def sentence(code: str) -> str:
    """The sentence for people that belongs to ``code``; of an unknown code, that EDU failed."""
    kinds: list[type[EduError]] = [EduError]
    for kind in kinds:  # grows while it is read: subclasses have subclasses
        kinds.extend(kind.__subclasses__())
    return next((kind.message for kind in kinds if kind.code == code), EduError.message)


class StreamCut(ConnectionAbortedError):
    """The roster broke off after its first byte, and the client must be able to see that.

    An ``OSError`` with EPIPE on purpose: WSGI servers treat it as a client that disconnected. They
    drop the connection without the chunk that ends a body and without their own traceback. The
    stream's own log line reports what happened. A retry may help.
    """

    def __init__(self) -> None:
        super().__init__(errno.EPIPE, "the roster stream broke off")
