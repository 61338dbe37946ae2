"""Two shops' assortments and the baskets bought there: deterministic, and no kinder than real ones.

A coffee chain sells about sixty things under short codes. A supermarket sells about 3,000 under EAN-13 codes, with
Chinese names, spread over a few hundred makers; bestsellers are bought more often than the rest.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_DRINKS = ("拿铁", "美式", "卡布奇诺", "摩卡", "澳白", "焦糖玛奇朵", "燕麦拿铁", "生椰拿铁", "抹茶拿铁", "冷萃", "手冲")
_CUPS = (("中杯", 0), ("大杯", 300), ("超大杯", 600))
_FOODS = (
    "牛角包", "巧克力麦芬", "蓝莓麦芬", "芝士蛋糕", "提拉米苏", "火腿三明治", "鸡肉卷", "贝果", "司康", "曲奇",
    "肉桂卷", "金枪鱼三明治", "香蕉面包", "红豆面包", "可颂三明治", "坚果能量棒", "酸奶杯", "水果杯", "布朗尼",
    "柠檬挞", "抹茶千层", "榴莲千层", "鸡蛋沙拉", "凯撒沙拉", "瓶装水", "橙汁", "挂耳咖啡",
)  # fmt: skip

_BRANDS = (
    "蒙牛", "伊利", "光明", "康师傅", "统一", "农夫山泉", "娃哈哈", "海天", "李锦记", "金龙鱼", "福临门", "鲁花",
    "三只松鼠", "良品铺子", "洽洽", "旺旺", "达利园", "好丽友", "奥利奥", "乐事", "双汇", "雨润", "思念", "三全",
    "湾仔码头", "安井", "立白", "蓝月亮", "奥妙", "雕牌", "舒肤佳", "海飞丝", "清扬", "云南白药", "黑人", "佳洁士",
    "维达", "清风", "心相印", "洁柔", "雀巢", "百事", "可口可乐", "青岛", "雪花", "哈尔滨", "王老吉", "加多宝",
    "元气森林", "恒顺", "千禾", "太太乐", "老干妈", "乌江", "涪陵", "古龙", "梅林", "甘竹", "五丰", "十月稻田",
)  # fmt: skip
_KINDS: dict[str, tuple[str, ...]] = {
    "乳品": ("纯牛奶", "酸奶", "高钙奶", "脱脂牛奶", "儿童奶", "奶酪棒", "早餐奶", "乳酸菌饮料"),
    "饮料": ("矿泉水", "绿茶", "冰红茶", "橙汁", "可乐", "苏打水", "椰子水", "乌龙茶", "气泡水", "凉茶"),
    "粮油": ("五常大米", "花生油", "玉米油", "挂面", "小麦粉", "小米", "菜籽油", "东北大米"),
    "调味": ("生抽", "老抽", "蚝油", "陈醋", "料酒", "豆瓣酱", "鸡精", "辣椒酱", "食用盐", "白砂糖"),
    "零食": ("瓜子", "薯片", "饼干", "坚果", "牛肉干", "巧克力", "果冻", "雪饼", "话梅", "海苔"),
    "冷冻": ("水饺", "汤圆", "鱼丸", "手抓饼", "鸡翅", "馄饨", "虾仁", "包子"),
    "纸品": ("抽纸", "卷纸", "湿巾", "厨房纸", "手帕纸"),
    "日化": ("洗衣液", "洗洁精", "沐浴露", "洗发水", "牙膏", "香皂", "洁厕灵", "柔顺剂"),
    "方便食品": ("牛肉面", "自热火锅", "螺蛳粉", "火腿肠", "八宝粥", "榨菜", "午餐肉"),
    "酒水": ("啤酒", "白酒", "黄酒", "红葡萄酒", "米酒"),
}
_QUALIFIERS = ("", "原味", "经典", "无糖", "低脂", "特级", "有机", "香辣", "麻辣", "家庭装", "大包装", "清香型", "浓香")
_SIZES = ("", "", "大", "小", "袋装", "瓶装", "盒装", "整箱")


@dataclass(frozen=True)
class Product:
    """Something on the shelf."""

    sku: str
    name: str
    category: str
    price_minor: int


@dataclass(frozen=True)
class Catalogue:
    """A shop's assortment, and how much of each is bought.

    Attributes:
        weights: how often each product is bought, relative to the others, added up.
        quantity: draws how many of a product are bought.
    """

    name: str
    products: Sequence[Product]
    weights: Sequence[float]
    quantity: Callable[[random.Random], int]

    def lines(self, chance: random.Random, count: int) -> list[dict[str, Any]]:
        """A basket of so many lines, no product twice while there are enough of them."""
        chosen: dict[str, Product] = {}
        tries = 0
        while len(chosen) < min(count, len(self.products)):
            tries += 1
            some = (
                chance.choices(self.products, cum_weights=self.weights)
                if tries < 20 * count
                else [chance.choice(self.products)]
            )
            chosen[some[0].sku] = some[0]
        return [
            {
                "sku": product.sku,
                "name": product.name,
                "category": product.category,
                "quantity": self.quantity(chance),
                "unit_price_minor": product.price_minor,
            }
            for product in chosen.values()
        ]


def coffee() -> Catalogue:
    """A coffee chain: 60 products, codes such as `LAT-M`."""
    products = []
    for number, (drink, (cup, more)) in enumerate(itertools.product(_DRINKS, _CUPS)):
        price = 2200 + number // 3 % 5 * 300 + more
        products.append(Product(f"D{number // 3 + 1:02d}-{'MLX'[number % 3]}", drink + cup, "饮品", price))
    for number, food in enumerate(_FOODS):
        products.append(Product(f"F{number + 1:02d}", food, "烘焙" if number < 22 else "零售", 1200 + number % 7 * 400))
    return Catalogue("coffee", products, _popularity(len(products)), lambda chance: chance.choice((1, 1, 1, 1, 2, 3)))


def supermarket(makers: int = 300, size: int = 3_000) -> Catalogue:
    """A supermarket: EAN-13 codes of Chinese makers (690–699), names of 4 to 12 characters."""
    chance = random.Random(690)
    codes = [_maker(chance) for _ in range(makers)]
    brands = [_brand(chance, number) for number in range(makers)]
    products: dict[str, Product] = {}
    names: set[str] = set()
    while len(products) < size:
        maker = min(int(chance.expovariate(1 / (makers / 3))), makers - 1)
        category = chance.choice(list(_KINDS))
        kind = chance.choice(_KINDS[category])
        name = (brands[maker] + chance.choice(_QUALIFIERS) + kind + chance.choice(_SIZES))[:12]
        sku = ean13(codes[maker] + f"{chance.randrange(10 ** (12 - len(codes[maker]))):0{12 - len(codes[maker])}d}")
        if len(name) >= 4 and name not in names and sku not in products:
            names.add(name)
            products[sku] = Product(sku, name, category, _price(chance))
    ordered = list(products.values())
    chance.shuffle(ordered)
    return Catalogue(
        "supermarket", ordered, _popularity(size), lambda chance: chance.choice((1, 1, 1, 1, 1, 2, 2, 3, 6))
    )


def ean13(twelve: str) -> str:
    """Twelve digits with the check digit of GS1."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(twelve))
    return twelve + str(-total % 10)


def till_order(shop: int, till: int, at: datetime, number: int) -> tuple[str, str]:
    """Channel and order number as tills make them: shop, till, day, running number."""
    return f"pos-{shop:04d}", f"{at:%Y%m%d}{shop:04d}{till:02d}{number:06d}"


def purchase_body(
    member: dict[str, Any], lines: list[dict[str, Any]], *, at: datetime, number: int, **fields: Any
) -> dict[str, Any]:
    """What a till sends for a basket."""
    channel, order_no = till_order(231, number % 7 + 1, at, number)
    return {
        "channel": channel,
        "order_no": order_no,
        "member": member,
        "shop_id": "shp_sh_0231",
        "occurred_at": at.isoformat(),
        "currency": "CNY",
        "lines": lines,
        "paid_minor": sum(line["quantity"] * line["unit_price_minor"] for line in lines),
        **fields,
    }


def _maker(chance: random.Random) -> str:
    """A GS1 company prefix: 690–691 with four more digits, 692–699 with five or six."""
    country = chance.randrange(690, 700)
    digits = 4 if country < 692 else chance.choice((5, 5, 5, 6))
    return f"{country}{chance.randrange(10**digits):0{digits}d}"


def _brand(chance: random.Random, number: int) -> str:
    if number < len(_BRANDS):
        return _BRANDS[number]
    syllables = "嘉禾盛源福康乐美佳丰华泰宏达信诚德兴隆鑫瑞祥和顺安润泽恒通明辉旭东海山川江湖林森田野春夏秋冬"
    return "".join(chance.sample(syllables, chance.choice((2, 2, 3))))


def _price(chance: random.Random) -> int:
    """Prices as on shelves: mostly a few yuan, ending in 9, 8, 5 or 0."""
    yuan = int(chance.lognormvariate(2.4, 0.8)) + 1
    return yuan * 100 + chance.choice((0, 50, 80, 90, 99, 90, 80)) - 100 * (yuan > 1)


def _popularity(size: int) -> list[float]:
    """Zipf's law with exponent 0.8, added up for `random.choices`."""
    return list(itertools.accumulate(1 / (rank + 1) ** 0.8 for rank in range(size)))
