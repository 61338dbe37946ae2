"""What pages behind links have in common: words for channels and purposes, and how they look. They run no script."""

from html import escape

from chalicelib.kernel.languages import Language
from chalicelib.members.models import ACCOUNT_PURPOSE, MARKETING_PURPOSE

CHANNELS = {
    Language.ZH: {
        "sms": "短信", "email": "电子邮件", "wechat": "微信", "phone": "电话", "app": "应用通知", "post": "信件",
    },
    Language.EN: {
        "sms": "text messages", "email": "e-mail", "wechat": "WeChat", "phone": "calls", "app": "app messages",
        "post": "letters",
    },
}  # fmt: skip

PURPOSES = {
    Language.ZH: {ACCOUNT_PURPOSE: "会员账户通知", MARKETING_PURPOSE: "优惠与活动"},
    Language.EN: {ACCOUNT_PURPOSE: "notices of your account", MARKETING_PURPOSE: "offers and news"},
}
"""What members call purposes that every merchant has; topics are named by the title of their texts."""

_STYLE = """
:root{color-scheme:light dark;--ink:#1c1c1e;--soft:#5f5f66;--line:#e3e3e8;--card:#fff;--page:#f5f5f7;
--do:#0b63ce;--good:#1a7f37}
@media(prefers-color-scheme:dark){:root{--ink:#f2f2f5;--soft:#a1a1a8;--line:#38383d;--card:#1f1f23;--page:#121215;
--do:#6fb1ff;--good:#5fd07a}}
*{box-sizing:border-box}
body{font:17px/1.6 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;margin:0;color:var(--ink);
background:var(--page)}
main{max-width:36em;margin:0 auto;padding:2.5em 1em 4em}
h1{font-size:1.6em;line-height:1.25;margin:.2em 0 .5em}h2{font-size:1.05em;margin:0}
section{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:1em 1.1em .3em;margin:1em 0}
.text{color:var(--soft);font-size:.85em;margin:.3em 0;white-space:pre-line}
ul{list-style:none;margin:.4em 0 0;padding:0}
li{display:flex;align-items:center;gap:.8em;min-height:3.1em;border-top:1px solid var(--line)}
li:first-child{border-top:0}
.channel{flex:1}.channel::first-letter,h2::first-letter{text-transform:uppercase}
.on{color:var(--good)}.off{color:var(--soft)}form{margin:0}
button{font:inherit;font-size:.92em;color:var(--do);background:none;border:1px solid currentColor;
border-radius:999px;padding:.35em 1.1em;min-height:2.6em;cursor:pointer}
button:focus-visible,a:focus-visible{outline:3px solid var(--do);outline-offset:2px}
.all{width:100%;margin-top:.6em}a{color:var(--do)}
.do{font-weight:600;font-size:1.05em;color:var(--card);background:var(--do);border-color:var(--do);padding:.55em 2em;
min-width:min(16em,100%)}
.saved{background:var(--card);border:1px solid var(--good);border-radius:10px;padding:.5em 1em}
.turn{text-align:right;margin:0;font-size:.85em}.turn a{display:inline-block;padding:.4em 0 .4em 1em}
.whose{float:left;margin:0;color:var(--soft);font-size:.85em;padding:.4em 0;max-width:75%}h1{clear:both}
article+article{border-top:1px solid var(--line);margin-top:2em;padding-top:1em}
""".replace("\n", "")


def turn(language: Language, more: str = "") -> str:
    """The link to the same page in the other language.

    Args:
        more: of the query, escaped.
    """
    other, name = (Language.EN, "English") if language is Language.ZH else (Language.ZH, "中文")
    return f'<p class="turn"><a href="?language={other.value}{more}" lang="{other.value}">{name}</a></p>'


def page(language: Language, title: str, inside: str, *, program: str = "") -> str:
    """A page for people. What stands inside is escaped by who writes it.

    Args:
        program: whose page it is; left out where nobody is told that.
    """
    whose = f'<p class="whose">{escape(program)}</p>' if program else ""
    title = f"{title} · {escape(program)}" if program else title
    return (
        f'<!doctype html>\n<html lang="{language.value}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{title}</title><style>{_STYLE}</style>\n<main>{whose}{inside}</main>\n</html>\n"
    )


# ---------------------------------------------------------------- what did not work

_BROKEN, _NOT_HERE, _LATER = "broken", "not_here", "later"

_FAULTS = {
    Language.ZH: {
        _BROKEN: (
            "这个链接打不开",
            "链接可能不完整。请直接点开消息里的链接，或把它完整地复制到浏览器中。",
            "如果仍然打不开，请登录您的会员账户更改消息设置，或联系门店：我们会为您停止发送。",
        ),
        _NOT_HERE: (
            "这里不能开启接收",
            "这类消息目前不征求同意，或者链接已经太旧。没有任何设置被更改。",
            "要重新接收，请登录您的会员账户，或在门店办理。要停止接收，这个链接一直有效。",
        ),
        _LATER: ("请稍后再试", "现在无法处理您的请求。", "请过一会儿再点开消息里的链接。"),
    },
    Language.EN: {
        _BROKEN: (
            "This link does not work",
            "It may have lost its end. Please open it from the message itself, or copy all of it into your browser.",
            "If that does not help, sign in and change there what you are sent, or ask in a shop: we will stop it.",
        ),
        _NOT_HERE: (
            "This cannot be switched on here",
            "It is not asked for at the moment, or the link is too old. Nothing was changed.",
            "To be sent it again, sign in or ask in a shop. To stop messages, this link stays good.",
        ),
        _LATER: (
            "Please try again later",
            "We cannot do this at the moment.",
            "Please open the link of the message again in a while.",
        ),
    },
}


def fault_page(status: int, language: Language | None) -> str:
    """The page that says that a link did not work, and what to do; in both languages where none was asked for.

    It depends on nothing but the status: a link that is forged, cut or of somebody else is answered alike.
    """
    kind = _LATER if status == 429 or status >= 500 else _NOT_HERE if status == 409 else _BROKEN
    asked = (language,) if language else (Language.ZH, Language.EN)
    articles = (f'<article lang="{each.value}">{_fault(*_FAULTS[each][kind])}</article>' for each in asked)
    title = " · ".join(_FAULTS[each][kind][0] for each in asked)
    return page(asked[0], title, (turn(language) if language else "") + "".join(articles))


def _fault(title: str, lead: str, help_: str) -> str:
    return f"<h1>{title}</h1><p>{lead}</p><p>{help_}</p>"
