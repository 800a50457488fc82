"""Makes a two-layer base of random weights for each trait of chat templates: run in the model environment.

python -m tests.e2e.trait_bases FOLDER
"""

import sys
from pathlib import Path

from tests.training import chat_templates as templates
from tests.training.model.tiny import llama_config, write_checkpoint


def main(folder: Path) -> None:
    # vLLM's attention on the CPU takes heads of 32 numbers, and not of the 8 that the training's own tests have.
    config = llama_config(hidden_size=128, intermediate_size=192)
    refused = {trait: template for trait, (template, _) in templates.REFUSED.items()}
    for trait, template in (templates.TRAINABLE | refused).items():
        write_checkpoint(folder / trait, template, config)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
