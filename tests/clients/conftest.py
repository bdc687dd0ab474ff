from tests.earthbeam.external.conftest import body, issuer, oidc

__all__ = ["body", "issuer", "oidc"]
