"""Why a verb stops with a sentence instead of a stack trace."""


class Refused(Exception):
    """What was asked cannot be done; the sentence says why and what helps."""


class EnvironmentWrong(Refused):
    """An environment's file, or what was set over it, does not make sense."""


class NotPackaged(Refused):
    """What is to be deployed could not be made, or is not what it claims to be."""


class NotDeployed(Refused):
    """The account, or what is in it, does not allow what was asked."""
