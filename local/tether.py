"""Die with the parent, even when it is killed with -9 and can tell nobody. Only Linux can do this.

Run as a script it ties itself to its parent and then becomes another program:
    python -I -S local/tether.py PARENT_PID program argument…
so no code of ours runs between fork and exec, which is unsafe once a process has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tether(parent: int, *, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends.

    "Parent" is the very thread that started us, so a program must be started from a thread that stays.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), by)


if __name__ == "__main__":
    tether(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # the very purpose: become the program, without a shell
