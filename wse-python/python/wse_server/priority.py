"""The priority of a message: it orders between topics on a connection, never within one."""

from enum import IntEnum


class Priority(IntEnum):
    """The five priorities of the wire; any other number is refused."""

    BACKGROUND = 1
    LOW = 3
    NORMAL = 5
    HIGH = 8
    CRITICAL = 10
