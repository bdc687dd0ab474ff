"""Keep an executor's output for people: limited in size, with secrets masked."""

import re
import threading
from collections import deque
from collections.abc import Iterable
from typing import IO
from urllib.parse import quote

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 448 * 1024
LINE_BYTES = 8 * 1024
MASK = "[masked]"

_READ_BYTES = 64 * 1024
_SHORTEST_SECRET = 6  # masking a shorter one would mask ordinary words
_TOKENS = r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{8,}"


class Masker:
    """Masks the given secrets, and everything that looks like a token or an authorization."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
        known = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
        known = [form for form in known if len(form) >= _SHORTEST_SECRET]
        self._pattern = re.compile("|".join([*known, _TOKENS]))

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text)


class BoundedText:
    """The first and last lines of a text, with a note of how much was left out between."""

    def __init__(self, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES) -> None:
        self._room, self._tail_bytes = head_bytes, tail_bytes
        self._head: list[str] = []
        self._tail: deque[tuple[str, int]] = deque()
        self._tail_size = self._left_out = 0

    def add(self, line: str) -> None:
        """Append a line, including its line end."""
        size = len(line.encode())
        if not self._tail and size <= self._room:
            self._head.append(line)
            self._room -= size
            return
        self._tail.append((line, size))
        self._tail_size += size
        while self._tail_size > self._tail_bytes:
            _, dropped = self._tail.popleft()
            self._tail_size -= dropped
            self._left_out += dropped

    def text(self) -> str:
        """Return the text so far."""
        note = f"[… {self._left_out // 1024 + 1} kB left out …]\n" if self._left_out else ""
        return "".join([*self._head, note, *(line for line, _ in self._tail)])


class Output:
    """Reads a child's output in a separate thread, so that a full pipe never blocks the child."""

    def __init__(self, stream: IO[bytes], mask: Masker) -> None:
        self._stream, self._mask = stream, mask
        self._kept = BoundedText()
        self._lock = threading.Lock()
        self._changed = False
        self._thread = threading.Thread(target=self._read, name="executor-output", daemon=True)
        self._thread.start()

    def news(self) -> str | None:
        """Return the text so far, or None if nothing was added since the last call."""
        with self._lock:
            if not self._changed:
                return None
            self._changed = False
            return self._kept.text()

    def close(self) -> None:
        """Wait briefly for the rest, but not for a stray grandchild that keeps the pipe open."""
        self._thread.join(timeout=5.0)
        if not self._thread.is_alive():
            self._stream.close()

    def _read(self) -> None:
        for raw in iter(lambda: self._stream.readline(_READ_BYTES), b""):
            line = self._readable(raw)
            ended = raw.endswith(b"\n")
            while not ended:  # skips the rest of a line that is too long
                rest = self._stream.readline(_READ_BYTES)
                ended = not rest or rest.endswith(b"\n")
            with self._lock:
                self._kept.add(line)
                self._changed = True

    def _readable(self, raw: bytes) -> str:
        """Return a line as readable, storable text. Masks it first: no partial secret stays."""
        text = raw.decode("utf-8", errors="replace").rstrip("\r\n").replace("\0", "�")
        text = self._mask(text)
        return f"{text[:LINE_BYTES]} …\n" if len(text) > LINE_BYTES else f"{text}\n"
