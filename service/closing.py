"""How a door is closed so that nobody is left between it and the house: first nobody new may knock, then all come in.

What the kernel has accepted and we have not is lost when a listening socket closes, and so is who is half way in. Linux
lets a filter look at what comes to a socket: one that drops the packets that begin a connection leaves all others
alone. Who knocks meanwhile knocks again, a second later, and is refused, or comes to another worker.
"""

import ctypes
import socket
import struct
import sys
from contextlib import suppress

_SO_ATTACH_FILTER = 26  # Python has no name for it
_FLAGS, _SYN = 13, 2  # where the flags of a TCP header are, and the one that begins a connection
_LOAD_BYTE, _JUMP_IF_SET, _RETURN = 0x30, 0x45, 0x06  # linux/bpf_common.h
_ALL = 0xFFFFFFFF  # of a packet that is let through

_PROGRAM = b"".join(
    struct.pack("HBBI", *instruction)  # what, where to if so, where to if not, with what
    for instruction in (
        (_LOAD_BYTE, 0, 0, _FLAGS),
        (_JUMP_IF_SET, 0, 1, _SYN),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, _ALL),
    )
)


def let_nobody_knock(listener: socket.socket) -> None:
    """Drop whatever would begin a connection; where the system cannot do that, nothing changes."""
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_PROGRAM)
        described = struct.pack("HP", len(_PROGRAM) // 8, ctypes.addressof(program))
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def waiting(listener: socket.socket) -> list[socket.socket]:
    """The connections that wait to be accepted, as far as files may be opened for them."""
    connections = []
    with suppress(OSError):
        while True:
            connections.append(listener.accept()[0])
    return connections
