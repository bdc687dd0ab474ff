"""Which addresses the app may connect to if a person has named the server.

Otherwise anyone who may enter a URL could make the app probe its own network. So a name is looked
up once, all its addresses are checked, and the connection goes to the address that was checked: a
moment later the name may resolve to something else.
"""

import ipaddress
import socket
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE_NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"
"""Networks of organizations' own servers, without this machine itself or link-local addresses."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 addresses in the last 32 bits
# A cloud's address for credentials. The others are link-local: 169.254.0.0/16 and fe80::/10.
_METADATA = ipaddress.ip_address("fd00:ec2::254")


class ForbiddenAddress(Exception):
    """The name has an address that the app must not connect to."""


def networks(text: str) -> tuple[Network, ...]:
    """Parse a comma-separated list of networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def parsed(address: str) -> Address:
    """Parse an address, without its zone. An IPv4 address mapped into IPv6 is returned as IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64:
            return ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if found.ipv4_mapped:
            return found.ipv4_mapped
    return found


def is_public(address: str) -> bool:
    """Whether it is on the public internet."""
    found = parsed(address)
    if isinstance(found, ipaddress.IPv6Address) and (found.sixtofour or found.is_site_local):
        return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def is_allowed(address: str, private: Iterable[Network]) -> bool:
    """Whether it is public or in a ``private`` network, and no cloud's metadata address."""
    found = parsed(address)
    if found.is_link_local or found == _METADATA or found.is_multicast:
        return False
    return is_public(address) or any(found in network for network in private)


def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of a name. Raises OSError (if none), UnicodeError, or ValueError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))
