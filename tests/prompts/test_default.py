import prompts

PASSAGES = [{"number": 4, "title": "", "text": "The kettle costs 49 euros."}]


def test_the_default_needs_nothing_from_a_release() -> None:
    assert prompts.compile(prompts.DEFAULT).variables == frozenset()


def test_the_default_is_short() -> None:
    template = prompts.compile(prompts.DEFAULT)
    frame = "".join(piece for rank, piece in template.render_evidence({"cite": True}, PASSAGES) if rank == 0)
    words = f"{template.render('system', {})} {frame} {template.render('no_evidence', {'cite': True})}".split()
    assert len(words) < 80


def test_the_system_text_says_nothing_that_is_false_without_retrieval() -> None:
    assert "only" not in prompts.compile(prompts.DEFAULT).render("system", {})
