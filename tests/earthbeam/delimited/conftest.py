from tests.earthbeam.executor.conftest import write_file

__all__ = ["write_file"]
