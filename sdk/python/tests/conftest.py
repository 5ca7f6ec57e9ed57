"""A hub and a node as real processes (tests/e2e/harness.py), on ports that the system chooses, for the tests that need them."""
import pytest


@pytest.fixture(scope="module")
def lab():
    import harness

    made = harness.Lab()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def hub(lab):
    made = lab.hub()
    made.cli("release", "key", "trust", lab.key()[1])
    return made


@pytest.fixture(scope="module")
def node(lab, hub):
    """Enrolled, with a label; not started."""
    made = lab.agent("n1")
    made.enrol(hub)
    hub.cli("node", "label", "n1", "site=lyon")
    return made
