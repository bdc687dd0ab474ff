"""List filters that stay usable and fast with any number of choices."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, ClassVar, Self, cast
from urllib.parse import parse_qsl

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from partners import scoping
from partners.models import Partner, Tenant


class _Worded(admin.FieldListFilter):
    """One of Django's filters with our own title and choices."""

    words: ClassVar[dict[str, str]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = self.words["title"]

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            name = str(choice["display"])
            yield {**choice, "display": self.words.get(name, name)}


class RetiredFilter(_Worded, admin.EmptyFieldListFilter):
    """Filter by whether something is active or retired."""

    words: ClassVar = {"title": "state", "Empty": "Active", "Not empty": "Retired"}


class CheckFilter(_Worded, admin.BooleanFieldListFilter):
    """Filter by the result of a connection's last test."""

    words: ClassVar = {
        "title": "last test",
        "Yes": "Works",
        "No": "Failed",
        "Unknown": "Not tested",
    }


class NamedFilter(admin.SimpleListFilter):
    """Filter by something with a name: links if there are few, else a search box.

    The value is a whole name or a part of one, so that it can be typed. ``lookup`` leads from a row
    to what has the name; ``at`` creates the filter for one.
    """

    template = "admin/named_filter.html"
    lookup: str

    FEW = 12
    """Up to this many are links."""
    LEAST = 2
    """With fewer, there is nothing to choose."""
    SUGGESTED = 1_000
    """The most names the search box suggests."""

    @classmethod
    def at(cls, lookup: str) -> type[Self]:
        return type(cls.__name__, (cls,), {"lookup": lookup})

    def names(self, user: User) -> Iterable[tuple[str, str]]:
        """Yield value and label of everything that ``user`` may choose, in order."""
        raise NotImplementedError

    def called(self, text: str, user: User) -> Iterable[Any]:
        """Return the keys of what is named ``text``; if none, of all whose name contains it."""
        raise NotImplementedError

    # --- Django's interface ---------------------------------------------------------------------

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(islice(self.names(cast(User, request.user)), self.SUGGESTED))

    def has_output(self) -> bool:
        return len(self.lookup_choices) >= self.LEAST or bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        text = (self.value() or "").strip()
        if not text:
            return queryset
        keys = list(self.called(text, cast(User, request.user)))
        return queryset.filter(**{f"{self.lookup}__in": keys})

    @property
    def is_search(self) -> bool:
        return len(self.lookup_choices) > self.FEW

    def choices(self, changelist: Any) -> Iterator[Any]:
        if not self.is_search:
            yield from super().choices(changelist)
            return
        others = changelist.get_query_string(remove=[str(self.parameter_name), "p"])
        yield {
            "others": parse_qsl(others.removeprefix("?")),
            "without": others,
            "suggestions": format_html_join(
                "",
                '<option value="{}">{}</option>',
                ((value, "" if label == value else label) for value, label in self.lookup_choices),
            ),
        }


class TenantFilter(NamedFilter):
    title, parameter_name = "tenant", "tenant"

    def names(self, user: User) -> Iterator[tuple[str, str]]:
        tenants = self._visible(user).order_by("partner", "code")
        for code, name, partner in tenants.values_list("code", "name", "partner"):
            text = f"{name or code} ({partner})"
            yield text, text

    def called(self, text: str, user: User) -> Iterable[Any]:
        # As str() writes it: the name or code, and the partner.
        name, _, partner = text.removesuffix(")").rpartition(" (")
        whole = Q(name=name) | Q(name="", code=name)
        found = self._visible(user).filter(whole, partner=partner).values_list("pk", flat=True)
        if partner and (keys := list(found)):
            return keys
        part = Q(code__icontains=text) | Q(name__icontains=text)
        return self._visible(user).filter(part).values_list("pk", flat=True)

    def _visible(self, user: User) -> QuerySet[Tenant]:
        tenants = Tenant.objects.order_by()
        return scoping.visible(tenants, user, partner="partner", tenant="pk")


class PartnerFilter(NamedFilter):
    title, parameter_name = "partner", "partner"

    def names(self, user: User) -> Iterable[tuple[str, str]]:
        return self._visible(user).values_list("pk", "name")

    def called(self, text: str, user: User) -> Iterable[Any]:
        keys = self._visible(user).values_list("pk", flat=True)
        return list(keys.filter(pk=text)) or keys.filter(
            Q(name__icontains=text) | Q(pk__icontains=text)
        )

    def _visible(self, user: User) -> QuerySet[Partner]:
        if user.is_superuser:
            return Partner.objects.all()
        return Partner.objects.filter(memberships__user=user)
