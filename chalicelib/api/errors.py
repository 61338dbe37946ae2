"""What the edge refuses before a use case is asked."""

from typing import Any

from chalicelib.kernel.errors import Refusal


class BodyMissing(Refusal):
    """The request needs a JSON body."""

    def __init__(self) -> None:
        super().__init__("The request needs a JSON body.")


class BodyMalformed(Refusal):
    """The body is not JSON, or not JSON that means one thing only."""

    def __init__(self, why: str, *, lacks: str = "well-formed") -> None:
        super().__init__(f"The body is not {lacks}: {why}.")


class BodyTooLarge(Refusal):
    """The body is larger than any request needs."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.", limit=limit)


class HeadTooLarge(Refusal):
    """The address and headers are larger than any request needs."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"The request line and headers are larger than {limit} bytes.", limit=limit)


class BodyTooSlow(Refusal):
    """The body did not come in time."""

    def __init__(self, *, seconds: int) -> None:
        super().__init__(f"The body did not come within {seconds} seconds.", seconds=seconds)


class ContentTypeUnsupported(Refusal):
    """The body is not declared as JSON."""

    def __init__(self) -> None:
        super().__init__("Send the body as Content-Type: application/json.")


class RequestInvalid(Refusal):
    """The request does not fit its schema."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        first = errors[0] if errors else {"pointer": "", "detail": "it does not fit"}
        super().__init__(f"{first['pointer'] or 'The body'}: {first['detail']}.")
        self.errors = errors


class IdMalformed(Refusal):
    """Nothing has an id of this form."""

    def __init__(self, *, parameter: str) -> None:
        super().__init__(f"Nothing has a {parameter} of this form.", parameter=parameter)


class KeyMissing(Refusal):
    """The command needs an Idempotency-Key header."""

    def __init__(self) -> None:
        super().__init__("Send an Idempotency-Key header: 1 to 128 printable characters, a new one for each command.")


class KeyMalformed(Refusal):
    """The Idempotency-Key header is not 1 to 128 printable characters."""

    def __init__(self) -> None:
        super().__init__("An Idempotency-Key has 1 to 128 printable ASCII characters without spaces.")


class VersionUnclear(Refusal):
    """If-Match and the body's version name different versions."""

    def __init__(self, *, if_match: str, version: Any) -> None:
        super().__init__(
            f"If-Match says {if_match}, the body says version {version}.", if_match=if_match, version=version
        )


class RouteUnknown(Refusal):
    """There is nothing at this address."""

    def __init__(self) -> None:
        super().__init__("There is nothing at this address.")


class MethodNotAllowed(Refusal):
    """This address does not take this method."""

    def __init__(self) -> None:
        super().__init__("This address does not take this method.")


class Unexpected(Refusal):
    """A fault of ours; the log has it under the request's id."""

    def __init__(self) -> None:
        super().__init__("Something went wrong on our side. Name the request id when you ask about it.")
