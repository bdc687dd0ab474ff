"""The external API's OpenAPI description: what all calls share, and which calls it covers."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import serializers

BASE = "/api/v1/"

_DETAIL = inline_serializer(
    "Refusal",
    {
        "detail": serializers.CharField(),
        "statusCode": serializers.IntegerField(),
        "message": serializers.CharField(),
    },
)
_MEANINGS = {
    401: "No access token, or one that is not good here.",
    403: "The token lacks the call's scope.",
    404: "Not there, or not of a partner that the token is good for.",
    405: "There is no such call.",
    406: "The answer is JSON, which the request does not accept.",
    409: "The job does not stand so that this could be done.",
    411: "The body has no Content-Length.",
    413: "The request is too large.",
    415: "The body must be JSON.",
    422: "The Idempotency-Key came with another request before.",
    429: "Too many requests of this client; try again after Retry-After seconds.",
    503: "The issuer of tokens is not configured, or it or the file storage is unavailable.",
}


def answers(good: dict[Any, Any], *refusals: int) -> dict[Any, Any]:
    """Return a call's responses: its ``good`` ones, its ``refusals``, and those of all calls."""
    codes = sorted({401, 403, 429, 503, *refusals})
    wrong = OpenApiResponse(OpenApiTypes.OBJECT, "What is wrong, by field or parameter.")
    refused = {code: OpenApiResponse(_DETAIL, description=_MEANINGS[code]) for code in codes}
    return {**good, 400: wrong, **refused}


def only_external(endpoints: list[Any], **kwargs: Any) -> list[Any]:
    """A hook of drf-spectacular that leaves out the executor-facing API."""
    return [each for each in endpoints if each[0].startswith(BASE)]


class ClientAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = "earthbeam.external.authentication.ClientAuthentication"
    name = "accessToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of the configured OIDC issuer, with the call's scope "
            "and a scope partner:CODE for each partner.",
        }
