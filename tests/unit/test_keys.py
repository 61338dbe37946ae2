"""The key schema: what is different has another key, and what a key says can be read back."""

from datetime import date, datetime, timedelta
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import packed
from chalicelib.storage import keys
from chalicelib.storage.keys import Key, joined, parted

MEMBER = "mem_abcdefghij234567"
tricky = st.one_of(
    st.text(alphabet="#%235a", max_size=6), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
lists_of_parts = st.lists(tricky, min_size=1, max_size=4)


@given(lists_of_parts)
def test_parts_are_read_back_as_they_were(parts: list[str]) -> None:
    assert parted(joined(*parts)) == tuple(parts)
    assert joined(*parts).count("#") == len(parts) - 1


@given(lists_of_parts, lists_of_parts)
def test_no_two_lists_of_parts_have_the_same_key(some: list[str], other: list[str]) -> None:
    assert (joined(*some) == joined(*other)) == (some == other)


def test_no_two_of_all_short_lists_of_escapes_have_the_same_key() -> None:
    """24,492 lists of one or two parts, all against all: 300 million pairs."""
    words = ["".join(letters) for length in range(4) for letters in product("#%235", repeat=length)]
    lists = [*((word,) for word in words), *product(words, repeat=2)]

    assert len({joined(*parts) for parts in lists}) == len(lists) == 24_492


@given(tricky, tricky, st.sampled_from(["spend", "adjust", "expire", "close"]))
def test_an_entrys_kind_and_key_are_read_back_from_where_it_is_stored(first: str, second: str, kind: str) -> None:
    assert keys.entry_parts(keys.entry(kind, first, second)) == (kind, (first, second))
    assert keys.entry_parts(keys.entry("purchase", first, second)) == ("purchase", (first, second))
    assert keys.entry(kind, first, second) != keys.entry("purchase", first, second)


def test_a_purchase_is_stored_under_its_channel_and_order_number() -> None:
    assert keys.purchase("pos", "A#1%") == Key("O#pos#A%231%25", "O")
    assert keys.entry("purchase", "pos", "A#1%") == Key("O#pos#A%231%25", "O")
    assert keys.entry("spend", "k") == Key("K#spend#k", "O")


@given(tricky, tricky)
def test_a_purchases_id_leads_to_where_it_is_stored(channel: str, order_no: str) -> None:
    assert keys.purchase_of(keys.purchase_id(channel, order_no)) == keys.purchase(channel, order_no)


@given(tricky, tricky, st.sampled_from(["spend", "purchase", "top_up"]))
def test_an_entrys_id_leads_to_where_it_is_stored(first: str, second: str, kind: str) -> None:
    key = keys.entry(kind, "crd_abcdefghij234567" if kind == "top_up" else first, second)
    assert keys.entry_of(keys.entry_id(key)) == key
    if kind == "top_up":
        assert keys.entry_parts(key) == (kind, ("crd_abcdefghij234567", second))
    back = keys.purchase_return(first, second, "k")
    assert keys.entry_of(keys.entry_id(back)) == back


@given(
    st.one_of(
        st.from_regex(r"\Aent_[A-Za-z0-9_-]{4,40}\Z"),
        st.tuples(st.sampled_from(["R", "K", "O", "C", "M", ""]), tricky, tricky).map(
            lambda parts: "ent_" + packed(joined(*parts))
        ),
        st.sampled_from(["C#a", "M#a", "O#a#b", "K#a", "PROGRAM"]).flatmap(
            lambda pk: st.sampled_from(["PROFILE", "ACCOUNT", "TU", "RF", "", "O"]).map(
                lambda sk: "ent_" + packed(joined("R", pk, sk))
            )
        ),
    )
)
def test_what_is_no_entrys_id_leads_nowhere_and_never_to_another_kind_of_item(text: str) -> None:
    key = keys.entry_of(text)
    if key is not None:
        assert keys.entry_id(key) == text
        assert key.sk == "O" or key.sk[:3] in ("RF#", "TU#")
        assert keys.entry_parts(key)


@given(st.one_of(st.from_regex(r"\Apur_[A-Za-z0-9_-]{4,40}\Z"), st.text(max_size=12).map(lambda text: "pur_" + text)))
def test_anything_else_is_no_purchases_id(text: str) -> None:
    """What is no id leads nowhere, and no two ids lead to the same purchase."""
    found = keys.purchase_of(text)
    if found is not None:
        channel, order_no = keys.entry_parts(found)[1]
        assert keys.purchase_id(channel, order_no) == text


def test_ids_of_too_few_parts_too_many_or_another_spelling_lead_nowhere() -> None:
    plain = ["", "pos", "pos#1#2", "pos#%", "pos#%41", "pos#%2"]
    assert [keys.purchase_of("pur_" + packed(text)) for text in plain] == [None] * len(plain)


@given(
    st.tuples(st.integers(0, 2**44 - 1), st.integers(0, 2**28 - 1)),
    st.tuples(st.integers(0, 2**44 - 1), st.integers(0, 2**28 - 1)),
)
def test_the_timeline_sorts_by_instant_and_then_by_number(some: tuple[int, int], other: tuple[int, int]) -> None:
    first, second = (keys.moment(from_milliseconds(at), number) for at, number in (some, other))

    assert (first < second) == (some < other)
    assert keys.moment_parts(first) == some
    assert len(first) == 18


def test_the_timeline_sorts_right_until_the_year_2527() -> None:
    assert milliseconds(datetime.fromisoformat("2527-01-01T00:00:00+00:00")) < 2**44
    assert milliseconds(datetime.fromisoformat("2528-01-01T00:00:00+00:00")) > 2**44


def test_what_belongs_to_a_member_has_keys_of_its_own() -> None:
    made = [
        keys.profile(MEMBER),
        keys.account(MEMBER),
        keys.unique("mobile", "blind"),
        keys.program_version(12),
        keys.PROGRAM_HEAD,
    ]
    assert made == [
        Key("M#abcdefghij234567", "PROFILE"),
        Key("M#abcdefghij234567", "ACCOUNT"),
        Key("U#mobile#blind", "U"),
        Key("PROGRAM", "V#000012"),
        Key("PROGRAM", "HEAD"),
    ]
    assert (keys.statement(MEMBER), keys.happenings(MEMBER)) == ("M#abcdefghij234567", "H#abcdefghij234567")


def test_what_is_due_on_a_day_is_spread_over_all_shards_and_a_member_stays_on_one() -> None:
    day = date(2026, 3, 31)
    members = [f"mem_{index:016d}" for index in range(800)]
    found = {keys.due(day, member) for member in members}

    assert found == {f"DUE#2026-03-31#{shard}" for shard in range(keys.DUE_SHARDS)}
    assert keys.due(day, MEMBER) == keys.due(day, MEMBER) != keys.due(day + timedelta(days=1), MEMBER)
    assert keys.birthday("02-29", MEMBER) == f"BDAY#02-29#{keys.shard_of(MEMBER)}"


@given(tricky, tricky, tricky)
def test_a_return_lies_with_its_purchase_and_has_an_id_of_its_own(channel: str, order_no: str, key: str) -> None:
    found = keys.entry("return", channel, order_no, key)
    assert found.pk == keys.purchase(channel, order_no).pk
    assert keys.entry_parts(found) == ("return", (channel, order_no, key))
    assert keys.entry_id(found) != keys.entry_id(keys.purchase(channel, order_no))


@given(tricky, tricky)
def test_a_restatement_lies_beside_the_returns_and_is_none(channel: str, order_no: str) -> None:
    found = keys.entry("restatement", channel, order_no, "3")
    assert found.pk == keys.purchase(channel, order_no).pk
    assert keys.entry_parts(found) == ("restatement", (channel, order_no, "3"))
    assert keys.entry_id(found) != keys.entry_id(keys.entry("return", channel, order_no, "3"))
    assert "RF#" < keys.entry("return", channel, order_no, "\uffff").sk < found.sk < "RS#\U0010ffff"


def test_jobs_keep_runs_attempts_counters_and_parts_apart() -> None:
    day = date(2026, 3, 15)
    attempt = keys.job_attempt("expire", day, 2, dry_run=False)
    made = {
        keys.job_head("expire"),
        keys.job_run("expire", day, dry_run=False),
        keys.job_run("expire", day, dry_run=True),
        keys.job_count(attempt, 3),
        keys.job_part(attempt, "0.1!mem_x#y"),
    }
    assert len(made) == 5
    assert keys.job_attempt("expire", day, 2, dry_run=True) != attempt
    assert keys.job_part(attempt, "a#b").sk == "P#a%23b"
