"""Commands at a real API server: who may add which line, whose lines stay, and what is said to who may not."""

from __future__ import annotations

import itertools

import pytest

from seatrial.core.commands import KEPT, Action, Command, append, parse
from tests.api.conftest import OBJECTS
from tests.authority.conftest import CHART, MERGE, Person, Place, eventually, refusal

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]

REVISION = "e04d5521aa"
_numbers = itertools.count(1)

UNREADABLE = (
    "a line of the annotation seatrial.dev/commands is not a command: write NONCE ACTION REVISION BY REASON with one "
    "space between, or use the command seatrial, which does"
)
RECORD = (
    "lines of the annotation seatrial.dev/commands are a record: they are not changed, moved or removed; new ones are "
    "added at the end, and the oldest are left out when there are more than eight"
)


@pytest.fixture
def model(people: dict[str, Person]) -> str:
    """A model of this test's own."""
    name = f"m{next(_numbers)}"
    assert people["eve"].create(name).status == 201
    return name


def line(person: Person, action: str, nonce: str = "n1", reason: str = "why") -> str:
    return f"{nonce} {action} {REVISION} {person.word} {reason}".rstrip()


# ---- who may what ------------------------------------------------------------------------------------------------------

OPERATE = [action for action in Action if action not in (Action.APPROVE, Action.ACCEPT, Action.SKIP_CHECKS)]
MAY: dict[str, set[Action]] = {"ann": set(OPERATE), "bob": {Action.APPROVE}, "fay": {Action.SKIP_CHECKS}, "eve": set()}
ROLES = {
    Action.APPROVE: ("may not approve", "approve", "the role admin, or seatrial-system:seatrial:approve"),
    Action.SKIP_CHECKS: (
        "may not skip the checks of",
        "skip-checks",
        "the role seatrial-system:seatrial:skip-checks, which is in no other role",
    ),
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("name", MAY)
def test_each_action_takes_its_verb(people: dict[str, Person], model: str, name: str, action: Action) -> None:
    """Everybody here may patch the model; that alone commands nothing."""
    answer = people[name].says(model, line(people[name], action))
    if action in MAY[name]:
        assert answer.status == 200, answer.body
        return
    does, verb, role = ROLES.get(
        action, (f"may not {action}", "operate", "the role edit, or seatrial-system:seatrial:operate")
    )
    assert refusal(answer) == (
        f"{name} {does} ModelDeployment default/{model}, which takes the verb {verb} on modeldeployments.seatrial.dev in "
        f"namespace default: ask its administrator for {role}"
    )


def test_a_verb_holds_where_it_was_given(place: Place, people: dict[str, Person]) -> None:
    """The right to operate one namespace, or one model, is none elsewhere."""
    place.kubectl("create", "namespace", "elsewhere")
    place.kubectl(
        "create", "role", "one", "--verb=operate", "--resource=modeldeployments.seatrial.dev", "--resource-name=only"
    )
    place.kubectl("create", "rolebinding", "one", "--role=one", "--user=eve")
    place.kubectl(
        "create", "rolebinding", "ann", "--clusterrole=seatrial-system:seatrial:edit", "--user=ann", "-n", "elsewhere"
    )
    eve, ann = people["eve"], people["ann"]
    for name in ("only", "other"):
        assert eve.create(name).status == 201
    assert eve.says("other", line(eve, "pause")).status == 403
    eventually(lambda: eve.says("only", line(eve, "pause")).status == 200)
    there = OBJECTS.replace("/default/", "/elsewhere/")
    document = {"apiVersion": "seatrial.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "m"}}
    body = place.admin.request("GET", f"{OBJECTS}/only").body
    assert place.admin.request("POST", there, {**document, "spec": body["spec"]}).status == 201
    patch = {"metadata": {"annotations": {"seatrial.dev/commands": line(ann, "pause")}}}
    answer = ann.server.request("PATCH", f"{there}/m", patch, MERGE)
    assert "ann may not pause ModelDeployment elsewhere/m" in refusal(answer)


def test_nobody_signs_for_another(people: dict[str, Person], model: str) -> None:
    """Not even who holds every verb the other holds."""
    ann, bob = people["ann"], people["bob"]
    assert refusal(bob.says(model, line(ann, "approve"))) == (
        "a command in seatrial.dev/commands bears the name ann, and you are bob: commands are written in one's own name"
    )
    assert "bears the name bob, and you are ann" in refusal(
        ann.says(model, line(ann, "pause"), line(bob, "approve", "n2"))
    )


def test_a_name_with_odd_letters_is_one_word(people: dict[str, Person], model: str) -> None:
    """What the command line writes is what the policy expects, and what the operator reads."""
    zoe = people["Zoe Miller 100%"]
    written = append("", Command("n1", Action.PAUSE, REVISION, zoe.name, "why not"))
    assert zoe.says(model, written).status == 200
    assert [command.by for command in parse(written)] == [zoe.name]


@pytest.mark.parametrize("reason", ["", "   ", "\t"])
def test_checks_are_skipped_with_a_reason_only(people: dict[str, Person], model: str, reason: str) -> None:
    fay = people["fay"]
    answer = fay.says(model, f"n1 skip-checks {REVISION} fay {reason}")
    assert refusal(answer) == (
        "checks are skipped with a reason only, which stays in the history: seatrial promote NAME --skip-checks "
        '--reason "…"'
    )


@pytest.mark.parametrize("reason", ["", "scores", "scores  ", " why"])
def test_a_difference_is_accepted_with_its_check_and_a_reason(
    people: dict[str, Person], model: str, reason: str
) -> None:
    answer = people["bob"].says(model, f"n1 accept {REVISION} bob {reason}")
    assert refusal(answer) == (
        "a difference is accepted with the name of its check and a reason, which stays in the history: seatrial accept "
        'NAME --check CHECK --reason "…"'
    )


def test_who_approves_may_accept_a_difference(people: dict[str, Person], model: str) -> None:
    ann, bob = people["ann"], people["bob"]
    assert bob.says(model, line(bob, "accept", "n1", "scores as meant")).status == 200
    assert "ann may not accept a difference of ModelDeployment" in refusal(
        ann.says(model, line(bob, "accept", "n1", "scores as meant"), line(ann, "accept", "n2", "scores as meant"))
    )


@pytest.mark.parametrize(
    "text",
    [
        "n1 pause e04d5521aa",
        "n1  pause e04d5521aa ann",
        "n1\tpause e04d5521aa ann",
        " n1 pause e04d5521aa ann",
        "n1 explode e04d5521aa ann",
        "n1 pause latest ann",
        "n1 pause e04d5521aa ann\u00a0bob",
        "n1 pause e04d5521aa ann\u2028",
        "n1 pause e04d5521aa ann\u0085x",
        "-n1 pause e04d5521aa ann",
        "x" * 64 + " pause e04d5521aa ann",
    ],
)
def test_what_the_operator_might_read_otherwise_is_no_command(people: dict[str, Person], model: str, text: str) -> None:
    """One reading for all: white space that one side takes for a blank and the other for a letter is refused."""
    assert refusal(people["ann"].says(model, text)) == UNREADABLE


# ---- the record --------------------------------------------------------------------------------------------------------


def test_lines_of_others_stay_as_they_are(people: dict[str, Person], model: str) -> None:
    ann, bob = people["ann"], people["bob"]
    first, second = line(ann, "abort", "n1", "scores look odd"), line(bob, "approve", "n2")
    assert ann.says(model, first).status == 200
    assert bob.says(model, first, second).status == 200
    for lines in (
        (second,),
        (first,),
        (second, first),
        (),
        (first, second, first),
        (line(ann, "pause", "n3"), first, second),
    ):
        answer = ann.says(model, *lines)
        assert refusal(answer) == RECORD, lines
    assert refusal(ann.patch(model, {"metadata": {"annotations": None}})) == RECORD
    assert refusal(ann.says(model, line(ann, "abort", "n1", "my own, changed"), second)) == RECORD


def test_a_line_that_ends_like_another_is_another(people: dict[str, Person], model: str) -> None:
    """The text after a cut is not what counts, whole lines are."""
    ann = people["ann"]
    short = line(ann, "pause", "n1", "")
    long = f"n2 abort {REVISION} ann as asked: {short}"
    assert ann.says(model, short, long).status == 200
    assert refusal(ann.says(model, short)) == RECORD


def test_a_changed_line_is_the_changer_s(people: dict[str, Person], model: str) -> None:
    """Whoever rewrites a line adds one, in the other's name: that is refused before its place in the record is."""
    ann, bob = people["ann"], people["bob"]
    assert ann.says(model, line(ann, "pause")).status == 200
    assert "bears the name ann, and you are bob" in refusal(bob.says(model, line(ann, "abort")))


def test_the_oldest_make_room_when_eight_stand_behind_them(people: dict[str, Person], model: str) -> None:
    """The longest lines there are, eight of them, written as the command line writes them."""
    ann, bob = people["ann"], people["bob"]
    text = ""
    for number in range(KEPT + 3):
        who, action = (bob, Action.APPROVE) if number % 2 else (ann, Action.RESUME)
        text = append(text, Command(f"n{number}", action, REVISION, who.name, "€" * 512))
        answer = who.says(model, text)
        assert answer.status == 200, answer.body
    assert [command.nonce for command in parse(text)] == [f"n{number}" for number in range(3, KEPT + 3)]
    lines = text.split("\n")
    assert refusal(ann.says(model, *lines, line(ann, "pause", "n99"))) == (
        "the annotation seatrial.dev/commands holds eight lines: leave out the oldest when you add one"
    )
    assert refusal(ann.says(model, *lines[2:], line(ann, "pause", "n99"))) == RECORD, "two went for one"


def test_a_model_is_not_born_with_commands_of_others(people: dict[str, Person]) -> None:
    """A manifest that carries the annotation, from a backup say, asks for nothing in another's name."""
    annotations = {"seatrial.dev/commands": line(people["bob"], "approve")}
    assert "bears the name bob, and you are ann" in refusal(people["ann"].create("born", annotations=annotations))


def test_other_writes_are_not_looked_at(place: Place, people: dict[str, Person], model: str) -> None:
    """An annotation from before the policy, however long and odd, locks nobody out of the model."""
    odd = "\n".join(f"please do {number}" for number in range(300))
    place.kubectl("delete", "validatingadmissionpolicybinding", "commands.seatrial.seatrial-system")
    try:
        eventually(lambda: people["eve"].says(model, odd).status == 200)
    finally:
        place.helm("upgrade", "seatrial", str(CHART), "-n", "seatrial-system")
    eventually(lambda: people["eve"].says(model, odd, f"more {next(_numbers)}").status == 403)
    assert people["eve"].spec(model, replicas=3).status == 200
    status = {"status": {"phase": "Pending"}}
    assert place.admin.request("PATCH", f"{OBJECTS}/{model}/status", status, MERGE).status == 200
