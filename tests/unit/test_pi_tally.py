"""How far an enrolment has got, and when it is no use to go on."""

from pi_uploader.answers import Answer, Outcome
from pi_uploader.tally import SAME, TRIES, Tally, bar


def refused(code: str) -> Answer:
    return Answer(Outcome.REFUSED, "so", code=code)


def after(tally: Tally, *answers: Answer) -> Tally:
    for answer in answers:
        tally = tally.after(answer)
    return tally


def test_too_many_tries_end_it() -> None:
    tally = after(Tally(2), *(refused(code) for code in ("no_face", "duplicate_photo") * 2), refused("no_face"))
    assert tally.given_up == ""
    assert after(tally, refused("face_too_dark")).given_up.startswith(
        f"{2 * TRIES} photos were taken for 2: put a lamp"
    )


def test_a_refusal_counts_anew_after_another_answer() -> None:
    tally = after(Tally(20), *[refused("no_face")] * (SAME - 1), refused("several_faces"), refused("no_face"))
    assert (tally.same, tally.given_up) == (1, "")
    assert after(Tally(20), *[refused("no_face")] * (SAME - 1), Answer(Outcome.ENROLLED, "")).same == 0
    assert after(Tally(20), *[refused("no_face")] * SAME).given_up


def test_a_person_with_as_many_photos_as_are_kept_gets_no_more() -> None:
    assert after(Tally(20), refused("too_many_photos")).given_up == "those that are there will do"


def test_a_copy_is_no_new_photo_but_where_its_first_answer_was_lost() -> None:
    copy = Answer(Outcome.REFUSED, "the same", code="duplicate_photo")
    assert after(Tally(2), copy).enrolled == 0
    again = Answer(Outcome.REFUSED, "the same", code="duplicate_photo", tries=2)
    assert after(Tally(2), again).words == bar(1, 2)
