from gateway.evaluation import Variant


def test_a_plain_variant_sends_the_question_alone() -> None:
    body = Variant("base", "base", "smollm2").make_request("How late?")
    assert body == {"model": "smollm2", "messages": [{"role": "user", "content": "How late?"}]}


def test_instructions_go_in_front_and_switches_along() -> None:
    variant = Variant("x", "x", "support", instructions="Be brief.", switches={"retrieval": False})
    body = variant.make_request("How late?")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["braid"] == {"retrieval": False}
