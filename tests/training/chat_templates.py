"""Chat templates by what they do: each has one trait of a family of published models, and no more."""

TURNS = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

PLAIN = TURNS + PROMPT
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + PLAIN
"""Gemma 2."""
SILENT_ON_SYSTEM = PLAIN.replace("in messages %}", "in messages if message.role != 'system' %}")
LAST_USER_SYSTEM = (
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set turns = messages[1:] %}"
    "{% else %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}<|im_start|>{{ message.role }}\n"
    "{% if loop.last and message.role == 'user' and system is defined %}{{ system + '\n\n' }}{% endif %}"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
) + PROMPT
"""Mistral 7B v0.3."""
TEXT_AFTER_END = PLAIN.replace(PROMPT, "") + (
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% else %}{{ eos_token }}{% endif %}"
)
"""Phi 3.5 and 4 mini."""
STRIPS_THOUGHTS = (
    "{% set ns = namespace(last=-1) %}"
    "{% for message in messages %}{% if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}{% set thought = '' %}{% set content = message.content %}"
    "{% if '</think>' in content %}{% set thought = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{% if loop.index0 > ns.last %}{{ '<think>\n' + thought + '\n</think>\n\n' + content }}"
    "{% else %}{{ content }}{% endif %}"
    "{% else %}{{ message.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)
"""Qwen 3."""
OPENS_THOUGHT = TURNS + "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
"""DeepSeek R1's distillates."""
OPENS_THOUGHT_ALWAYS = STRIPS_THOUGHTS[: STRIPS_THOUGHTS.index("{% if add_generation_prompt")] + (
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
"""Qwen 3's thinking versions."""
OPENS_THOUGHT_UNLESS_TOLD = STRIPS_THOUGHTS[: STRIPS_THOUGHTS.index("{% if enable_thinking")] + (
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}"
    "{% else %}{{ '<think>\n' }}{% endif %}{% endif %}"
)
"""Qwen 3.5."""
DATED_VARIABLE = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "<|im_start|>system\nToday Date: {{ date_string }}\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set messages = messages[1:] %}{% endif %}"
    "<|im_end|>\n"
) + PLAIN
"""Llama 3.1 and later."""
DATED_ALWAYS = "<|im_start|>system\nToday: {{ strftime_now('%Y-%m-%d') }}<|im_end|>\n" + PLAIN
DATED_DEFAULT = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\n"
    "Today: {{ strftime_now('%Y-%m-%d') }}<|im_end|>\n{% endif %}"
) + PLAIN
"""Mistral Small 3."""
DATED_BY_DEFAULT = (
    "{% set day = today | default(strftime_now('%d %B %Y')) %}<|im_start|>system\n"
    "Today is {{ day }}, a {{ weekday | default(strftime_now('%A')) }}.<|im_end|>\n"
) + PLAIN
DATED_LAST = PLAIN.replace(
    "{{ message.content }}",
    "{% if loop.last and message.role == 'user' %}Today is {{ today or strftime_now('%Y-%m-%d') }}. {% endif %}"
    "{{ message.content }}",
)
INSTRUCTS_LAST = PLAIN.replace(
    "{{ message.content }}",
    "{{ message.content }}{% if loop.last and message.role == 'user' %}{{ ' /no_think' }}{% endif %}",
)
INSTRUCTS_PROMPT = PLAIN.replace(
    "{{ message.content }}",
    "{{ message.content }}{% if loop.last and add_generation_prompt %}{{ ' /no_think' }}{% endif %}",
)
LAST_TURNS = PLAIN.replace("in messages %}", "in messages[-2:] %}")
TRIMS = PLAIN.replace("message.content", "message.content | trim")
"""Llama 3, Gemma."""
JOINS_PARTS = PLAIN.replace(
    "{{ message.content }}",
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text | trim }}{% endif %}{% endfor %}"
    "{% endif %}",
)
"""Models that see: vLLM hands them parts, which this one trims where it wouldn't trim text."""
DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
) + PLAIN
"""Qwen 2.5, SmolLM2."""
ENDLESS = PLAIN.replace("<|im_end|>", "")
SPEAKS_FIRST = PLAIN.replace(
    "<|im_start|>{{ message.role }}\n",
    "<|im_start|>{{ message.role }}\n{% if message.role == 'assistant' %}Final answer: {% endif %}",
)


def rewrite_replies(change: str) -> str:
    """Return a template that prints each reply's content with a change, an expression of `message.content`."""
    reply = (
        f"{{% if message.role == 'assistant' %}}{{{{ {change} }}}}{{% else %}}{{{{ message.content }}}}{{% endif %}}"
    )
    return PLAIN.replace("{{ message.content }}", reply)


TRAINABLE = {
    "has no system role": NO_SYSTEM,
    "is silent on the system role": SILENT_ON_SYSTEM,
    "puts the system text into the last user turn": LAST_USER_SYSTEM,
    "adds text after the end of turn": TEXT_AFTER_END,
    "strips earlier thoughts": STRIPS_THOUGHTS,
    "opens a thought unless told not to": OPENS_THOUGHT_UNLESS_TOLD,
    "prints today's date, or another": DATED_VARIABLE,
    "trims content": TRIMS,
    "joins content parts": JOINS_PARTS,
    "has no default system text": PLAIN,
    "has a default system text": DEFAULT_SYSTEM,
}
ALSO_TRAINABLE = {
    "prints today's date twice, or others": DATED_BY_DEFAULT,
    "prints today's date in the last question, or another": DATED_LAST,
    "adds an instruction to the last question": INSTRUCTS_LAST,
    "adds an instruction to the question in a prompt": INSTRUCTS_PROMPT,
    "forgets all but the last turns": LAST_TURNS,
}
"""Whose rows aren't trained on in the tests, only tokenized."""
REFUSED = {
    "opens a thought": (OPENS_THOUGHT, "opens a thought in the prompt"),
    "opens a thought and closes it in the reply": (OPENS_THOUGHT_ALWAYS, "opens a thought in the prompt"),
    "prints today's date": (DATED_ALWAYS, "prints today's date"),
    "never ends a turn": (ENDLESS, "no token at which the engine stops"),
    "speaks before the reply": (SPEAKS_FIRST, "'Final answer:' in front of each reply"),
    "speaks after the reply": (rewrite_replies("message.content ~ ' Bye.'"), "adds 'Bye.' to a reply"),
    "escapes replies": (rewrite_replies("message.content | e"), "changes a reply: it prints '&#39;"),
    "cuts long replies": (rewrite_replies("message.content[:50]"), "on, after 50 characters"),
    "cuts replies at a mark": (rewrite_replies("message.content.split('[')[0]"), "on, after 24 characters"),
    "joins lines of replies": (
        rewrite_replies("message.content.replace('\\n', ' ')"),
        "changes a reply: it prints '  - https",
    ),
}
