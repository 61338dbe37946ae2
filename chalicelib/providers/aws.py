"""What SES and SNS share: a client that tries once, and what its faults say."""

from collections.abc import Callable
from typing import Any

from chalicelib.providers import calls
from chalicelib.providers.calls import Lost, NotSent, Turned
from chalicelib.providers.port import ProviderMisconfigured
from chalicelib.storage.batches import is_passing

_WRONG = {
    "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException",
    "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "ExpiredToken",
    "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationToken", "OptInRequired",
    "AccountSuspendedException", "SendingPausedException", "MailFromDomainNotVerifiedException", "NotFoundException",
}  # fmt: skip
"""Somebody has to mend the account, the role or an identity; nothing is sent before."""
_PATIENCE = {"TooManyRequestsException", "Throttled", "ThrottledException", "LimitExceededException"}
_GARBLED = {"RequestExpired", "RequestTimeTooSkewed"}


def asked(client: Any, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask AWS. What it answers in words stays here: nothing is chained to what is raised.

    Raises:
        NotSent, Turned, Lost, ProviderMisconfigured: it went wrong.
    """
    from botocore import exceptions as aws  # noqa: PLC0415 - as boto3

    outer = calls.handled()
    try:
        answer: dict[str, Any] = getattr(client, operation)(**request)
    except aws.ParamValidationError:
        wrong: Exception = Turned("ParamValidationError")
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError):
        wrong = ProviderMisconfigured("NoCredentials")
    except aws.ClientError as fault:
        wrong = _meant(fault.response)
    except Exception as fault:  # noqa: BLE001 - an answer that it cannot read raises whatever its parsers raise
        wrong = NotSent("Unreachable") if calls.nothing_written(fault, outer) else Lost(type(fault).__name__)
    else:
        return answer
    raise wrong


def _meant(response: dict[str, Any]) -> Exception:
    """What an error of AWS says of the request."""
    code = str(response.get("Error", {}).get("Code") or "")
    about = response.get("ResponseMetadata", {})
    status, headers = int(about.get("HTTPStatusCode") or 0), about.get("HTTPHeaders") or {}
    if code in _WRONG:
        return ProviderMisconfigured(code)
    known = code in _PATIENCE or (is_passing(code) and "Throttl" in code)
    if known or status == 429 or (status == 503 and "retry-after" in headers):
        return NotSent(code or f"Http{status}", throttled=True, retry_after=calls.retry_after(headers))
    if code in _GARBLED:
        return ProviderMisconfigured(code)
    if status >= 500 or not 400 <= status < 500 or code.isdecimal():
        return Lost(code or f"Http{status}")
    return Turned(code)


def client_of(service: str, region: str, endpoint: str | None, seconds: float) -> Callable[[], Any]:
    """Makes a client that gives up in time and tries once. boto3 is loaded by the first message."""

    def made() -> Any:
        import boto3  # noqa: PLC0415 - slow to import, and few come here
        from botocore.config import Config  # noqa: PLC0415

        config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=2, read_timeout=seconds)
        return boto3.client(service, region_name=region, endpoint_url=endpoint, config=config)

    return made
