"""What may be given in a round, to whom and how often: pure, no clock and no I/O.

Invariants
- A coupon is redeemed once, a delivery is recorded once under its id, a photo proves one delivery.
- What is given out and not returned is never more than there are packages: the stock goes down by one with each
  delivery and never below nothing, whatever was promised.
- A coupon is handed along step by step, PSM, RW, resident; none is passed over.
- A package is given within the round's region; elsewhere in it than the list says only with the reason.
- What was fetched before its bearer was erased is recorded though it is told later: it is on the shelf no more. Who it
  was and where is not kept.
- Everything refused says why, and what to do, in Indonesian and English.
"""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSet, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from tepat_contracts import regions

State = Literal["allocated", "delivered", "returned", "unclaimed"]
Step = Literal["psm", "rw", "resident"]
STEPS: Final[tuple[Step, ...]] = ("psm", "rw", "resident")
Reason = Literal[
    "mistyped", "forged", "not_listed", "not_reached", "coupon_needed", "outside", "redeemed", "returned", "unclaimed",
    "closed", "early", "late", "future", "id_taken", "photo_used", "no_stock", "not_yet", "passed_on",
    "area_unknown", "beyond", "elsewhere", "none_there", "hand_first", "handed_on",
]  # fmt: skip
AHEAD: Final = timedelta(minutes=5)
"""By how much an officer's clock may be fast."""

_SAID: Final[dict[Reason, tuple[str, str]]] = {
    "mistyped": (
        "kode tidak seperti yang tercetak: periksa setiap hurufnya",
        "the code is not as any was printed: look at it letter by letter",
    ),
    "forged": (
        "kupon ini bukan dari penyaluran ini: milik penyaluran lain, atau palsu; jangan berikan paket, laporkan",
        "this coupon was not issued for this round: it is another round's, or forged; give nothing, and report it",
    ),
    "not_listed": ("tidak ada dalam daftar penyaluran ini", "is not on the list of this round"),
    "not_reached": (
        "urutan ke-{place} dari {ranked} belum tercapai: semua dari {packages} paket sudah dibagikan atau dijanjikan "
        "kepada urutan sebelumnya",
        "place {place} of {ranked} is not reached: all of the {packages} packages are given out, or promised to those "
        "before it",
    ),
    "coupon_needed": (
        "penyaluran ini memakai kupon: tulis kodenya",
        "this round goes by coupons: give the code on it",
    ),
    "area_unknown": ("tidak ada wilayah dengan kode itu", "there is no area of that code"),
    "beyond": (
        "tempat penyerahan, {where}, tidak di dalam wilayah penyaluran ini ({region}): serahkan paket di dalamnya; "
        "jika penerima sudah pindah, kembalikan kuponnya dengan `tepat round return`",
        "the place of the delivery, {where}, is not within this round's area ({region}): give the package within it; "
        "of somebody who moved away take the coupon back with `tepat round return`",
    ),
    "elsewhere": (
        "menurut daftar urutan {place} tinggal di {listed}, penyerahan di {where}: tulis alasannya (`elsewhere`), "
        "misalnya pindah rumah",
        "the list has place {place} in {listed}, the delivery was in {where}: say why (`elsewhere`), such as that they "
        "moved",
    ),
    "outside": ("di luar wilayah Anda", "it lies outside your regions"),
    "redeemed": (
        "kupon urutan {place} sudah dipakai {at} (penyerahan {by})",
        "the coupon of place {place} was redeemed {at} (delivery {by})",
    ),
    "returned": (
        "paket urutan {place} sudah dikembalikan dan menjadi hak urutan berikutnya",
        "the package of place {place} was returned, and is the next one's",
    ),
    "unclaimed": (
        "urutan {place} tidak mengambil sampai hari penutupan; paketnya menjadi hak urutan berikutnya",
        "place {place} did not come by the closing day; the package is the next one's",
    ),
    "closed": ("penyaluran ini sudah ditutup", "this round is closed"),
    "early": ("penyaluran baru dimulai {day}", "the round begins on {day}"),
    "late": (
        "hari penutupan ({closes}) sudah lewat; perpanjang dengan `tepat round close --next-until`",
        "the closing day, {closes}, was over; `tepat round close --next-until` gives the next ones time",
    ),
    "future": ("waktunya belum tiba: periksa jam", "that moment is yet to come: look at the clock"),
    "id_taken": (
        "nomor penyerahan ini sudah dipakai untuk penyerahan lain: pakai nomor lain",
        "that delivery id stands for another delivery: take another",
    ),
    "photo_used": (
        "foto ini sudah menjadi bukti penyerahan lain: satu foto untuk satu penyerahan",
        "that photo is the proof of another delivery: take one of this delivery",
    ),
    "no_stock": (
        "paket habis: tidak ada yang tersisa dari {packages} paket",
        "no package is left of {packages}",
    ),
    "not_yet": (
        "kupon urutan {place} belum sampai di sana: serahkan dulu kepada {step}",
        "the coupon of place {place} is not that far: it is handed to the {step} first",
    ),
    "none_there": (
        "tidak ada kupon penyaluran ini yang berlaku di {region}: lihat `tepat round progress`",
        "no coupon of this round is to be redeemed in {region}: `tepat round progress` says where there are",
    ),
    "handed_on": (
        "semua kupon yang berlaku di {region} sudah diserahkan lebih lanjut",
        "all coupons that are to be redeemed in {region} were handed further along",
    ),
    "hand_first": (
        "belum ada yang bisa diserahkan kepada {to} di {region}: {waiting} kupon menunggu; serahkan dulu kepada {step}",
        "nothing in {region} can be handed to the {to} yet: {waiting} coupons wait; hand them to the {step} first",
    ),
    "passed_on": (
        "kupon urutan {place} sudah diserahkan lebih lanjut",
        "the coupon of place {place} was handed further along",
    ),
}


class Round(NamedTuple):
    """A round as it stands: `packages` are all there are, `stock` those not given out, `ranked` all on its list."""

    day: date
    closes: date
    open: bool
    by_coupon: bool
    packages: int
    stock: int
    ranked: int
    region: str


class Coupon(NamedTuple):
    """What a place on the list was promised. `held` is how many steps of the chain it was handed along; of somebody
    `erased` who had not fetched it by then, `left_at` is when that was."""

    place: int
    region: str
    state: State = "allocated"
    held: int = 0
    delivery_id: str | None = None
    delivered_at: datetime | None = None
    erased: bool = False
    left_at: datetime | None = None


class Proof(NamedTuple):
    """A photo or a signed receipt, by the SHA-256 of its file, in hexadecimal."""

    kind: Literal["photo", "receipt"]
    sha256: str


class Delivery(NamedTuple):
    """A package given: when, by which officer, where, and what proves it. `place` is that on the round's list;
    `elsewhere` says why it was given where the list does not say."""

    delivery_id: str
    place: int
    at: datetime
    officer: str
    region: str
    coordinates: tuple[float, float] | None
    proof: Proof
    elsewhere: str | None = None


class Outcome(NamedTuple):
    """What became of something asked: `again` changes nothing, `refused` says why in Indonesian and English."""

    outcome: Literal["recorded", "again", "refused"]
    place: int | None
    reason: Reason | None = None
    why: tuple[str, str] | None = None


class Here(NamedTuple):
    """When it is asked, by whose clocks days turn, and which regions who asks may act in."""

    now: datetime
    zone: ZoneInfo
    may: Callable[[str], bool]


def refused(reason: Reason, place: int | None = None, **told: object) -> Outcome:
    """A refusal, its words filled in."""
    indonesian, english = _SAID[reason]
    told = {"place": place, **told}
    return Outcome("refused", place, reason, (indonesian.format(**told), english.format(**told)))


def deliver(
    round_: Round,
    asked: Iterable[Delivery | Outcome],
    *,
    coupons: MutableMapping[int, Coupon],
    known: MutableMapping[str, Delivery],
    photos: MutableSet[str],
    here: Here,
) -> tuple[int, list[Outcome]]:
    """The stock that is left, and what becomes of each asked, in their order; a refusal stays one.

    Args:
        coupons: of the places asked for; those redeemed are replaced.
        known: deliveries recorded before under the ids asked for; those recorded now are added, as they are to be kept.
        photos: SHA-256 of photos that prove deliveries, as far as they are asked for; likewise.
    """
    stock, outcomes = round_.stock, list[Outcome]()
    for each in asked:
        if isinstance(each, Outcome):
            outcomes.append(each)
            continue
        coupon = coupons.get(each.place)
        kept = each._replace(coordinates=None, elsewhere=None) if coupon is not None and coupon.erased else each
        if (before := known.get(each.delivery_id)) is not None:
            same = before == kept
            outcomes.append(Outcome("again", each.place) if same else refused("id_taken", each.place))
            continue
        why = _not_to_be_given(round_, each, coupon, here)
        if why is None and each.proof.kind == "photo" and each.proof.sha256 in photos:
            why = refused("photo_used", each.place)
        if why is None and stock == 0:
            why = refused("no_stock", each.place, packages=round_.packages)
        if why is not None:
            outcomes.append(why)
            continue
        stock -= 1
        coupons[each.place] = coupons[each.place]._replace(
            state="delivered", delivery_id=each.delivery_id, delivered_at=each.at, left_at=None
        )
        known[each.delivery_id] = kept
        if each.proof.kind == "photo":
            photos.add(each.proof.sha256)
        outcomes.append(Outcome("recorded", each.place))
    return stock, outcomes


def _not_to_be_given(round_: Round, asked: Delivery, coupon: Coupon | None, here: Here) -> Outcome | None:
    """Why a package is not to be given for a place, stock and proof apart."""
    place = asked.place
    if coupon is None:
        return refused("not_reached", place, ranked=round_.ranked, packages=round_.packages)
    if not here.may(coupon.region):
        return refused("outside", place)
    if coupon.state != "allocated" and (coupon.left_at is None or asked.at >= coupon.left_at):
        return _done(coupon, here)
    return _out_of_time(round_, asked, here) or _out_of_place(round_, asked, coupon)


def _out_of_time(round_: Round, asked: Delivery, here: Here) -> Outcome | None:
    on = asked.at.astimezone(here.zone).date()
    if not round_.open:
        return refused("closed", asked.place)
    if asked.at > here.now + AHEAD:
        return refused("future", asked.place)
    if on < round_.day:
        return refused("early", asked.place, day=round_.day)
    return refused("late", asked.place, closes=round_.closes) if on > round_.closes else None


def _out_of_place(round_: Round, asked: Delivery, coupon: Coupon) -> Outcome | None:
    """A place told as an area that holds the one on the list, such as its kecamatan, tells nothing else."""
    where, listed = asked.region, coupon.region
    if not regions.holds([round_.region], where):
        return refused("beyond", asked.place, where=where, region=round_.region)
    if asked.elsewhere is None and not (regions.holds([listed], where) or regions.holds([where], listed)):
        return refused("elsewhere", asked.place, where=where, listed=listed)
    return None


def _done(coupon: Coupon, here: Here) -> Outcome:
    if coupon.state == "delivered" and coupon.delivered_at is not None:
        at = f"{coupon.delivered_at.astimezone(here.zone):%Y-%m-%d %H:%M}"
        return refused("redeemed", coupon.place, at=at, by=coupon.delivery_id)
    return refused("returned" if coupon.state == "returned" else "unclaimed", coupon.place)


def take_back(
    round_: Round, asked: Iterable[int | Outcome], *, coupons: MutableMapping[int, Coupon], here: Here
) -> tuple[int, list[Outcome]]:
    """The stock after these places gave their coupons or packages back, and what becomes of each.

    A package that was delivered is in stock again; a coupon that was not redeemed is only promised to nobody. Of
    somebody erased it is known from then on that they did not fetch it.
    """
    stock, outcomes = round_.stock, list[Outcome]()
    for each in asked:
        if isinstance(each, Outcome):
            outcomes.append(each)
            continue
        coupon = coupons.get(each)
        if coupon is None:
            outcomes.append(refused("not_reached", each, ranked=round_.ranked, packages=round_.packages))
        elif not here.may(coupon.region):
            outcomes.append(refused("outside", each))
        elif coupon.state == "returned" and coupon.left_at is None:
            outcomes.append(Outcome("again", each))
        elif not round_.open or coupon.state == "unclaimed":
            outcomes.append(refused("closed" if not round_.open else "unclaimed", each))
        else:
            stock += coupon.state == "delivered"
            coupons[each] = coupon._replace(state="returned", left_at=None)
            outcomes.append(Outcome("recorded", each))
    return stock, outcomes


def hand(
    asked: Sequence[int | Outcome], to: Step, *, coupons: MutableMapping[int, Coupon], here: Here
) -> list[Outcome]:
    """What becomes of each coupon that is handed to the PSM, the RW or the resident."""
    step, outcomes = STEPS.index(to) + 1, list[Outcome]()
    for each in asked:
        if isinstance(each, Outcome):
            outcomes.append(each)
            continue
        coupon = coupons.get(each)
        if coupon is None:
            outcomes.append(refused("not_listed", each))
        elif not here.may(coupon.region):
            outcomes.append(refused("outside", each))
        elif coupon.held == step:
            outcomes.append(Outcome("again", each))
        elif coupon.state != "allocated":
            outcomes.append(_done(coupon, here))
        elif coupon.held > step:
            outcomes.append(refused("passed_on", each))
        elif coupon.held < step - 1:
            outcomes.append(refused("not_yet", each, step=STEPS[coupon.held].upper()))
        else:
            coupons[each] = coupon._replace(held=step)
            outcomes.append(Outcome("recorded", each))
    return outcomes


def nothing_to_hand(to: Step, region: str, waiting: Mapping[int, int]) -> Outcome:
    """Why nothing of an area can be handed to the PSM, the RW or the resident.

    Args:
        waiting: of the coupons to be redeemed there, how many were handed along so many steps.
    """
    before = [held for held in waiting if held < STEPS.index(to)]
    if not before:
        return refused("handed_on" if waiting else "none_there", region=region)
    last = max(before)
    return refused("hand_first", region=region, waiting=waiting[last], step=STEPS[last].upper(), to=to.upper())
