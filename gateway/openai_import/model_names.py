"""Old names of models that answer with new ones: each is an assistant of that name, with a release of its own."""

from collections.abc import Mapping
from urllib.parse import quote

from gateway.client import GatewayError
from gateway.openai_import.destination import Destination
from gateway.openai_import.report import ImportReport

__all__ = ["name_models"]


async def name_models(gateway: Destination, report: ImportReport, models: Mapping[str, str]) -> None:
    """Have each old name of `models` answer with its new model.

    A name that has a rollout already keeps it: its owner may have gone on from there.
    """
    counts = report.count("model_names")
    counts.total = len(models)
    for number, (name, model) in enumerate(models.items(), 1):
        try:
            new = await _name(gateway, name, model)
        except GatewayError as error:
            if not gateway.is_refusal(error):
                raise
            report.omit("model_names", name, name, str(error))
        else:
            counts.imported += new
            counts.present += not new
        gateway.show("names", number, len(models))


async def _name(gateway: Destination, name: str, model: str) -> bool:
    path = f"/api/assistants/{quote(name, safe='')}"
    try:
        assistant = await gateway.client.get(path)
    except GatewayError as error:
        if error.status != 404:
            raise
        assistant = await gateway.create("/api/assistants", {"name": name})
    if assistant["revision"]:
        return False
    number = None
    async for release in gateway.client.read_rows(f"{path}/releases"):
        if ((release["spec"].get("adapter") or {}).get("model")) == model:
            number = release["release"]
    if number is None:
        number = (await gateway.create(f"{path}/releases", {"adapter": model}))["release"]
    await gateway.client.put(f"{path}/rollout", {"stages": [{"release": number}], "revision": 0})
    return True
