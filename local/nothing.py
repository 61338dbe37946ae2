"""What a browser is shown where nothing is: words, and where to go on. Others get the problem."""

from chalicelib.api.problems import STATUS
from chalicelib.kernel.languages import Language
from chalicelib.privacy.service.pages import fault_page, page
from chalicelib.reach.links import PATH, PREFERENCES_PATH

_LINKS = tuple(each.rstrip("/") for each in (PATH, PREFERENCES_PATH))
_WORDS = {
    Language.ZH: ("这里没有页面", "地址可能输错了，或者页面已经不在。", "员工登录", "接口文档"),
    Language.EN: (
        "There is nothing here",
        "The address may be mistyped, or what was here is gone.",
        "Staff sign-in",
        "Documentation of the API",
    ),
}


def nothing_page(path: str, language: Language | None) -> str:
    """The page for an address that leads nowhere; a link that lost its token is told of as a broken one."""
    if path.startswith(_LINKS):
        return fault_page(STATUS["route_unknown"], language)
    title, lead, sign_in, docs = _WORDS[language or Language.EN]
    links = f'<p><a href="/sign-in">{sign_in}</a> · <a href="/docs">{docs}</a></p>'
    return page(language or Language.EN, title, f"<h1>{title}</h1><p>{lead}</p>{links}")
