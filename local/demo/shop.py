"""The coffee chain of the demo: its shops, its menu, its program."""

from dataclasses import dataclass
from typing import Any

from chalicelib.consents.models import ContactChannel, PublishConsentText
from chalicelib.programs.models import DEFAULT_TERMS

SHOPS = ("shp_jingan", "shp_lujiazui", "shp_xujiahui", "shp_hongqiao")
"""The last opened half a year ago."""
SHOP_NAMES = {
    "shp_jingan": {"zh": "静安寺店", "en": "Jing'an Temple"},
    "shp_lujiazui": {"zh": "陆家嘴店", "en": "Lujiazui"},
    "shp_xujiahui": {"zh": "徐家汇店", "en": "Xujiahui"},
    "shp_hongqiao": {"zh": "虹桥店", "en": "Hongqiao"},
}
"""What they are called, by language: shops have no names in the product itself."""

NEWEST = SHOPS[-1]
CODES = dict(zip(SHOPS, ("JA", "LJZ", "XJH", "HQ"), strict=True))


@dataclass(frozen=True, slots=True)
class Product:
    """Something on the menu."""

    sku: str
    name: str
    category: str
    price_minor: int


COFFEE = (
    Product("COF-AME-M", "美式 Americano", "咖啡", 2500),
    Product("COF-LAT-M", "拿铁 Latte", "咖啡", 3200),
    Product("COF-LAT-L", "拿铁（大杯）Latte L", "咖啡", 3600),
    Product("COF-OAT-M", "燕麦拿铁 Oat Latte", "咖啡", 3600),
    Product("COF-CAP-M", "卡布奇诺 Cappuccino", "咖啡", 3200),
    Product("COF-FLW-S", "澳白 Flat White", "咖啡", 3400),
    Product("COF-OSM-M", "桂花拿铁 Osmanthus Latte", "咖啡", 3800),
    Product("COF-CLD-M", "冷萃 Cold Brew", "咖啡", 3300),
    Product("COF-DRP-S", "手冲耶加雪菲 Yirgacheffe Drip", "咖啡", 4500),
)
TEA = (
    Product("TEA-LMN-M", "鸭屎香柠檬茶 Lemon Tea", "茶饮", 2800),
    Product("TEA-MAT-M", "抹茶牛乳 Matcha", "茶饮", 3400),
)
FOOD = (
    Product("FOO-CRO-1", "可颂 Croissant", "烘焙", 1800),
    Product("FOO-BAG-1", "三文鱼贝果 Salmon Bagel", "轻食", 3800),
    Product("FOO-CHC-1", "巴斯克芝士 Basque Cheesecake", "烘焙", 3200),
    Product("FOO-SCN-1", "司康 Scone", "烘焙", 1600),
    Product("FOO-SAL-1", "鸡肉藜麦沙拉 Chicken Quinoa Salad", "轻食", 4200),
)
RETAIL = (
    Product("RET-BEA-250", "云南日晒咖啡豆 250g Yunnan Beans", "零售", 9800),
    Product("RET-DRP-10", "挂耳咖啡 10 包 Drip Bags", "零售", 7900),
    Product("RET-MUG-1", "常客马克杯 Mug", "零售", 8800),
)

_DRINKS = ("拿铁", "燕麦拿铁", "美式", "澳白", "冷萃", "抹茶")

CUSTOM_FIELDS: dict[str, Any] = {
    "favourite_drink": {"type": "choice", "label": {"zh": "最爱饮品", "en": "Favourite drink"}, "choices": _DRINKS},
    "cups_a_week": {"type": "integer", "label": {"zh": "每周几杯", "en": "Cups a week"}},
    "own_cup": {"type": "boolean", "label": {"zh": "自带杯", "en": "Brings own cup"}},
    "company": {"type": "text", "label": {"zh": "公司", "en": "Company"}},
    "last_tasting": {"type": "date", "label": {"zh": "上次品鉴会", "en": "Last tasting"}},
}
DRINKS = _DRINKS

_TIERS = (
    ("basic", "普通会员", "Basic", 0, 100, 20),
    ("silver", "银卡", "Silver", 500, 110, 50),
    ("gold", "金卡", "Gold", 2_000, 125, 100),
    ("diamond", "钻石", "Diamond", 6_000, 150, 300),
)

TERMS: dict[str, Any] = {
    **DEFAULT_TERMS,
    "name": {"zh": "常客咖啡", "en": "Regulars Coffee"},
    "ladder": {
        "tiers": [
            {
                "tier_id": tier_id,
                "name": {"zh": zh, "en": en},
                "threshold": threshold,
                "multiplier_percent": percent,
                "birthday_points": gift,
            }
            for tier_id, zh, en, threshold, percent, gift in _TIERS
        ]
    },
    "custom_fields": CUSTOM_FIELDS,
}
"""The default program with thresholds that coffee reaches, and fields of the merchant's own."""

TEXTS = (
    PublishConsentText(
        purpose="terms", text_version="2025-09",
        zh="我已阅读并同意会员章程和隐私政策：消费记录用于计算积分和等级，联系方式只用于本会员计划。",
        en="I have read and accept the membership terms and the privacy policy: purchases are kept to count points and "
        "tiers, and contact details are used for this program only.",
    ),
    PublishConsentText(
        purpose="marketing", channel=ContactChannel.SMS, text_version="2025-09",
        zh="我同意通过短信接收新品和优惠信息，可随时退订。",
        en="I agree to be told of new products and offers by text message, and can end it at any time.",
    ),
    PublishConsentText(
        purpose="marketing", channel=ContactChannel.EMAIL, text_version="2025-09",
        zh="我同意通过电子邮件接收新品和优惠信息，可随时退订。",
        en="I agree to be told of new products and offers by e-mail, and can end it at any time.",
    ),
)  # fmt: skip
"""What members of the chain consent to."""
