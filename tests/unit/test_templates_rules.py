"""Templates: what is filled in where, what is refused, and that nothing is evaluated."""

import contextlib
import json
import time
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from pydantic import ValidationError

from chalicelib.kernel.languages import Language
from chalicelib.kernel.texts import sms_parts
from chalicelib.templates.errors import TemplateInvalid
from chalicelib.templates.fields import FIELDS, samples
from chalicelib.templates.holes import ESCAPES, Place, cleaned
from chalicelib.templates.markup import ELEMENTS
from chalicelib.templates.models import Rendered, Template
from chalicelib.templates.rules import _SEEN as SEEN
from chalicelib.templates.rules import compiled, language_for, rendered, require_sound, sms_size
from tests.templates import EXPRESSIONS, HTML, UNSEEN, WECHAT_ID, a_template, an_email, an_sms, everywhere, hostile

ZH, EN = Language.ZH, Language.EN
OUT = "https://api.example.com/v1/opt-outs/abc.def"
VALUES = {
    "name": "李小明",
    "points": "1,280",
    "opt_out": OUT,
    "preferences": "https://api.example.com/v1/preferences/a.b",
}


def to_member(
    contents: dict[str, Any], language: Language = ZH, *, purpose: str = "marketing", **values: str
) -> Rendered:
    return rendered(a_template(contents, purpose=purpose), language, VALUES | values)


def faults_of(contents: dict[str, Any], purpose: str = "marketing") -> list[dict[str, Any]]:
    with pytest.raises(TemplateInvalid) as refused:
        require_sound(a_template(contents, purpose=purpose).contents, purpose)
    found: list[dict[str, Any]] = refused.value.facts["faults"]
    return found


# ---------------------------------------------------------------- text messages


def test_a_text_message_is_signed_filled_in_and_tells_how_to_opt_out() -> None:
    made = to_member(an_sms(signature="常客"))
    assert (made.text, made.signature) == ("【常客】李小明您好，您有1,280积分。拒收请回复R", "常客")


@pytest.mark.parametrize("words", ["回T退订", "拒收请回复R", "退订回TD。", "（回复TD退订）", "Reply STOP to end."])
def test_who_tells_how_to_opt_out_is_not_told_again(words: str) -> None:
    assert to_member(an_sms(f"您好。{words}")).text == f"您好。{words}"


@pytest.mark.parametrize(
    "text",
    [
        "拒收请回复R 假的", "千万别回T退订", "开店 non-stop", "Non-stop sale", "Stop by our shop", "退订有惊喜", "拒收",
        "Unsubscribe? Never.", "Reply STOP to opt out of nothing", "详见 {{opt_out}}",
    ],
)  # fmt: skip
def test_words_that_only_look_like_a_way_out_are_none(text: str) -> None:
    assert to_member(an_sms(text)).text.endswith("拒收请回复R")
    wechat = {"template_id": WECHAT_ID, "data": {"thing1": text}, "url": "https://a.example/"}
    assert faults_of({"channel": "wechat", "zh": wechat})[0]["pointer"] == "/contents/zh/data"


OPT_OUT = '<a href="{{opt_out}}">退订</a>'


@pytest.mark.parametrize(
    "html",
    [
        '<p style="display:none"><a href="{{opt_out}}">退订</a></p>',
        '<div style="font-size:0"><p><a href="{{opt_out}}">退订</a></p></div>',
        '<p><a href="{{opt_out}}" style="color:#fff">退订</a></p>',
        '<p><a href="{{opt_out}}"><span style="color:#fff">退订</span></a></p>',
        '<p><a href="{{opt_out}}"><font color="white">退订</font></a></p>',
        '<p><a href="{{opt_out}}"></a>退订</p>',
        '<p><a href="{{opt_out}}"> . </a></p>',
        '<p><a href="{{opt_out}}">{{name}}</a></p>',
        '<p><a href="{{preferences}}">退订</a></p>',
        '<html><head><style>a{display:none!important}</style></head><body><a href="{{opt_out}}">退订</a></body></html>',
        '<table height="0"><tr><td><a href="{{opt_out}}">退订</a></td></tr></table>',
        '<p class="x"><a href="{{opt_out}}">退订</a></p>',
    ],
)
def test_a_way_out_that_may_be_hidden_is_followed_by_ours(html: str) -> None:
    require_sound(a_template(an_email(html)).contents, "marketing", new=True)
    made = to_member(an_email(html)).html
    footer = made[made.rindex("<p ") :]
    assert f'href="{OUT}"' in footer and "display:block!important" in footer
    assert to_member(an_email(html), purpose="notices").html.count("display:block!important") == 0


@pytest.mark.parametrize(
    "html",
    [
        f"<p>{OPT_OUT}</p>",
        f"<html><head><title>x</title></head><body><table border='0'><tr><td>{OPT_OUT}</td></tr></table></body></html>",
        '<p style="color:red">x</p><p><a href="{{opt_out}}" target="_blank"><b>退订</b></a></p>',
    ],
)
def test_a_way_out_that_nothing_hides_is_enough(html: str) -> None:
    assert "display:block!important" not in to_member(an_email(html)).html


@pytest.mark.parametrize(
    ("contents", "pointer"),
    [
        (an_email(subject="{{opt_out}}"), "/contents/zh/subject"),
        (an_email("<html><head><title>{{opt_out}}</title></head><body>x</body></html>"), "/contents/zh/html"),
        (an_email("<p>{{opt_out}}</p>"), "/contents/zh/html"),
        (an_email('<p title="{{preferences}}">x</p>'), "/contents/zh/html"),
        ({"channel": "app", "zh": {"title": "{{opt_out}}", "text": "x"}}, "/contents/zh/title"),
    ],
)
def test_an_address_of_ours_is_saved_only_where_it_can_be_followed(contents: dict[str, Any], pointer: str) -> None:
    template = a_template(contents)
    with pytest.raises(TemplateInvalid) as refused:
        require_sound(template.contents, "marketing", new=True)
    assert [each["pointer"] for each in refused.value.facts["faults"]] == [pointer]
    assert rendered(template, ZH, VALUES).missing == (), "what was saved before goes out"


def test_a_notice_of_the_account_needs_no_way_out() -> None:
    assert to_member(an_sms("您有{{points}}积分。"), purpose="notices").text == "您有1,280积分。"


def test_a_providers_own_template_is_filled_by_its_parameters() -> None:
    contents = an_sms(
        aliyun={"template_code": "SMS_123", "params": {"name": "{{name}}", "left": "{{points}}分"}},
        tencent={"template_id": "456", "params": ["{{points}}", "{{name}}"]},
    )
    template = a_template(contents)
    ali, tencent = (rendered(template, ZH, VALUES, provider=each) for each in ("aliyun", "tencent"))
    assert (ali.template_code, ali.params) == ("SMS_123", {"name": "李小明", "left": "1,280分"})
    assert (tencent.template_code, list(tencent.params.values())) == ("456", ["1,280", "李小明"])
    assert rendered(template, ZH, VALUES).template_code == ""


@pytest.mark.parametrize(
    ("text", "encoding", "characters", "parts"),
    [
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("a" * 306, "gsm7", 306, 2),
        ("a" * 307, "gsm7", 307, 3),
        ("€" * 80, "gsm7", 160, 1),
        ("€" * 81, "gsm7", 162, 2),
        ("a" * 152 + "€" + "a" * 153, "gsm7", 307, 3),
        ("中" * 70, "ucs2", 70, 1),
        ("中" * 71, "ucs2", 71, 2),
        ("中" * 134, "ucs2", 134, 2),
        ("中" * 135, "ucs2", 135, 3),
        ("😀" * 35, "ucs2", 70, 1),
        ("😀" * 36, "ucs2", 72, 2),
        ("中" * 66 + "😀" + "中" * 67, "ucs2", 135, 3),
        ("a" * 69 + "“", "ucs2", 70, 1),
        ("", "gsm7", 0, 1),
        ("\f[]{}", "gsm7", 10, 1),
        ("à la carte", "gsm7", 10, 1),
    ],
)
def test_a_text_message_is_as_long_as_carriers_count_it(text: str, encoding: str, characters: int, parts: int) -> None:
    size = sms_size(text)
    assert (size.encoding, size.characters, size.parts) == (encoding, characters, parts)
    assert sms_parts(text) == parts


# ---------------------------------------------------------------- e-mail


def test_an_email_is_written_anew_with_its_text_and_its_way_out() -> None:
    html = (
        "<!DOCTYPE html><html><head><meta charset='utf-8'><title>Hi {{name}}</title><style>p{color:#111}</style></head>"
        "<body><!-- left out --><h1>您好 {{name}}</h1><p>您有 <b>{{ points }}</b> 积分 &amp; 更多</p>"
        "<ul><li>一</li><li>二</li></ul><a href='https://shop.example/?p={{points}}&amp;q=1'>去看看</a></body></html>"
    )
    made = to_member(an_email(html))
    assert made.subject == "给李小明"
    assert made.html == (
        '<!doctype html><html><head><meta charset="utf-8"><title>Hi 李小明</title><style>p{color:#111}</style></head>'
        "<body><h1>您好 李小明</h1><p>您有 <b>1,280</b> 积分 &amp; 更多</p><ul><li>一</li><li>二</li></ul>"
        '<a href="https://shop.example/?p=1280&amp;q=1">去看看</a>'
        f'<p style="display:block!important;{SEEN};line-height:1.6!important;text-align:center">'
        f'<a href="{OUT}" style="display:inline!important;{SEEN}">退订</a> · '
        f'<a href="{VALUES["preferences"]}" style="display:inline!important;{SEEN}">消息偏好</a></p>'
        "</body></html>"
    )
    assert made.text == (
        "您好 李小明\n\n您有 1,280 积分 & 更多\n\n- 一\n\n- 二\n\n去看看 (https://shop.example/?p=1280&q=1)"
        f"\n\n退订: {OUT}\n消息偏好: {VALUES['preferences']}"
    )


def test_an_email_that_has_its_own_way_out_gets_no_other() -> None:
    made = to_member(an_email('<p><a href="{{opt_out}}">不想再收到</a></p>', text="去掉：{{opt_out}}"))
    assert made.html == f'<p><a href="{OUT}">不想再收到</a></p>'
    assert made.text == f"去掉：{OUT}"


def test_a_language_that_is_missing_is_the_other_one() -> None:
    both = {"channel": "sms", "zh": {"text": "您好"}, "en": {"text": "Hi"}}
    assert [to_member(both, each).text for each in (ZH, EN)] == ["您好拒收请回复R", "Hi Reply STOP to opt out"]
    only = to_member(an_sms("您好"), EN)
    assert (only.language, only.text) == (ZH, "您好拒收请回复R")
    with pytest.raises(ValidationError):
        from chalicelib.templates.models import CreateTemplate

        CreateTemplate.model_validate(
            {"name": "x", "purpose": "marketing", "contents": {"channel": "sms"}}, strict=False
        )


# ---------------------------------------------------------------- other channels


@pytest.mark.parametrize(
    ("said", "own", "program", "spoken"),
    [
        ((ZH, EN), EN, ZH, EN),
        ((ZH, EN), ZH, EN, ZH),
        ((ZH, EN), None, EN, EN),
        ((ZH,), EN, ZH, ZH),
        ((ZH,), EN, EN, ZH),
        ((EN,), None, ZH, EN),
        ((), EN, ZH, EN),
        ((), None, ZH, ZH),
    ],
)
def test_a_template_goes_in_the_members_language_else_the_programs_else_the_one_that_it_has(
    said: tuple[Language, ...], own: Language | None, program: Language, spoken: Language
) -> None:
    assert language_for(said, own, program) is spoken


def test_a_template_knows_in_which_languages_it_says_something() -> None:
    assert a_template(an_sms()).languages == (ZH,)
    assert a_template({**an_sms(), "en": {"text": "hello"}}).languages == (ZH, EN)


def test_a_message_in_the_app_a_wechat_template_and_a_document() -> None:
    app = to_member(
        {"channel": "app", "zh": {"title": "给{{name}}", "text": "有{{points}}分", "url": "{{preferences}}"}}
    )
    assert (app.subject, app.text, app.url) == ("给李小明", "有1,280分", VALUES["preferences"])
    data = {"thing1": "{{name}}", "number2": "{{points}}"}
    wechat = to_member({"channel": "wechat", "zh": {"template_id": WECHAT_ID, "data": data}})
    assert (wechat.template_code, wechat.params) == (WECHAT_ID, {"thing1": "李小明", "number2": "1,280"})
    assert wechat.url == VALUES["preferences"], "a commercial one leads to where it can be ended"
    payload = {"to": "{{name}}", "list": ["{{points}}", 1, None, True, {"a": 'say "hi"'}]}
    document = to_member({"channel": "webhook", "zh": {"payload": payload}}, name='a"b\\c')
    assert json.loads(document.text) == {"to": 'a"b\\c', "list": ["1,280", 1, None, True, {"a": 'say "hi"'}]}


# ---------------------------------------------------------------- values


def test_who_has_no_value_gets_what_stands_instead_or_nothing_is_sent() -> None:
    template = a_template(an_sms("{{name}}，{{points}}分，{{gift_points}}分"))
    made = rendered(template, ZH, {"gift_points": "5"})
    assert (made.text, made.missing) == ("顾客，0分，5分拒收请回复R", ())
    assert rendered(template, ZH, {"name": ""}).missing == ("gift_points",)
    assert rendered(a_template(an_email()), ZH, {}).missing == ("opt_out", "preferences")


def test_what_needs_the_members_contact_data_is_known_beforehand() -> None:
    assert compiled(a_template(an_sms("{{name}}")), ZH).needs_contact
    assert not compiled(a_template(an_sms("{{points}}")), ZH).needs_contact


class Seen(HTMLParser):
    """What another reader of HTML makes of an e-mail."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.said += data


def seen(html: str) -> Seen:
    reader = Seen()
    reader.feed(html)
    reader.close()
    return reader


NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{points}}",
    "{{opt_out}}",
    "&lt;b&gt;",
    "a\r\nBcc: evil@example.com",
    "a\u2028b",
    "\u202egnp.exe",
    "</style></title><b>",
    "-->",
    "\\u003cb\\u003e",
    "${7*7}",
    "x" * 100_000,
    "\x00\x07",
    "【银行】",
    '","admin":true,"x":"',
    "\\",
    "%0d%0a",
    "javascript:alert(1)",
    "]]>",
    "`",
    "\ud800",
    "<!--",
    "&#x3c;script&#x3e;",
)


@pytest.mark.parametrize("value", NASTY)
def test_a_value_is_escaped_for_its_place_and_never_read_again(value: str) -> None:
    html = (
        '<p title="{{tier}}">{{tier}}</p><a href="https://a.example/?t={{tier}}">x</a>'
        '<img src="https://a.example/a" alt="{{tier}}">'
    )
    made = to_member(an_email(html, subject="{{tier}}"), tier=value)
    read = seen(made.html)
    assert read.tags == ["p", "a", "img", "p", "a", "a"]
    assert {name for name, _ in read.attributes} == {"title", "href", "src", "alt", "style"}
    assert all((link or "").startswith("https://") for name, link in read.attributes if name in ("href", "src"))
    assert not any(each in made.subject for each in "\r\n\u2028\u202e\x00")
    assert len(made.html) < 3_000
    text = to_member(an_sms("{{tier}}", signature="常客"), tier=value).text
    assert text.count("【") == text.count("】") == 1
    assert "\n" not in text
    document = to_member({"channel": "webhook", "zh": {"payload": {"a": "{{tier}}", "b": "x"}}}, tier=value).text
    assert json.loads(document).keys() == {"a", "b"}


@pytest.mark.parametrize(
    "name",
    [
        "https://evil.example", "www.evil.example", "evil.com/x", "Win at evil.com", "a@b.de", "evil。com",
        "ｅvil．com", "evil[.]com", "evil (dot) com", "http:evil", "Win at evil.example", "evil.公司", "x.co",
        "evil｡app",
        "evil.xn--p1ai", "evil\u00ad.com", "EVIL.SCHWARZ",
    ],
)  # fmt: skip
def test_a_name_that_is_an_address_is_no_name(name: str) -> None:
    """Somebody enrols a stranger's mail address under a name that says where to click: we do not deliver that."""
    assert to_member(an_sms("{{name}}您好"), name=name).text.startswith("顾客您好")


def test_a_name_is_never_an_encoded_word() -> None:
    said = cleaned("name", "a =?utf-8?B?V2luIGF0IGV2aWwuZXhhbXBsZQ==?= =?UTF-8?q?x?= 2=?3", Language.EN)
    assert said == "a = ?utf-8?B?V2luIGF0IGV2aWwuZXhhbXBsZQ==?= = ?UTF-8?q?x?= 2=?3"


def test_names_of_people_stay_as_they_are() -> None:
    for name in (
        "O'Brien",
        "J. Smith-Jones",
        "欧阳娜娜",
        "Ana María",
        "د. أحمد",
        "नेहा",
        "Dr. Who, Jr.",
        "J.Smith",
        "J.R.R. Tolkien",
        "St.Clair",
        "阿不都.买买提",
        "买买提·艾力",
        "王小明。",
        "Anna Smith.",
    ):
        assert to_member(an_sms("{{name}}"), name=name).text.startswith(name), name


def test_only_links_of_ours_are_put_in_whole() -> None:
    for link in ('javascript:alert(1)" x', "https://a.example/\r\nx", "https://a.example/<b>"):
        assert "opt_out" in to_member(an_email(), opt_out=link).missing


# ---------------------------------------------------------------- hostile templates


def test_hostile_templates_are_refused_where_they_are_hostile_or_do_nothing() -> None:
    """More than 500, hand-made and generated; what passes is looked at by another reader of HTML."""
    refused = harmless = 0
    for pointer, contents in hostile():
        try:
            template = a_template(contents)
            require_sound(template.contents, "marketing")
        except ValidationError:  # too long for its place
            refused += 1
        except TemplateInvalid as fault:
            faults = fault.facts["faults"]
            assert any(each["pointer"].startswith(pointer) for each in faults), (contents, faults)
            assert all(_points_into(contents, each) for each in faults), (contents, faults)
            refused += 1
        else:
            _require_harmless(template)
            harmless += 1
    assert refused + harmless > 1_500
    assert (len(set(EXPRESSIONS)), len(set(UNSEEN)), len(set(HTML))) == (len(EXPRESSIONS), len(UNSEEN), len(HTML))
    assert harmless <= 2, "an entity of a control character, which is left out, and a doctype, which is written anew"


def _points_into(contents: dict[str, Any], fault: dict[str, Any]) -> bool:
    """Whether a fault's pointer, offset, line and column lead to a character of what was sent."""
    here: Any = {"contents": contents}
    for part in fault["pointer"].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, list):
            here = here[int(name)]
        elif isinstance(here, dict) and name in here:
            here = here[name]
        else:
            return False
    if not isinstance(here, str) or "\r" in here:
        return bool(fault["detail"])
    before = here[: fault["offset"]]
    lines = before.split("\n")
    return fault["offset"] <= len(here) and (fault["line"], fault["column"]) == (len(lines), len(lines[-1]) + 1)


def _require_harmless(template: Template) -> None:
    made = rendered(template, ZH, samples(ZH))
    told = "".join((made.subject, made.text, made.html, made.url, *made.params.values()))
    for computed in ("1787569", "1338", "13371337"):
        assert computed not in told
    read = seen(made.html)
    assert set(read.tags) <= ELEMENTS
    assert not any(name.startswith("on") for name, _ in read.attributes)
    assert all((link or "").startswith("https://") for name, link in read.attributes if name in ("href", "src"))


def test_a_value_that_is_not_escaped_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(dict[Any, Any], ESCAPES), Place.HTML, str)
    with pytest.raises(AssertionError):
        test_a_value_is_escaped_for_its_place_and_never_read_again(NASTY[0])


def test_large_texts_are_read_in_no_time() -> None:
    """Every piece of grammar as often as it fits: what is read twice for each character would take minutes."""
    pieces = (
        "<p ",
        "<p a=",
        '<p a="',
        "<",
        "<!--",
        "{{",
        "}}",
        "{{name}}",
        "<b>",
        "&",
        " ",
        "\n",
        "a://",
        "<style>",
        "'",
        "x",
    )
    started = time.process_time()
    for piece in pieces:
        for contents in (an_email((piece * 60_000)[:60_000]), an_email(text=(piece * 20_000)[:19_990] + "{{tier}}")):
            with contextlib.suppress(TemplateInvalid):
                require_sound(a_template(contents).contents, "marketing")
    assert time.process_time() - started < 10


def test_faults_say_where_they_are() -> None:
    (fault,) = faults_of(an_email("<p>\nhello\n  {{nam}}</p>"))
    assert {name: fault[name] for name in ("pointer", "offset", "line", "column")} == {
        "pointer": "/contents/zh/html",
        "offset": 12,
        "line": 3,
        "column": 3,
    }
    assert fault["detail"].startswith("there is no field nam; there are name, ")
    assert [
        each["pointer"] for each in faults_of({"channel": "sms", "zh": {"text": "{{a}}"}, "en": {"text": "{{b}}"}})
    ] == [
        "/contents/zh/text",
        "/contents/en/text",
    ]


def test_every_field_can_stand_in_a_text_and_has_a_sample() -> None:
    for name, field in FIELDS.items():
        for language in Language:
            made = rendered(a_template(an_sms(f"a {{{{{name}}}}} b 回T退订")), language, samples(language))
            assert made.text == f"a {field.sample[language]} b 回T退订"


def test_sound_texts_go_everywhere() -> None:
    for sound in ("{{name}} 您好 👨‍👩‍👧 ❤️ {points} 100% $5 #1 { } }x{ 「」", "a & b > c", "{{ tier }}{{points}}"):
        for _, contents in everywhere(sound):
            require_sound(a_template(contents).contents, "marketing")
