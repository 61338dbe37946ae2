"""What programs tell others."""

from chalicelib.kernel.events import Told


class ProgramPublished(Told):
    """A version of the program was put in force."""

    program_version: int
