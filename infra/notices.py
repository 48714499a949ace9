"""`python -m infra.notices TYPE/NAME`: the automations of infra/automations.yaml, sent by a block of Prefect.

Prefect names a block by an id that its server makes up, so that no file can hold it beforehand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

FILE = Path(__file__).with_name("automations.yaml")
NO_BLOCK = UUID(int=0)


def automations_of(content: str, block: UUID) -> list[dict[str, Any]]:
    """The automations with ``block`` as the one that sends; as Prefect's API takes them."""
    found: list[dict[str, Any]] = yaml.safe_load(content.replace(str(NO_BLOCK), str(block)))["automations"]
    return found


def create_notices(block: str) -> list[str]:
    """Create the automations on the Prefect server at hand, in the place of those of the same name.

    Args:
        block: type and name of a notification block: ``custom-webhook/assay``, ``slack-webhook/team``.

    Returns:
        Their names.

    Raises:
        prefect.exceptions.ObjectNotFound: there is no such block.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - after the environment is prepared
    from prefect.events.schemas.automations import AutomationCore  # noqa: PLC0415

    type_slug, _, name = block.partition("/")
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name(name, type_slug, include_secrets=False)
        wanted = [
            AutomationCore.model_validate(each) for each in automations_of(FILE.read_text(), document.id)
        ]
        for automation in wanted:
            for old in client.read_automations_by_name(automation.name):
                client.delete_automation(old.id)
            client.create_automation(automation)
    return [automation.name for automation in wanted]


def main() -> None:
    """Read the block from the command line."""
    from infra.settings import prepare_environment, settings  # noqa: PLC0415 - Prefect reads it at import

    if len(sys.argv) != 2 or "/" not in sys.argv[1]:
        sys.exit("usage: python -m infra.notices TYPE/NAME, of a notification block: custom-webhook/assay")
    prepare_environment(settings())
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415 - as above

    try:
        names = create_notices(sys.argv[1])
    except ObjectNotFound:
        sys.exit(f"{sys.argv[1]}: no such block on this Prefect server; `prefect block ls` lists them")
    print(f"notices by {sys.argv[1]}: {', '.join(names)}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
