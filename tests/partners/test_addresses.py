import pytest

from partners import addresses

PRIVATE = addresses.networks(addresses.PRIVATE_NETWORKS)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "0.0.0.0",  # noqa: S104
        "::",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "169.254.169.254",
        "169.254.170.2",
        "::ffff:169.254.169.254",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "224.0.0.1",
        "240.0.0.1",
        "fec0::1",
    ],
)
def test_this_machine_and_its_clouds_own_addresses_are_never_allowed(address):
    assert not addresses.is_allowed(address, PRIVATE)
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "fe80::1"])
def test_no_list_of_networks_allows_a_clouds_own_addresses(address):
    assert not addresses.is_allowed(address, addresses.networks("0.0.0.0/0,::/0"))


@pytest.mark.parametrize("address", ["10.1.2.3", "172.16.0.1", "192.168.1.1", "fd12::1"])
def test_private_addresses_are_allowed_by_the_list_alone(address):
    assert addresses.is_allowed(address, PRIVATE)
    assert not addresses.is_allowed(address, ())
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f::1"])
def test_public_addresses_are_allowed(address):
    assert addresses.is_public(address)
    assert addresses.is_allowed(address, ())


def test_a_list_that_is_none_is_refused():
    with pytest.raises(ValueError):
        addresses.networks("10.0.0.0/8,office")
