"""Operations of the program."""

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene


@operation("every process", "read the program, each ten seconds")
def read_program(scene: Scene) -> Metered:
    def read() -> None:
        scene.clock.forward(seconds=11)
        scene.beside("every process", lambda: scene.book.current(scene.clock()))

    return read


@operation("get_program", "the program in force")
def get_program(scene: Scene) -> Metered:
    return lambda: scene.get("/v1/program")


@operation("get_program", "an earlier version, the first time a process is asked")
def get_earlier_program(scene: Scene) -> Metered:
    scene.publish(pending_days=7)
    scene.start_anew()
    return lambda: scene.get("/v1/program?version=1")


@operation("publish_program", "publish a version of the program")
def publish_program(scene: Scene) -> Metered:
    body = {**scene.get("/v1/program"), "pending_days": 7}
    for name in ("published_at", "former_ladders"):
        del body[name]
    return lambda: scene.send("PUT", "/v1/program", body)


@operation("list_tiers", "the tiers")
def list_tiers(scene: Scene) -> Metered:
    return lambda: scene.get("/v1/tiers")


@operation("list_consent_texts", "texts of consents, of which there is one")
def list_consent_texts(scene: Scene) -> Metered:
    return lambda: scene.get("/v1/consent-texts")


@operation("publish_consent_text", "publish a text of a consent")
def publish_consent_text(scene: Scene) -> Metered:
    body = {"purpose": "marketing", "text_version": "2026-02", "zh": "同意接收优惠信息", "en": "I agree to offers"}
    return lambda: scene.post("/v1/consent-texts", body)
