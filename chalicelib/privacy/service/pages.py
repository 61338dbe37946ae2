"""What pages behind links have in common: words for channels and purposes, and how they look. They run no script."""

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
.saved{background:var(--card);border:1px solid var(--good);border-radius:10px;padding:.5em 1em}
.turn{text-align:right;margin:0;font-size:.85em}
""".replace("\n", "")


def page(language: Language, title: str, inside: str) -> str:
    """A page for people. What stands inside is escaped by who writes it."""
    return (
        f'<!doctype html>\n<html lang="{language.value}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{title}</title><style>{_STYLE}</style>\n<main>{inside}</main>\n</html>\n"
    )
